-- What memory a training step holds while it runs: parameters and what belongs to them, images, and the passing values
-- that each op needs, beside the ledger, the plan and what the system says.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"
local timeline = require "hilum.timeline"

local step_memory = {}

local MOST = 500 -- ops that are drawn one by one

-- Of many ops in a row those where most and least is in use stand for all.
local function thinned(rows)
  if #rows <= MOST then return rows end
  local list, per = {}, #rows / (MOST // 2)
  for k = 1, MOST // 2 do
    local first, last = math.floor((k - 1) * per) + 1, math.floor(k * per)
    local low, high = rows[first], rows[first]
    for i = first, last do
      if rows[i].used < low.used then low = rows[i] end
      if rows[i].used > high.used then high = rows[i] end
    end
    list[#list + 1] = low.stop <= high.stop and low or high
    if low ~= high then list[#list + 1] = low.stop <= high.stop and high or low end
  end
  return list
end

-- Level stretches from one op's end to the next one's, both ends of each: x, then what value(row) gives.
local function stretches(rows, begin, value)
  local list, from = {}, begin
  for _, row in ipairs(rows) do
    local low, high = value(row)
    local last = list[#list]
    if last and last[2] == low and last[3] == high then
      last[1] = row.stop
    else
      list[#list + 1] = { from, low, high }
      list[#list + 1] = { row.stop, low, high }
    end
    from = row.stop
  end
  return list
end

local function split(rows)
  local forward, backward = {}, {}
  for _, row in ipairs(rows) do
    local list = row.backward and backward or forward
    list[#list + 1] = row
  end
  return forward, backward
end

local function most_of(rows, name)
  local most = 0
  for _, row in ipairs(rows) do most = math.max(most, row[name]) end
  return most
end

-- What bytes are drawn in: { name, bytes = of one of it, most = the highest of all lines, own = resident bytes that
-- are the program's own }.
local function unit_of(rows, what)
  local own = what.own or 0
  local most = math.max(what.planned, most_of(rows, "ledger"), most_of(rows, "resident") - own)
  local name, bytes = "MiB", 2 ^ 20
  if most >= 4 * 2 ^ 30 then name, bytes = "GiB", 2 ^ 30 end
  return { name = name, bytes = bytes, most = most / bytes, own = own }
end

-- Areas and lines as tables, in the unit. first: the rows of the first step, where another one is drawn.
local function curves(rows, first, what, unit)
  local shown, place = thinned(rows), {}
  for i, row in ipairs(rows) do place[row] = i end
  local forward, backward = split(shown)
  local turn = #forward > 0 and forward[#forward].stop or 0
  local function scaled(bytes) return bytes / unit.bytes end
  local function passing(row) return scaled(row.kept + row.data), scaled(row.used) end
  local function resident(row) return scaled(row.resident - unit.own), 0 end
  -- The first step takes longer: what was resident then is drawn where the same op of the last step is.
  local function in_first(row) return resident(first[place[row]]) end
  return {
    kept = stretches(shown, 0, function(row) return 0, scaled(row.kept) end),
    data = stretches(shown, 0, function(row) return scaled(row.kept), scaled(row.kept + row.data) end),
    forward = stretches(forward, 0, passing), backward = stretches(backward, turn, passing),
    ledger = stretches(shown, 0, function(row) return scaled(row.ledger), 0 end),
    planned = { { 0, scaled(what.planned) }, { rows[#rows].stop, scaled(what.planned) } },
    resident = stretches(shown, 0, resident),
    first = first and #first == #rows and stretches(shown, 0, in_first) or {},
  }, turn
end

-- "at most 78.4 MiB needed: conv of model[2].up[1]; planned 78.5, resident 80.1"
local function words(rows, what, unit)
  local top = timeline.peak(rows)
  local function in_unit(bytes) return (string.format("%.2f", bytes / unit.bytes):gsub("(%d%d%.%d)%d$", "%1")) end
  return string.format("at most %s %s needed: %s of %s; planned %s, resident %s", in_unit(top.used), unit.name,
    gnuplot.shortened(top.op, 22), gnuplot.shortened(top.place, 40), in_unit(what.planned),
    in_unit(most_of(rows, "resident") - unit.own))
end

local function add_keys(tables, x, y)
  texts.key(tables, { { "key_forward", "needed by an op of the forward pass" },
    { "key_backward", "of the backward pass" }, { "key_data", "images and results" } }, x, y)
  texts.key(tables, { { "key_kept", "parameters, gradients, moments" }, { "key_ledger", "ledger" },
    { "key_planned", "planned" }, { "key_resident", "resident" }, { "key_first", "resident in the first step" } },
    x, y - 28)
end

--- what: { steps = a timeline's, planned = bytes that the plan promised, own = resident bytes of the program beside the
--- ledger's when the first step began, title, note }. Draws the last step, and what was resident in the first. Returns
--- the list of written files, or nil, err.
function step_memory.draw(what, basename, formats)
  local all = numbers.fields(what.steps)
  local rows = numbers.fields(all[#all])
  if #rows == 0 then return nil, problem.new("data", "no op was watched: there is no memory to be drawn") end
  local unit, seconds = unit_of(rows, what), rows[#rows].stop
  local tables, turn = curves(rows, #all > 1 and all[1] or nil, what, unit)
  local width, height, left, right, bottom = 1240, 680, 100, 1210, 84
  local top = height - 206
  tables.page = { { width, height, left, right, bottom, top, seconds, numbers.step(seconds, 12), 1.05 * unit.most,
    numbers.step(unit.most, 8), turn } }
  tables.x_axes = { { (left + right) / 2, 22, "seconds since the step began" } }
  tables.y_axes = { { 28, (bottom + top) / 2, unit.name } }
  add_keys(tables, left, height - 134)
  texts.add(tables, 40, what.title, what.note)
  tables.note[2] = { 40, height - 94, words(rows, what, unit) }
  return gnuplot.draw("step_memory", tables, basename, formats)
end

return step_memory
