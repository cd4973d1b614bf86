-- Before the first step: the network planned, the data opened and divided.

local guard = require "hilum.guard"
local memory = require "hilum.memory"
local model = require "hilum.model"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local split = require "hilum.split"
local value = require "hilum.value"

local setup = {}

-- The training Dice is taken from as many training cases as validate, but from at least this many.
local WATCHED = 32

-- The experiment's network and its training step, for images of this size; raises where it does not fit the budget.
local function trainer_of(spec, size)
  local net = model.new(spec.model, { seed = spec.seed, precision = spec.train.precision })
  local limit = spec.train.memory_gib
  local step, err = net:trainer { loss = spec.loss, optim = spec.optim, batch = spec.train.batch,
    size = size, budget = limit and math.floor(limit * 2 ^ 30),
    average = spec.train.average, accumulate = spec.train.accumulate }
  if not step then error(err, 0) end
  return net, step
end

--- Network, step and plan for images of another size than the experiment's.
function setup.at_size(spec, size)
  local net, step = trainer_of(spec, size)
  return net, step, step:plan()
end

--- The experiment's network, ready to be trained: { net, step, plan = what step:plan() says }. Raises where it does
--- not fit into the memory budget.
function setup.prepare(spec)
  local net, step = trainer_of(spec, value.plain(spec.data.crop))
  local ready = { net = net, step = step, plan = step:plan() }
  local watched = spec.train.guard and guard.new(net, { batch = 1, size = value.plain(spec.data.crop),
    slabs = step.slabs })
  if not watched then return ready end
  ready.guard = watched
  local bytes = ready.plan.bytes
  local peak = watched:peak() + bytes.parameters + bytes.optimiser
  if peak > bytes.peak then bytes.peak, ready.plan.where = peak, "the guard's measurement" end
  return ready
end

-- What would make a step smaller.
local function smaller(spec)
  local ways = {}
  if spec.train.batch > 1 then
    ways[1] = string.format("train.batch = %d (with train.accumulate = %d a step keeps its size)",
      math.max(1, spec.train.batch // 2), 2 * spec.train.accumulate)
  end
  if tostring(spec.model):find('backprop = "store"', 1, true) then ways[#ways + 1] = 'backprop = "rebuild"' end
  ways[#ways + 1] = "a smaller data.crop"
  ways[#ways + 1] = "fewer channels"
  if tostring(spec.model):find("hl.nn.iunet", 1, true) then ways[#ways + 1] = "a budget (train.memory_gib)" end
  return table.concat(ways, ", ")
end

--- A problem where the planned step needs more than is available; nil where it fits or nothing is known. available:
--- bytes (default: as the system says).
function setup.too_large(spec, ready, available)
  local peak = ready.plan.bytes.peak
  available = available or memory.available()
  if not available or peak <= available then return nil end
  return problem.new("memory", string.format("a training step needs %s, at %s, and %s of memory are available; what "
    .. "would make it smaller: %s", progress.bytes(peak), ready.plan.where, progress.bytes(available), smaller(spec)))
end

--- Opens the data and divides it. Returns set and division, or nil and a problem.
function setup.data(spec, bar)
  local set, err = spec.data:open {
    progress = function(done, total, what) bar:update(what or "reading", done, total or 0) end,
  }
  bar:clear()
  if not set then return nil, err end
  local sides
  sides, err = split.cases(set.cases, spec.split, spec.seed)
  if not sides then return nil, err end
  return set, sides
end

--- Steps (updates) of an epoch over so many cases. o: the experiment's `train`.
function setup.steps(cases, o)
  local n = o.batch * o.accumulate
  return (cases + n - 1) // n
end

--- Of how many training cases the Dice is told.
function setup.watched_count(training, validation)
  return math.min(training, math.max(WATCHED, validation))
end

--- A seeded choice of training cases, whose Dice is told after each epoch.
function setup.watched(sides, seed)
  local cases = table.move(sides.train_cases, 1, #sides.train_cases, 1, {})
  split.shuffle(cases, seed, "watch", 0)
  local n = setup.watched_count(#cases, #sides.validation_cases)
  local chosen = table.move(cases, 1, n, 1, {})
  table.sort(chosen)
  return chosen
end

return setup
