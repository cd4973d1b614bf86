-- A report's blocks as Markdown.

local markup = require "hilum.report.markup"

local markdown = {}

local render = {}

function render.heading(block)
  return ("#"):rep(block.level) .. " " .. markup.markdown(block.text)
end

function render.paragraph(block)
  return markup.markdown(block.text)
end

function render.list(block)
  local lines = {}
  for i, item in ipairs(block.items) do lines[i] = "- " .. markup.markdown(item) end
  return table.concat(lines, "\n")
end

local function line_of(cells)
  local escaped = {}
  for i, cell in ipairs(cells) do escaped[i] = markup.markdown(cell) end
  return "| " .. table.concat(escaped, " | ") .. " |"
end

function render.table(block)
  local lines, rule = { line_of(block.head) }, {}
  for i in ipairs(block.head) do rule[i] = i <= (block.words or 1) and "---" or "---:" end
  lines[2] = "| " .. table.concat(rule, " | ") .. " |"
  for _, row in ipairs(block.rows) do lines[#lines + 1] = line_of(row) end
  local text = table.concat(lines, "\n")
  return block.note and text .. "\n\n" .. markup.markdown(block.note) or text
end

function render.code(block)
  return markup.fenced(block.text, block.language)
end

function render.figure(block)
  return string.format("![%s](<%s>)\n\n%s", markup.markdown(block.caption), (block.link:gsub("[<>\n%%]", function(c)
    return string.format("%%%02X", c:byte())
  end)), markup.markdown(block.caption))
end

--- Blocks (hilum.report.document) as one text.
function markdown.render(blocks)
  local parts = {}
  for i, block in ipairs(blocks) do parts[i] = render[block.kind](block) end
  return table.concat(parts, "\n\n") .. "\n"
end

return markdown
