-- One round of scripts/data-speed: a name, a tab and seconds on each line.

local engine = require "hilum.engine"

local case, readings = arg[1], arg[2]

local function timed(name, fn)
  collectgarbage()
  local start = engine.clock()
  local result = fn()
  print(string.format("hilum: %s\t%.3f", name, engine.clock() - start))
  return result
end

local entry = timed("folder indexed", function() return assert(engine.index(case)) end).series[1]
local series = timed("series read", function() return assert(engine.read_series(entry.files)) end)
if entry.xml then
  local marks = timed("reading read", function() return assert(engine.read_marks(entry.xml)) end)
  local nodules = timed("marks grouped and drawn", function()
    return assert(engine.find_nodules(series, marks, { min_readers = 1, min_diameter_mm = 0 }))
  end)
  timed("masks of the whole scan", function()
    for session = 1, marks:info().sessions do engine.draw_nodules(nodules, { session = session }):free() end
    engine.draw_nodules(nodules, {}):free()
  end)
end
if readings and readings ~= "" then
  timed("readings audited", function() return assert(require("hilum.data").audit(readings)) end)
end
