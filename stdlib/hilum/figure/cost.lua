-- Memory and time of several methods, side by side.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local statistics = require "hilum.statistics"
local texts = require "hilum.figure.texts"

local cost = {}

local fields, finite = numbers.fields, numbers.finite
local ROW = 64 -- pixels

local function numbers_of(run, runs)
  local memory = fields(run.memory)
  local function mib(bytes) return finite(bytes) and bytes / 2 ^ 20 or nil end
  return { label = texts.label(run, runs), planned = mib(memory.planned), measured = mib(memory.measured),
    resident = mib(memory.resident), parameters = run.parameters,
    seconds = statistics.median(numbers.only(fields(fields(run.curves).epoch).seconds)) }
end

local function add_row(tables, i, n, one, left)
  local y = n - i + 1
  local function put(name, x) if x then tables[name][#tables[name] + 1] = { x, y } end end
  if one.planned then
    table.move({ { one.planned, y - 0.3 }, { one.planned, y + 0.3 }, {} }, 1, 3, #tables.planned + 1, tables.planned)
  end
  put("measured", one.measured)
  put("resident", one.resident)
  put("seconds", one.seconds)
  local height = 96 + (y - 0.5) * ROW
  tables.right[#tables.right + 1] = { left - 14, height + 11, gnuplot.shortened(one.label, 30) }
  if finite(one.parameters) then
    tables.right_small[#tables.right_small + 1] = { left - 14, height - 12, string.format("%.0f thousand weights",
      one.parameters / 1000) }
  end
end

local function highest(tables, names)
  local most = 0
  for _, name in ipairs(names) do
    for _, point in ipairs(tables[name]) do most = math.max(most, point[1] or 0) end
  end
  return most > 0 and most * 1.1 or 1
end

--- runs: a list of runs. Seconds are the median of their epochs, with their evaluation. Returns the list of written
--- files, or nil, err.
function cost.draw(runs, basename, formats)
  local n, left = #runs, 320
  local tables = { planned = {}, measured = {}, resident = {}, seconds = {}, right = {}, right_small = {} }
  for i, run in ipairs(runs) do add_row(tables, i, n, numbers_of(run, runs), left) end
  if #tables.measured + #tables.resident + #tables.seconds == 0 then
    return nil, problem.new("data", "no run holds memory or seconds")
  end
  local top = 96 + n * ROW
  local mib, seconds = highest(tables, { "planned", "measured", "resident" }), highest(tables, { "seconds" })
  tables.page = { { 1240, top + 150, n, left, 770, 830, 1200, 96, top, mib, numbers.step(mib, 6), seconds,
    numbers.step(seconds, 6) } }
  tables.x_axes = { { (left + 770) / 2, 24, "MiB" }, { 1015, 24, "seconds" } }
  tables.heads = { { 830, top + 28, "Median time of an epoch" } }
  texts.key(tables, { { "key_measured", "measured" }, { "key_planned", "planned step" },
    { "key_resident", "resident" } }, left, top + 28)
  texts.add(tables, 40, "Memory and time of a training", texts.about(runs[1]))
  return gnuplot.draw("cost", tables, basename, formats)
end

return cost
