-- Dice of each validation case over the diameter of its nodule, and the mean within bands of size.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local dice_by_size = {}

local finite = numbers.finite
local EDGES = { 6, 10, 20 } -- mm, between the bands
local PAGE = { width = 1200, height = 720, left = 100, right = 1160, bottom = 92, top = 540 }

-- Where a band's part of the axis is, between the ends of the axis.
local function bands_of(low, high)
  local bands, from = {}, low
  for _, edge in ipairs(EDGES) do
    if edge > low and edge < high then
      bands[#bands + 1], from = { from, edge }, edge
    end
  end
  bands[#bands + 1] = { from, high }
  return bands
end

local function values_in(rows, band, name, last)
  local values = {}
  for _, row in ipairs(rows) do
    local inside = row.diameter_mm >= band[1] and (row.diameter_mm < band[2] or last)
    if inside and finite(row[name]) then values[#values + 1] = row[name] end
  end
  return values
end

-- Means of a band as lines across it, and its words.
local function add_band(tables, rows, band, last, x)
  local own, readers = values_in(rows, band, "dice", last), values_in(rows, band, "interreader", last)
  if #own == 0 then return end
  local mean, ceiling = numbers.mean(own), numbers.mean(readers)
  local function line(y) return { { band[1], y }, { band[2], y }, {} } end
  table.move(line(mean), 1, 3, #tables.means + 1, tables.means)
  if ceiling then table.move(line(ceiling), 1, 3, #tables.ceilings + 1, tables.ceilings) end
  local middle = (x(band[1]) + x(band[2])) / 2
  tables.middle[#tables.middle + 1] = { middle, PAGE.top + 36, string.format("n = %d: %.3f", #own, mean) }
  if ceiling then
    tables.middle[#tables.middle + 1] = { middle, PAGE.top + 15, string.format("readers %.3f", ceiling) }
  end
end

local function usable(run)
  local rows = {}
  for _, row in ipairs(texts.validation(run)) do
    if finite(row.diameter_mm) and row.diameter_mm > 0 and finite(row.dice) then rows[#rows + 1] = row end
  end
  table.sort(rows, function(a, b) return a.diameter_mm < b.diameter_mm end)
  return rows
end

--- Returns the list of written files, or nil, err.
function dice_by_size.draw(run, basename, formats)
  local rows = usable(run)
  if #rows == 0 then
    return nil, problem.new("data", "no validation case has both a diameter and a Dice")
  end
  local low = math.max(1, math.floor(rows[1].diameter_mm * 0.9))
  local high = math.max(low + 1, math.ceil(rows[#rows].diameter_mm * 1.1))
  local function x(mm) return PAGE.left + math.log(mm / low) / math.log(high / low) * (PAGE.right - PAGE.left) end
  local tables = { points = {}, means = {}, ceilings = {}, edges = {}, middle = {},
    page = { { PAGE.width, PAGE.height, PAGE.left, PAGE.right, PAGE.bottom, PAGE.top, low, high } } }
  for i, row in ipairs(rows) do tables.points[i] = { row.diameter_mm, row.dice } end
  local bands = bands_of(low, high)
  for i, band in ipairs(bands) do
    if i > 1 then table.move({ { band[1], 0 }, { band[1], 1 }, {} }, 1, 3, #tables.edges + 1, tables.edges) end
    add_band(tables, rows, band, i == #bands, x)
  end
  tables.x_axes = { { (PAGE.left + PAGE.right) / 2, 22, "diameter of the nodule (mm)" } }
  tables.y_axes = { { 26, (PAGE.bottom + PAGE.top) / 2, "Dice" } }
  texts.key(tables, { { "key_case", "a case" }, { "key_mean", "mean of the band" },
    { "key_ceiling", "mean of the readers, same cases" } }, PAGE.left, PAGE.height - 104)
  texts.add(tables, PAGE.left, tostring(run.name or "run"), string.format("%d validation cases  ·  %s", #rows,
    texts.about(run)))
  return gnuplot.draw("dice_by_size", tables, basename, formats)
end

return dice_by_size
