-- What training steps cost: seconds, and memory by the ledger, by the plan and by the system.

local engine = require "hilum.engine"
local model = require "hilum.model"
local optim = require "hilum.optim"
local problem = require "hilum.problem"

local cost = {}

--- A batch of n random images, a tenth of whose voxels are nodule: { image, truth, valid }.
function cost.random_batch(n, size)
  local function new(item, threshold)
    local t = engine.zeros({ n, 1, size[1], size[2], size[3] }, { layout = "image" })
    engine.rng(0, "bench", 0, item):fill_normal(t, 0, 1)
    return threshold and engine.op.clamp(engine.op.affine(t, { scale = 1e6, shift = -1e6 * threshold }),
      { low = 0, high = 1 }) or t
  end
  return { image = new(1), truth = new(2, 1.2816), valid = new(1):fill(1) }
end

-- What the ledger held at its peak but for parameters, their gradients and the optimiser.
local function activations(ledger)
  local p = ledger.at_peak
  return p.all - p.parameters - p.gradients - p.optimiser
end

-- Who watches step i. A profile leaves the first out.
local function observer_of(o, i)
  local by_kind, by_time = i > 1 and o.profile or nil, o.timeline
  if by_time then by_time:begin() end
  if not by_time then return by_kind and by_kind.observe end
  if not by_kind then return by_time.observe end
  return function(op)
    by_time.note(op)
    by_kind.observe(op)
  end
end

local function run_steps(step, batch, o)
  local seconds, losses, clipped = {}, {}, 0
  for i = 1, o.steps do
    local t = engine.clock()
    local result, err = step:run(batch, observer_of(o, i))
    if not result then error(problem.of(err), 0) end
    losses[i] = result.loss
    for _, count in pairs(result.clipped) do clipped = clipped + count end
    result.probability:free() -- as training does: the next step's own takes its place
    step:update(1e-3)
    seconds[i] = engine.clock() - t
    if o.each then o.each(i, seconds[i], losses[i]) end
  end
  return seconds, losses, clipped
end

--- Runs steps of forward pass, loss, backward pass and Adam. o: { net = layer, size = { z, y, x }, n = images in a
--- batch, batch = function() their tensors (default: random), precision, loss, steps, budget = bytes,
--- each = function(i, seconds, loss) after each step, profile = a profile of all steps but the first, timeline = one of
--- all steps }. "Start" is when net, input and truth exist. Returns { parameters, seconds, seconds_per_step, loss,
--- peak_rss_bytes, peak_above_start_bytes, start_rss_bytes, start_peak_rss_bytes, start_ledger_bytes,
--- peak_ledger_bytes, peak_ledger_activation_bytes, planned_bytes, planned_where, clipped = numbers of a 16-bit state
--- that left its range }; raises.
function cost.of_steps(o)
  local net = model.new(o.net, { seed = 0, precision = o.precision })
  net:predictor { batch = o.n, size = o.size } -- the parameters come to life
  local batch = o.batch and o.batch() or cost.random_batch(o.n, o.size)
  collectgarbage()
  engine.reset_peak()
  local start, before = engine.resident(), engine.ledger().live
  local _, highest = engine.resident() -- reading a scan may have taken more than what is left of it
  local step, err = net:trainer { loss = o.loss, optim = optim.adam {}, batch = o.n, size = o.size, budget = o.budget }
  if not step then error(err, 0) end
  local seconds, losses, clipped = run_steps(step, batch, o)
  local _, peak = engine.resident()
  local ledger, plan = engine.ledger(), step:plan()
  return {
    parameters = net:parameter_count(), seconds_per_step = math.min(table.unpack(seconds)), seconds = seconds,
    peak_rss_bytes = peak, peak_above_start_bytes = peak - start, start_rss_bytes = start,
    start_peak_rss_bytes = highest, start_ledger_bytes = before.all, peak_ledger_bytes = ledger.peak.all,
    peak_ledger_activation_bytes = activations(ledger), planned_bytes = plan.bytes.peak, planned_where = plan.where,
    loss = losses, clipped = clipped,
  }
end

return cost
