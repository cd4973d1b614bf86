-- A report's blocks as one HTML file that refers to nothing outside: figures are inside as SVG, there is no script.

local markup = require "hilum.report.markup"

local html = {}

local escape = markup.html

local STYLE = [[
body { font: 16px/1.5 "DejaVu Sans", Verdana, Arial, sans-serif; color: #1a1a1a; background: #fff; max-width: 76rem;
  margin: 2rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { font-size: 1.3rem; margin-top: 2.2rem; border-bottom: 1px solid #bbb; }
h3 { font-size: 1.05rem; margin-top: 1.6rem; overflow-wrap: anywhere; }
p, li { max-width: 48rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.8rem; margin: 0.6rem 0; }
th, td { padding: 0.2rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td { overflow-wrap: break-word; }
thead th { border-bottom: 2px solid #888; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.note, figcaption { font-size: 0.85rem; color: #444; max-width: 48rem; }
figure { margin: 1rem 0 1.6rem; page-break-inside: avoid; }
figure svg { max-width: 100%; height: auto; }
pre { background: #f5f5f5; padding: 0.8rem; font-size: 0.8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
@media print { body { font-size: 10pt; margin: 0; max-width: none; } thead { display: table-header-group; }
  tr { page-break-inside: avoid; } h2, h3 { page-break-after: avoid; } .wide { overflow: visible; } }
]]

local render = {}

function render.heading(block)
  return string.format("<h%d>%s</h%d>", block.level, escape(block.text), block.level)
end

function render.paragraph(block)
  return "<p>" .. escape(block.text) .. "</p>"
end

function render.list(block)
  local lines = {}
  for i, item in ipairs(block.items) do lines[i] = "<li>" .. escape(item) .. "</li>" end
  return "<ul>\n" .. table.concat(lines, "\n") .. "\n</ul>"
end

local function line_of(cells, tag, first_numbers)
  local parts = {}
  for i, cell in ipairs(cells) do
    parts[i] = string.format("<%s%s>%s</%s>", tag, i >= first_numbers and ' class="n"' or "", escape(cell), tag)
  end
  return "<tr>" .. table.concat(parts) .. "</tr>"
end

function render.table(block)
  local from = (block.words or 1) + 1
  local lines = { '<div class="wide"><table>' }
  if table.concat(block.head) ~= "" then
    lines[2] = "<thead>" .. line_of(block.head, "th", from) .. "</thead>"
  end
  lines[#lines + 1] = "<tbody>"
  for _, row in ipairs(block.rows) do lines[#lines + 1] = line_of(row, "td", from) end
  lines[#lines + 1] = "</tbody></table></div>"
  if block.note then lines[#lines + 1] = '<p class="note">' .. escape(block.note) .. "</p>" end
  return table.concat(lines, "\n")
end

function render.code(block)
  return "<pre><code>" .. escape(block.text) .. "</code></pre>"
end

local WIDEST = 800 -- pixels of a figure

-- Its size on the page, with the same proportions.
local function scaled(width, height)
  local scale = math.min(1, WIDEST / tonumber(width))
  return string.format(' width="%.0f" height="%.0f"', width * scale, height * scale)
end

-- gnuplot's SVG as a part of a page: names of its parts get a prefix, since another figure has the same ones; its tool
-- tips ("gnuplot_plot_1") go.
local function inline(svg, prefix)
  local body = svg:match "<svg.*</svg>" or ""
  return (body:gsub("%sxmlns[%w:]*=\"[^\"]*\"", "", 2)
    :gsub("%swidth=\"([%d.]+)\"%s+height=\"([%d.]+)\"", scaled, 1)
    :gsub("<title>[^<]*</title>", "")
    :gsub("(%sid=[\"'])", "%1" .. prefix)
    :gsub("(href=[\"']#)", "%1" .. prefix)
    :gsub("(url%([\"']?#)", "%1" .. prefix))
end

function render.figure(block, i)
  return string.format('<figure role="img" aria-label="%s">\n%s\n<figcaption>%s</figcaption>\n</figure>',
    escape(block.caption), inline(block.svg, "f" .. i .. "-"), escape(block.caption))
end

--- Blocks (hilum.report.document) as one page.
function html.render(blocks, title)
  local parts = { "<!DOCTYPE html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width">', "<title>" .. escape(title) .. "</title>",
    "<style>\n" .. STYLE .. "</style>", "</head>", "<body>" }
  for i, block in ipairs(blocks) do parts[#parts + 1] = render[block.kind](block, i) end
  parts[#parts + 1] = "</body>\n</html>\n"
  return table.concat(parts, "\n")
end

return html
