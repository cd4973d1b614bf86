-- A training step within a memory budget: what does not fit as it is goes through slabs of z, the level with the
-- largest state first, thinner and thinner, until it fits. Chosen from plans alone, so always the same.

local problem = require "hilum.problem"

local budget = {}

local SLABS = { 4, 8, 16 } -- per level, tried in this order

-- { { slices, values, places } … }: places whose states have one size, the largest first.
local function levels_of(streams)
  local list, by_size = {}, {}
  for _, one in ipairs(streams) do
    local key = one.slices .. " " .. one.values
    if not by_size[key] then
      by_size[key] = { slices = one.slices, values = one.values, places = {} }
      list[#list + 1] = by_size[key]
    end
    table.insert(by_size[key].places, one.place)
  end
  table.sort(list, function(a, b) return a.values > b.values end)
  return list
end

-- Rounded up: what is said to fit does.
local function gib(bytes)
  return string.format("%.2f GiB", math.ceil(bytes / 2 ^ 30 * 100) / 100)
end

local STEP = { what = "a training step", advice = "a smaller crop, a smaller batch or fewer channels" }

local function too_small(limit, first, least, streams, o)
  local how = #streams == 0 and "nothing in this network can go through slabs of z"
    or string.format("%s without slabs of z", gib(first.bytes))
  return problem.new("memory", string.format("%s %.2f GiB, but %s needs %s at least, "
    .. "at %s (%s): a budget of %s, %s would fit",
    o.limit or "the memory budget is", limit / 2 ^ 30, o.what, gib(least.bytes), least.where, how, gib(least.bytes),
    o.advice))
end

--- limit: bytes. streams: { { place, slices, values } … }, what can go through slabs. try(slabs) records the step
--- with { [place] = slices at a time } and returns { bytes, where }. Returns the slabs; or nil and a problem that says
--- what would fit. o: { what, advice, limit }, for its words: a training step's by default.
function budget.fit(limit, streams, try, o)
  local slabs = {}
  local first = try(slabs)
  local least = first
  if first.bytes <= limit then return slabs end
  for _, level in ipairs(levels_of(streams)) do
    local before = least.bytes
    for _, count in ipairs(SLABS) do
      local thickness = (level.slices + count - 1) // count
      for _, place in ipairs(level.places) do slabs[place] = thickness end
      local now = try(slabs)
      if now.bytes <= limit then return slabs end
      if now.bytes < least.bytes then least = now end
      if thickness == 1 then break end
    end
    if least.bytes == before then break end -- something else is the largest by now
  end
  return nil, too_small(limit, first, least, streams, o or STEP)
end

--- Lines that say what goes through slabs: sorted.
function budget.lines(slabs)
  local lines = {}
  for place, thickness in pairs(slabs) do
    lines[#lines + 1] = string.format("%s: couplings go through slabs of %d slices, to keep the memory budget", place,
      thickness)
  end
  table.sort(lines)
  return lines
end

return budget
