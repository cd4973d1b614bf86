-- What augmentation makes of a sample: the slice with most truth, as it is and as it was drawn, with the truth's
-- outline and hatching over what is not valid.

local contour = require "hilum.contour"
local gnuplot = require "hilum.gnuplot"
local scale = require "hilum.figure.scale"

local augmented = {}

augmented.columns, augmented.rows = 4, 3

local CELL, GAP, HEAD, LINES, LINE, FOOT, LEFT = 236, 16, 96, 6, 17, 60, 26 -- pixels
local LETTERS = 31 -- of a line below a cell
local HATCH = 5 -- pixels of a picture between two lines

-- Phrases as lines of so many letters; what does not fit becomes an ellipsis.
local function lines_of(phrases)
  local lines = {}
  for _, phrase in ipairs(phrases) do
    local last = lines[#lines]
    local longer = last and last .. "  ·  " .. phrase
    if longer and utf8.len(longer) <= LETTERS then lines[#lines] = longer else lines[#lines + 1] = phrase end
  end
  if #lines > LINES then
    lines = table.move(lines, 1, LINES, 1, {})
    lines[LINES] = lines[LINES] .. "  …"
  end
  return lines
end

-- A row is as tall as the text below its pictures.
local function page_of(texts)
  local n = #texts
  local columns, tops, height = math.min(n, augmented.columns), {}, HEAD
  for first = 1, n, columns do
    local most = 0
    for i = first, math.min(n, first + columns - 1) do most = math.max(most, #texts[i]) end
    for i = first, math.min(n, first + columns - 1) do tops[i] = height end
    height = height + CELL + 52 + most * LINE
  end
  local page = { width = math.max(2 * LEFT + columns * (CELL + GAP) - GAP, 860), height = height + FOOT }
  function page.x(i) return LEFT + (i - 1) % columns * (CELL + GAP) end
  function page.y(i) return page.height - tops[i] - 22 - CELL end -- lower edge
  return page
end

-- Grey values of the window, in which the image is 0 to 1.
local function grey_rows(picture)
  local rows = {}
  for y = 1, picture.height do
    rows[y] = {}
    for x = 1, picture.width do
      local v = picture.image[(y - 1) * picture.width + x]
      rows[y][x] = math.floor(255 * math.min(math.max(v, 0), 1) + 0.5)
    end
  end
  return rows
end

local function outline(picture)
  local rows = {}
  local function at(y, x) return picture.truth[(y - 1) * picture.width + x] end
  for _, line in ipairs(contour.lines(at, picture.height, picture.width, 0.5)) do
    for _, point in ipairs(line) do rows[#rows + 1] = { point[1] - 1, point[2] - 1 } end
    rows[#rows + 1] = {}
  end
  return rows
end

-- Diagonals through the pixels that are not valid, each as long as they go on.
local function hatching(picture)
  local rows, w, h = {}, picture.width, picture.height
  for sum = 0, w + h - 2, HATCH do
    local from
    for x = math.max(0, sum - h + 1), math.min(sum, w - 1) + 1 do
      local y = sum - x
      local bad = x <= math.min(sum, w - 1) and picture.valid[y * w + x + 1] == 0
      if bad and not from then from = x end
      if from and not bad then
        rows[#rows + 1], rows[#rows + 2], rows[#rows + 3] = { from - 0.5, sum - from + 0.5 }, { x - 0.5, y + 0.5 }, {}
        from = nil
      end
    end
  end
  return rows
end

local function add_cell(tables, page, i, picture, lines)
  tables.cells[i] = { page.x(i), page.x(i) + CELL, page.y(i), page.y(i) + CELL, picture.width, picture.height }
  tables["image" .. i], tables["truth" .. i], tables["hatch" .. i] = grey_rows(picture), outline(picture),
    hatching(picture)
  tables["bar" .. i], tables["bar_label" .. i] = {}, {}
  if i == 1 then tables.bar1, tables.bar_label1 = scale.bar(picture.pixel_mm, picture.width, picture.height) end
  tables.heads[i] = { page.x(i), page.y(i) + CELL + 14, picture.title }
  for k, line in ipairs(lines) do
    tables.lines[#tables.lines + 1] = { page.x(i), page.y(i) - 5 - k * LINE + 4, gnuplot.shortened(line, LETTERS + 4) }
  end
end

--- Draws o = { title, note, pictures = list of { title, phrases, width, height, image (0 to 1), truth, valid (lists of
--- numbers, row by row), pixel_mm (optional) } } to BASENAME.svg and BASENAME.png. Returns the list of files, or nil,
--- err.
function augmented.draw(o, basename)
  local texts = {}
  for i, picture in ipairs(o.pictures) do texts[i] = lines_of(picture.phrases) end
  local page = page_of(texts)
  local tables = { page = { { page.width, page.height, #o.pictures } }, cells = {}, heads = {}, lines = {},
    title = { { LEFT, page.height - 36, gnuplot.shortened(o.title, 60) } },
    note = { { LEFT, page.height - 64, gnuplot.shortened(o.note, page.width // 8) } } }
  for i, picture in ipairs(o.pictures) do add_cell(tables, page, i, picture, texts[i]) end
  local y = 28
  tables.key_truth = { { LEFT, y }, { LEFT + 36, y } }
  tables.key_hatch = {}
  for k = 0, 3 do
    tables.key_hatch[3 * k + 1] = { LEFT + 150 + 9 * k, y - 7 }
    tables.key_hatch[3 * k + 2], tables.key_hatch[3 * k + 3] = { LEFT + 164 + 9 * k, y + 7 }, {}
  end
  tables.key = { { LEFT + 46, y, "truth" }, { LEFT + 202, y, "not valid: enters no loss" },
    { LEFT + 460, y, "three numbers: along or about z, y, x" } }
  return gnuplot.draw("augmented", tables, basename)
end

return augmented
