-- One epoch: the steps through the training cases, then what the network is worth.

local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local evaluate = require "hilum.evaluate"
local notes = require "hilum.train.notes"
local problem = require "hilum.problem"
local schedule = require "hilum.schedule"
local watch = require "hilum.train.watch"

local epoch = {}

local function cancelled()
  if not engine.cancelled() then return nil end
  return problem.new("cancelled", "interrupted")
end

local function finite(x)
  return x == x and x ~= math.huge and x ~= -math.huge
end

-- Training cannot go on: what is wrong, and where it came from.
local function lost(s, n, step, cases, what, detail)
  local ids = {}
  for i, case in ipairs(cases) do ids[i] = s.set.cases[case].id end
  return problem.new("nan", string.format("%s in epoch %d, step %d (cases %s%s)", what, n, step,
    table.concat(ids, ", "), detail or ""))
end

-- Where a loss that is no number came from.
local function not_finite(s, n, step, cases, result)
  local scales = {}
  for _, one in ipairs(result.scales) do
    scales[#scales + 1] = string.format("scale %d: %g", one.scale, one.loss)
  end
  return lost(s, n, step, cases, string.format("the loss is %g", result.loss),
    "; " .. table.concat(scales, ", "))
end

-- Trains once through the cases. Returns the mean loss and the last rate, or nil and a problem.
local function learn(s, n)
  local batches = s.feed:order(s.sides.train_cases, n)
  local sum, rate = 0, nil
  for step, cases in ipairs(batches) do
    local stop = cancelled()
    if stop then return nil, stop end
    local batch, drawn = s.feed:fill(cases, n)
    if not batch then return nil, drawn end
    notes.draws(s, n, cases, drawn)
    local result, err = s.step:run(batch)
    if not result then return nil, err end
    if not finite(result.loss) then return nil, not_finite(s, n, step, cases, result) end
    rate = schedule.rate(s.spec.optim.rate, s.run.state.step + 1, s.total_steps,
      { per_epoch = #batches, history = s.run.curves.epoch })
    local fine, why = s.step:update(rate)
    if not fine then return nil, lost(s, n, step, cases, tostring(why)) end
    result.probability:free()
    notes.step(s, n, result, rate)
    fine, why = watch.states(s, batch)
    if not fine then return nil, why end
    sum = sum + result.loss
    s.bar:update("training", s.run.state.step, s.total_steps,
      string.format("epoch %d/%d  loss %.4f", n, s.spec.train.epochs, result.loss))
  end
  return sum / #batches, rate
end

--- Dice and loss of cases as they are; the training's bar stands still and says what is done meanwhile. o, optional:
--- metrics, calibrated, predict as evaluate.cases takes them.
function epoch.measure(s, what, cases, visit, o)
  return evaluate.cases(cases, {
    feed = s.feed, evaluator = s.evaluator, threshold = s.threshold, visit = visit, metrics = o and o.metrics,
    calibrated = o and o.calibrated, predict = o and o.predict,
    spacing_mm = dataset.spacing_mm(s.spec.data),
    step = function(i, n)
      s.bar:update("training", s.run.state.step, s.total_steps, string.format("%s %d/%d", what, i, n))
    end,
  })
end

--- One epoch: its row of the curves, or nil and a problem.
function epoch.run(s, n)
  local start, waited = engine.clock(), s.feed.waited
  local loss, rate = learn(s, n)
  if not loss then return nil, rate end
  local waiting = (s.feed.waited - waited) / (engine.clock() - start)
  s.step:swap_averages() -- back in train.lua, once the best are kept
  local known, err = epoch.measure(s, "training Dice", s.watched)
  if not known then return nil, err end
  local unknown
  unknown, err = epoch.measure(s, "validation Dice", s.sides.validation_cases)
  if not unknown then return nil, err end
  return { epoch = n, loss_train = loss, loss_validation = unknown.loss, dice_train = known.mean,
    dice_validation = unknown.mean, rate = rate, seconds = engine.clock() - start, waiting = waiting }
end

return epoch
