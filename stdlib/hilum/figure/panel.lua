-- The panel: image, annotation and prediction of some nodules, side by side.

local contour = require "hilum.contour"
local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local scales = require "hilum.figure.scale"

local panel = {}

local fields, finite = numbers.fields, numbers.finite

local LEVEL = 0.5 -- a voxel is annotated above it, and predicted unless the column says otherwise
local SMALLEST = 24 -- side of a window in pixels of the image
local MOST_COLUMNS = 8

-- A tensor [y,x] (or with axes of size 1 before) as values by row and column.
local function picture(t, what)
  local shape = type(t) == "userdata" and t.shape
  if not shape or #shape < 2 then
    return nil, problem.new("format", "the panel's " .. what .. " is not a picture")
  end
  local height, width, values = shape[#shape - 1], shape[#shape], t:table()
  if #values ~= height * width or #values == 0 then
    return nil, problem.new("format", "the panel's " .. what .. " is not one picture")
  end
  return { height = height, width = width, at = function(y, x) return values[(y - 1) * width + x] end }
end

-- The three pictures of a column, of one size.
local function pictures(column)
  local set = {}
  for _, what in ipairs { "image", "truth", "prediction" } do
    local one, err = picture(fields(column)[what], what)
    if not one then return nil, err end
    if set.image and (one.height ~= set.image.height or one.width ~= set.image.width) then
      return nil, problem.new("format", "the panel's image and " .. what .. " differ in size")
    end
    one.level = what == "prediction" and finite(column.threshold) and column.threshold or LEVEL
    set[what] = one
  end
  return set
end

-- Grows box { y0, y1, x0, x1 } to all that is above the picture's level.
local function cover(box, one)
  for y = 1, one.height do
    for x = 1, one.width do
      if one.at(y, x) > one.level then
        box.y0, box.y1 = math.min(box.y0 or y, y), math.max(box.y1 or y, y)
        box.x0, box.x1 = math.min(box.x0 or x, x), math.max(box.x1 or x, x)
      end
    end
  end
end

-- Start of a stretch of `side` around low … high within 1 … n.
local function start_of(low, high, side, n)
  local start = (low + high) // 2 - side // 2 + 1
  return math.max(1, math.min(start, n - side + 1))
end

-- The part of the image that is shown: a square around all that is annotated or predicted, twice as wide, so that
-- nothing predicted is hidden; all of it where there is nothing.
local function window(set)
  local box, image = {}, set.image
  cover(box, set.truth)
  cover(box, set.prediction)
  if not box.y0 then box.y0, box.y1, box.x0, box.x1 = 1, image.height, 1, image.width end
  local extent = math.max(box.y1 - box.y0, box.x1 - box.x0) + 1
  local side = math.max(SMALLEST, 2 * extent)
  local height, width = math.min(side, image.height), math.min(side, image.width)
  return { y = start_of(box.y0, box.y1, height, image.height), x = start_of(box.x0, box.x1, width, image.width),
    height = height, width = width }
end

-- Grey values 0 to 255 of the window, stretched between the image's own darkest and brightest.
local function grey_rows(image, w)
  local low, high = math.huge, -math.huge
  for y = 1, image.height do
    for x = 1, image.width do
      local v = image.at(y, x)
      if finite(v) then low, high = math.min(low, v), math.max(high, v) end
    end
  end
  local scale, rows = high > low and 255 / (high - low) or 0, {}
  for y = 1, w.height do
    rows[y] = {}
    for x = 1, w.width do
      local v = image.at(w.y + y - 1, w.x + x - 1)
      rows[y][x] = finite(v) and math.floor((v - low) * scale + 0.5) or 0
    end
  end
  return rows
end

-- Lines around a mask within the window, in the window's pixels from 0, 0.
local function outline(mask, w)
  local rows = {}
  local lines = contour.lines(function(y, x)
    local v = mask.at(w.y + y - 1, w.x + x - 1)
    return finite(v) and v or 0
  end, w.height, w.width, mask.level)
  for _, line in ipairs(lines) do
    for _, point in ipairs(line) do rows[#rows + 1] = { point[1] - 1, point[2] - 1 } end
    rows[#rows + 1] = {}
  end
  return rows
end

local function scale_bar(column, w)
  local spacing = fields(column.spacing_mm)
  return scales.bar(spacing[#spacing], w.width, w.height)
end

local function diameter_of(run, column)
  if finite(column.diameter_mm) then return column.diameter_mm end
  for _, case in ipairs(fields(run.cases)) do
    if type(case) == "table" and case.id == column.id then return case.diameter_mm end
  end
  return nil
end

local KEY_WIDTH = 470

-- Pixels of the page: the columns from left to right, the rows from the top.
local function panel_page(n)
  local page = { left = 62, gap = 10, head = 92, foot = 92, width = 1200 }
  local shown = math.max(n, 3) -- few columns are not blown up
  page.cell = (page.width - page.left - 24 - (shown - 1) * page.gap) / shown
  if page.cell > 300 then page.cell = 300 end
  page.width = math.floor(page.left + 24 + n * page.cell + (n - 1) * page.gap + 0.5)
  page.width = math.max(page.width, KEY_WIDTH) -- one column is narrower than the key below it
  page.height = math.floor(page.head + 3 * page.cell + 2 * page.gap + page.foot + 0.5)
  function page.x(column) return page.left + (column - 1) * (page.cell + page.gap) end
  function page.y(row) return page.height - page.head - row * page.cell - (row - 1) * page.gap end -- lower edge
  return page
end

-- An id on one line or, where it is too long and has a joint, on two.
local function id_lines(id, letters)
  local n = utf8.len(id) or #id
  local head, tail = id:match "^(.*[/ #:])([^/ #:]+)$"
  if n <= letters or not head then return { gnuplot.shortened(id, letters) } end
  return { gnuplot.shortened(head, letters), gnuplot.shortened(tail, letters) }
end

local function add_heading(tables, page, middle, id, diameter)
  local y = page.height - 30
  for _, line in ipairs(id_lines(tostring(id or "?"), page.cell // 11.5)) do
    tables.ids[#tables.ids + 1] = { middle, y, line }
    y = y - 22
  end
  if finite(diameter) then
    tables.sizes[#tables.sizes + 1] = { middle, page.height - 74, string.format("%.1f mm", diameter) }
  end
end

local function add_column(tables, run, page, c, column)
  local set, err = pictures(column)
  if not set then return nil, err end
  local w = window(set)
  tables["image" .. c] = grey_rows(set.image, w)
  tables["truth" .. c], tables["prediction" .. c] = outline(set.truth, w), outline(set.prediction, w)
  tables["bar" .. c], tables["bar_label" .. c] = scale_bar(column, w)
  for row = 1, 3 do
    tables.cells[#tables.cells + 1] = { c, row, page.x(c), page.x(c) + page.cell, page.y(row),
      page.y(row) + page.cell, w.width, w.height }
  end
  local middle = page.x(c) + page.cell / 2
  add_heading(tables, page, middle, column.id, diameter_of(run, column))
  if finite(column.dice) then
    tables.dices[#tables.dices + 1] = { middle, page.foot - 20, string.format("Dice %.2f", column.dice) }
  end
  return true
end

--- Slices of nodules in columns: the image, the annotation and the prediction as contours over it, the Dice of the
--- whole nodule below. Columns are { id, image, truth, prediction [y,x], dice } and, optional, spacing_mm { y, x }
--- (a scale bar), diameter_mm (else that of run.cases) and threshold (of the prediction; 0.5). Returns the list of
--- written files, or nil, err.
function panel.draw(run, basename, formats)
  local columns = fields(run.panel)
  local n = math.min(#columns, MOST_COLUMNS)
  if n == 0 then return nil, problem.new("data", "the run holds no slices: there is no panel to be drawn") end
  local page = panel_page(n)
  local tables = { page = { { page.width, page.height, n } }, cells = {}, ids = {}, sizes = {}, dices = {}, rows = {} }
  for c = 1, n do
    local fine, err = add_column(tables, run, page, c, columns[c])
    if not fine then return nil, err end
  end
  for row, name in ipairs { "image", "annotation", "prediction" } do
    tables.rows[row] = { page.left - 26, page.y(row) + page.cell / 2, name }
  end
  local y = 26
  tables.key_truth = { { page.left, y }, { page.left + 40, y } }
  tables.key_prediction = { { page.left + 210, y }, { page.left + 250, y } }
  tables.key = { { page.left + 52, y, "annotation" }, { page.left + 262, y, "prediction" } }
  return gnuplot.draw("panel", tables, basename, formats)
end

return panel
