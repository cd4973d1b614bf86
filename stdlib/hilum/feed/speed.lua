-- How fast samples come: each stage by itself, all of them with and without workers, beside what a step uses up.

local augment = require "hilum.augment"
local engine = require "hilum.engine"
local feed = require "hilum.feed"
local problem = require "hilum.problem"
local value = require "hilum.value"

local speed = {}

-- Seconds that f(case) takes for each of the cases.
local function timed(cases, f)
  local start = engine.clock()
  for _, case in ipairs(cases) do f(case) end
  return (engine.clock() - start) / #cases
end

-- Each stage on its own, in this process: { load, augment, copy } in seconds a sample.
local function stages(f, cases)
  local samples, changed, seconds = {}, {}, {}
  seconds.load = timed(cases, function(case)
    local sample, err = f.set:load(case)
    if not sample then error(problem.of(err), 0) end
    samples[case] = sample
  end)
  seconds.augment = timed(cases, function(case)
    changed[case] = augment.apply(f.augment, samples[case], f.seed, 1, case)
  end)
  seconds.copy = timed(cases, function(case) f:place(changed[case], 1) end)
  return seconds
end

-- Seconds a sample while two epochs are asked for as fast as they come: { first, later }.
local function epochs(f, cases)
  local seconds = {}
  f:follow_training { first = 1, last = 2, train = cases, after = {}, n = 0 }
  for epoch = 1, 2 do
    local start, n = engine.clock(), 0
    for _, batch in ipairs(f:order(cases, epoch)) do
      local fine, err = f:fill(batch, epoch)
      if not fine then error(problem.of(err), 0) end
      n = n + #batch
    end
    seconds[epoch] = (engine.clock() - start) / n
  end
  return { first = seconds[1], later = seconds[2] }
end

-- Seconds that a training step takes on one batch, the fastest of some.
local function step_of(ready, f, cases, steps)
  local batch, err = f:fill(f:order(cases, 1)[1], 1)
  if not batch then error(problem.of(err), 0) end
  local best = math.huge
  for _ = 1, steps do
    local start = engine.clock()
    local result, why = ready.step:run(batch)
    if not result then error(problem.of(why), 0) end
    result.probability:free()
    ready.step:update(1e-6)
    best = math.min(best, engine.clock() - start)
  end
  return best
end

--- Measures an experiment's feed. o: { set, sides, ready (as for train.run), workers, bytes = budget, cases = at most
--- so many, steps }. Returns seconds for each sample { load, augment, copy, here = { first, later }, ahead = the same,
--- step = seconds of a step, used = seconds a step leaves for each of its samples, cases, workers }; raises.
function speed.of(spec, o)
  local cases = table.move(o.sides.train_cases, 1, math.min(o.cases, #o.sides.train_cases), 1, {})
  local function new(workers)
    return feed.new(o.set, { batch = spec.train.batch, size = value.plain(spec.data.crop), seed = spec.seed,
      augment = augment.on(spec.augment, spec.data), workers = workers, bytes = o.bytes })
  end
  local here = new(0)
  local result = stages(here, cases)
  result.here = epochs(here, cases)
  local ahead = new(o.workers)
  result.ahead, result.workers, result.cases = epochs(ahead, cases), ahead.workers, #cases
  ahead:free()
  result.step = step_of(o.ready, here, cases, o.steps)
  result.used = result.step / spec.train.batch
  return result
end

return speed
