-- One epoch: the steps through the training cases, then what the network is worth.

local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local evaluate = require "hilum.evaluate"
local finite = require "hilum.finite"
local hooks = require "hilum.train.hooks"
local notes = require "hilum.train.notes"
local problem = require "hilum.problem"
local schedule = require "hilum.schedule"
local telling = require "hilum.train.telling"
local trouble = require "hilum.train.trouble"
local watch = require "hilum.train.watch"

local epoch = {}

local function cancelled()
  if not engine.cancelled() then return nil end
  return problem.new("cancelled", "interrupted")
end

-- Mean of what several runs say of their losses; what they cut off, summed.
local function mean_of(results)
  local first = results[1]
  if #results == 1 then return first end
  local mean = { loss = 0, scales = {}, clipped = {} }
  for k, one in ipairs(first.scales) do mean.scales[k] = { scale = one.scale, loss = 0, weight = one.weight } end
  for _, result in ipairs(results) do
    mean.loss = mean.loss + result.loss / #results
    for place, n in pairs(result.clipped) do mean.clipped[place] = (mean.clipped[place] or 0) + n end
    for k, one in ipairs(result.scales) do
      mean.scales[k].loss = mean.scales[k].loss + one.loss / #results
    end
  end
  return mean
end

-- Runs one batch of a step, further ones adding to the first. Returns what the run says, or nil and a problem.
local function run_batch(s, at, cases, further)
  local stop = cancelled()
  if stop then return nil, stop end
  local batch, drawn = s.feed:fill(cases, at.epoch)
  if not batch then return nil, drawn end
  notes.draws(s, at.epoch, cases, drawn)
  local result, err
  if further then result, err = s.step:add(batch) else result, err = s.step:run(batch) end
  if not result then return nil, err end
  result.probability:free()
  if finite.is(result.loss) then return result, batch end
  return nil, trouble.of_batch(s, { what = "the loss is " .. finite.text(result.loss), epoch = at.epoch,
    step = at.step, cases = cases, batch = batch, result = result, rate = s.rate,
    search = function(one) return s.step:search(one) end })
end

-- The loss was finite and a gradient is not: in which of the step's batches it was.
local function bad_gradient(s, at, parts, err)
  local what, last = tostring(err), nil
  for k, cases in ipairs(parts) do
    local batch, failed = s.feed:fill(cases, at.epoch)
    if not batch then return failed end
    local function search(one) return s.step:search(one, k) end
    local found, stop = search(batch)
    if stop then return stop end
    if found or k == #parts then
      last = trouble.of_batch(s, { what = what, epoch = at.epoch, step = at.step, cases = cases, batch = batch,
        rate = s.rate, search = search })
    end
    if found then break end
  end
  return last
end

-- One update, from the batches `parts`. at: { epoch, step, per_epoch }. Returns what was found, or nil and a problem.
local function one_step(s, at, parts)
  local results, batch = {}, nil
  for k, cases in ipairs(parts) do
    results[k], batch = run_batch(s, at, cases, k > 1)
    if not results[k] then return nil, batch end
  end
  local rate = schedule.rate(s.spec.optim.rate, s.run.state.step + 1, s.total_steps,
    { per_epoch = at.per_epoch, history = s.run.curves.epoch })
  s.rate = rate
  local fine, norm = s.step:update(rate)
  local err = norm
  if not fine then return nil, err.code == "nan" and bad_gradient(s, at, parts, err) or err end
  local result = mean_of(results)
  local row = notes.step(s, at.epoch, result, rate, norm)
  notes.clipped(s, result.clipped)
  fine, err = hooks.step_end(s, at.epoch, row)
  if not fine then return nil, err end
  fine, err = watch.states(s, batch)
  if not fine then return nil, err end
  return result
end

-- Trains once through the cases. Returns { loss = mean, rate = the last, scales, cases_per_second }, or nil and a
-- problem.
local function learn(s, n)
  local batches, gathered = s.feed:order(s.sides.train_cases, n), s.spec.train.accumulate
  local steps, sum, clipped, scales, start = #batches // gathered, 0, {}, {}, engine.clock()
  for step = 1, steps do
    local parts = table.move(batches, (step - 1) * gathered + 1, step * gathered, 1, {})
    local result, err = one_step(s, { epoch = n, step = step, per_epoch = steps }, parts)
    if not result then return nil, err end
    sum = sum + result.loss
    for place, count in pairs(result.clipped) do clipped[place] = (clipped[place] or 0) + count end
    telling.add(scales, result)
    s.bar:update("training", s.run.state.step, s.total_steps,
      telling.note(s, n, step / steps, engine.clock() - start, result))
  end
  watch.range(s, n, clipped)
  local lost = trouble.of_weights(s, n, s.rate)
  if lost then return nil, lost end
  for _, one in ipairs(scales) do one.loss = one.loss / steps end
  return { loss = sum / steps, rate = s.rate, scales = scales,
    cases_per_second = steps * gathered * s.spec.train.batch / (engine.clock() - start) }
end

--- Dice and loss of cases as they are; the training's bar stands still and says what is done meanwhile. o, optional:
--- metrics, calibrated, predict, lesions as evaluate.cases takes them.
function epoch.measure(s, what, cases, visit, o)
  return evaluate.cases(cases, {
    feed = s.feed, evaluator = s.evaluator, threshold = s.threshold, visit = visit, metrics = o and o.metrics,
    calibrated = o and o.calibrated, predict = o and o.predict, lesions = o and o.lesions,
    spacing_mm = dataset.spacing_mm(s.spec.data),
    lost = function(case, batch, result)
      return trouble.of_batch(s, { what = string.format("%s: the loss is %s", what, finite.text(result.loss)),
        epoch = s.run.state.epoch + 1, cases = { case }, batch = batch, result = result, rate = s.rate,
        search = function(one) return s.evaluator:search(one) end })
    end,
    step = function(i, n)
      s.bar:update("training", s.run.state.step, s.total_steps, string.format("%s %d/%d", what, i, n))
    end,
  })
end

--- One epoch: its row of the curves, or nil and a problem.
function epoch.run(s, n)
  local start, waited = engine.clock(), s.feed.waited
  local learnt, err = learn(s, n)
  if not learnt then return nil, err end
  local waiting = (s.feed.waited - waited) / (engine.clock() - start)
  s.step:swap_averages() -- back in train.lua, once the best are kept
  local known, unknown
  known, err = epoch.measure(s, "training Dice", s.watched)
  if not known then return nil, err end
  unknown, err = epoch.measure(s, "validation Dice", s.sides.validation_cases)
  if not unknown then return nil, err end
  return { epoch = n, loss_train = learnt.loss, loss_validation = unknown.loss, dice_train = known.mean,
    dice_validation = unknown.mean, rate = learnt.rate, seconds = engine.clock() - start, waiting = waiting,
    scales = learnt.scales, cases_per_second = learnt.cases_per_second }
end

return epoch
