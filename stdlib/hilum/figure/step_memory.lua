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

-- "at most 78.4 MiB needed: conv of model[2].up[1], backward pass; planned 78.5, resident 80.1"
local function words(rows, what, unit, own)
  local top = timeline.peak(rows)
  local function in_unit(bytes) return string.format("%.2f", bytes / unit.bytes):gsub("(%d%d%.%d)%d$", "%1") end
  return string.format("at most %s %s needed: %s of %s, %s pass; planned %s, resident %s", in_unit(top.used), unit.name,
    gnuplot.shortened(top.op, 24), gnuplot.shortened(top.place, 40), top.backward and "backward" or "forward",
    in_unit(what.planned), (in_unit(most_of(rows, "resident") - own)))
end

--- what: { steps = a timeline's, planned = bytes that the plan promised, own = resident bytes of the program beside the
--- ledger's when the first step began, title, note }. Draws the last step, and what was resident in the first. Returns
--- the list of written files, or nil, err.
function step_memory.draw(what, basename, formats)
  local all = numbers.fields(what.steps)
  local rows, first = numbers.fields(all[#all]), numbers.fields(all[1])
  if #rows == 0 then return nil, problem.new("data", "no op was watched: there is no memory to be drawn") end
  local own, forward, backward = what.own or 0, split(thinned(rows))
  local most = math.max(what.planned, most_of(rows, "ledger"), most_of(rows, "resident") - own)
  local unit = most >= 4 * 2 ^ 30 and { name = "GiB", bytes = 2 ^ 30 } or { name = "MiB", bytes = 2 ^ 20 }
  local function scaled(bytes) return bytes / unit.bytes end
  local function resident(row) return scaled(row.resident - own) end
  local function passing(row) return scaled(row.kept + row.data), scaled(row.used) end
  local width, height, left, right, bottom = 1240, 680, 100, 1210, 84
  local top = height - 206
  local seconds, turn = rows[#rows].stop, #forward > 0 and forward[#forward].stop or 0
  local shown, place = thinned(rows), {}
  for i, row in ipairs(rows) do place[row] = i end
  -- The first step takes longer: what was resident then is drawn where the same op of the last step is.
  local function in_first(row) return resident(first[place[row]]), 0 end
  local tables = {
    page = { { width, height, left, right, bottom, top, seconds, numbers.step(seconds, 12),
      1.05 * scaled(most), numbers.step(scaled(most), 8), turn } },
    kept = stretches(shown, 0, function(row) return 0, scaled(row.kept) end),
    data = stretches(shown, 0, function(row) return scaled(row.kept), scaled(row.kept + row.data) end),
    forward = stretches(forward, 0, passing),
    backward = stretches(backward, turn, passing),
    ledger = stretches(shown, 0, function(row) return scaled(row.ledger), 0 end),
    planned = { { 0, scaled(what.planned) }, { seconds, scaled(what.planned) } },
    resident = stretches(shown, 0, function(row) return resident(row), 0 end),
    first = #first == #rows and #all > 1 and stretches(shown, 0, in_first) or {},
    x_axes = { { (left + right) / 2, 22, "seconds since the step began" } },
    y_axes = { { 28, (bottom + top) / 2, unit.name } },
  }
  texts.key(tables, { { "key_forward", "needed by an op of the forward pass" },
    { "key_backward", "of the backward pass" }, { "key_data", "images and results" } }, left, height - 134)
  texts.key(tables, { { "key_kept", "parameters, gradients, moments" }, { "key_ledger", "ledger" },
    { "key_planned", "planned" }, { "key_resident", "resident" }, { "key_first", "resident in the first step" } },
    left, height - 162)
  texts.add(tables, 40, what.title, what.note)
  tables.note[2] = { 40, height - 94, words(rows, what, unit, own) }
  return gnuplot.draw("step_memory", tables, basename, formats)
end

return step_memory
