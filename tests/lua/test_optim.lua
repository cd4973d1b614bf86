-- Optimisers and schedules where they are used: in a trainer, in a run's time, in an experiment's script. Their
-- numbers are compared with references in tests/golden/golden_optim.lua.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local model = require "hilum.model"

local op = engine.op
local size = { 4, 4, 4 }

local function image(item, low, high)
  local tensor = engine.zeros({ 2, 1, 4, 4, 4 }, { layout = "image" })
  engine.rng(5, "batch", 0, item):fill_uniform(tensor, low, high)
  return tensor
end

local batch = { image = image(1, -1, 1), truth = image(2, 0, 1), valid = image(3, 1, 1) }

local function trainer(optim, more)
  local o = { loss = hl.loss.dice {} + hl.loss.bce {}, optim = optim, batch = 2, size = size }
  for key, part in pairs(more or {}) do o[key] = part end
  local m = model.new(hl.nn.unet { channels = { 4, 8 } }, { seed = 3 })
  return m:trainer(o), m
end

local function steps(step, n, rate)
  local losses = {}
  for i = 1, n do
    losses[i] = step:run(batch).loss
    assert(step:update(rate))
  end
  return losses
end

local function bits(m)
  local parts = {}
  for i, p in ipairs(m:parameters()) do parts[i] = p.tensor:raw() end
  return table.concat(parts)
end

-- ---- every optimiser trains, and goes on after its state was saved as if nothing had happened ----

local optimisers = {
  { "adam", hl.optim.adam {}, 1e-2 },
  { "AMSGrad", hl.optim.adam { amsgrad = true }, 1e-2 },
  { "adamw", hl.optim.adamw {}, 1e-2 },
  { "radam", hl.optim.radam { decay = 0.01, decoupled = true }, 1e-2 },
  { "sgd", hl.optim.sgd {}, 0.05 },
  { "sgd, momentum", hl.optim.sgd { momentum = 0.9, nesterov = true, decay = 1e-4 }, 0.02 },
  { "rmsprop", hl.optim.rmsprop {}, 1e-3 },
  { "rmsprop, all", hl.optim.rmsprop { centred = true, momentum = 0.5 }, 1e-3 },
  { "clipped", hl.optim.adam { clip_norm = 0.1 }, 1e-2 },
  { "averaged", hl.optim.sgd { momentum = 0.9 }, 0.02, { average = 0.9 } },
}

for _, one in ipairs(optimisers) do
  local name, spec, rate, more = table.unpack(one)
  local step, m = trainer(spec, more)
  local losses = steps(step, 8, rate)
  t.ok(losses[8] < losses[1], string.format("%s: the loss falls, %.4f to %.4f", name, losses[1], losses[8]))
  local saved, weights = { tensors = {}, steps = step:state().steps }, {}
  for key, tensor in pairs(step:state().tensors) do saved.tensors[key] = tensor:clone() end
  for key, tensor in pairs(m:weights()) do weights[key] = tensor:clone() end
  steps(step, 2, rate)
  local again, m2 = trainer(spec, more)
  m2:load_weights(weights)
  again:load_state(saved)
  steps(again, 2, rate)
  t.ok(bits(m) == bits(m2), name .. ": resumed from its state, it ends with the same bits")
end

-- ---- clipping ----

do
  local free = trainer(hl.optim.sgd {})
  free:run(batch)
  local all = hl.optim.norm(free.gradients, "2"):table()[1]
  local by_hand = 0
  for _, g in ipairs(free.gradients) do by_hand = by_hand + op.sum(op.square(g:to "f64")):table()[1] end
  t.near(all, math.sqrt(by_hand), 1e-6 * all, "the norm goes over all parameters")

  local limit = all / 4
  local step, m = trainer(hl.optim.sgd { clip_norm = limit })
  local reference, m2 = trainer(hl.optim.sgd {})
  step:run(batch)
  local fine, norm = step:update(0.1)
  t.ok(fine and norm == all, "update tells the norm before clipping")
  reference:run(batch)
  reference:update(0.1 * hl.optim.clip_factor(all, limit))
  local worst = 0
  for i, p in ipairs(m:parameters()) do
    local s = (p.tensor - m2:parameters()[i].tensor):stats()
    worst = math.max(worst, math.abs(s.min), math.abs(s.max))
  end
  t.ok(worst < 1e-7, string.format("a clipped step of SGD is a step with a smaller rate (%.2g)", worst))

  local many = {}
  for i = 1, 100 do many[i] = engine.from({ i, -i }) end
  t.near(hl.optim.norm(many, "1"):table()[1], 10100, 1e-9, "1-norm of a hundred tensors")
  t.near(hl.optim.norm(many, "inf"):table()[1], 100, 0, "largest size in a hundred tensors")
  t.near(hl.optim.norm(many, "2"):table()[1], math.sqrt(2 * 338350), 1e-9, "2-norm of a hundred tensors")
  many[70]:set(1, 0 / 0)
  t.ok(hl.optim.norm(many, "inf"):table()[1] ~= hl.optim.norm(many, "inf"):table()[1], "NaN is not overlooked")
end

do -- a gradient that is no number
  local step, m = trainer(hl.optim.sgd { clip_norm = 1 })
  step:run(batch)
  step.gradients[1]:fill(0 / 0)
  local before = bits(m)
  local fine, err = step:update(0.1)
  t.ok(fine == nil and err.code == "nan", "a gradient that is no number is told")
  t.like(tostring(err), "the norm of the gradients is %-?nan", "in words")
  t.ok(bits(m) == before, "and nothing has changed")
end

-- ---- moving averages ----

do
  local step, m = trainer(hl.optim.sgd {}, { average = 0.5 })
  local name = m:parameters()[1].name
  local start = m:weights()[name]:clone()
  steps(step, 1, 0.1)
  local s = (step:averages()[name] - 0.5 * (start + m:weights()[name])):stats()
  t.ok(math.max(-s.min, s.max) < 1e-7, "the average lies between the old and the new weights")
end

do -- eagerly, on a part of a tensor
  local all = engine.from { { 1, 2, 3 }, { 4, 5, 6 } }
  op.ema(all:slice(2, 2, 3), engine.zeros { 2, 2 }, { decay = 0.5 })
  t.same(all:table(), { 1.0, 1.0, 1.5, 4.0, 2.5, 3.0 }, "an update of a slice changes the tensor it is cut from")
end

-- ---- schedules in the time of a run ----

local function rates(spec, epochs, per_epoch, history)
  local list = {}
  for i = 1, epochs * per_epoch do
    list[i] = hl.schedule.rate(spec, i, epochs * per_epoch, { per_epoch = per_epoch, history = history })
  end
  return list
end

local function shown(list)
  local texts = {}
  for i, x in ipairs(list) do texts[i] = string.format("%.4g", x) end
  return table.concat(texts, " ")
end

t.is(shown(rates(hl.schedule.step { from = 1, every = 2 }, 5, 2)), "1 1 1 1 0.1 0.1 0.1 0.1 0.01 0.01",
  "step: lengths are epochs")
t.is(shown(rates(hl.schedule.step { from = 1, every = 2, unit = "step" }, 5, 1)), "1 1 0.1 0.1 0.01", "or steps")
t.is(shown(rates(hl.schedule.step { from = 1, every = 0.3 }, 3, 10)), "1 1 1 0.1 0.1 0.1 0.01 0.01 0.01 0.001 "
  .. "0.001 0.001 0.0001 0.0001 0.0001 1e-05 1e-05 1e-05 1e-06 1e-06 1e-06 1e-07 1e-07 1e-07 1e-08 1e-08 1e-08 "
  .. "1e-09 1e-09 1e-09", "or parts of an epoch, without being late by rounding")
t.is(shown(rates(hl.schedule.multistep { from = 1, milestones = { 1, 3 }, factor = 0.5 }, 4, 2)),
  "1 1 0.5 0.5 0.5 0.5 0.25 0.25", "multistep")
t.is(shown(rates(hl.schedule.linear { from = 1, to = 3 }, 5, 1)), "1 1.5 2 2.5 3",
  "without a length a schedule ends at the last step")
t.is(shown(rates(hl.schedule.linear { from = 1, to = 3, over = 2 }, 4, 1)), "1 2 3 3", "with one it stays after it")
t.is(shown(rates(hl.schedule.polynomial { from = 1, to = 0.5, power = 1 }, 3, 1)), "1 0.75 0.5", "polynomial")
local down = hl.schedule.linear { from = 1, to = 0.25 }
t.is(shown(rates(hl.schedule.warmup { over = 2, from = 0.5, next = down }, 6, 1)),
  "0.5 0.75 1 0.75 0.5 0.25", "after a warm-up the next schedule has the rest of the run")
t.is(shown(rates(hl.schedule.warmup { over = 2, from = 0, next = 0.5 }, 4, 1)), "0 0.25 0.5 0.5",
  "a warm-up before a plain rate")
local up = hl.schedule.linear { from = 1, to = 2 }
t.is(shown(rates(hl.schedule.sequence { 0.5, up, 0.1, milestones = { 1, 4 } }, 5, 1)),
  "0.5 1 1.5 2 0.1", "sequence: each part fills its place")
t.is(shown(rates(hl.schedule.cosine_restarts { from = 1, first = 1e-6 }, 2, 2)), "1 1 1 1",
  "very short periods are no endless work")
t.is(shown(rates(hl.schedule.one_cycle { peak = 1, start_divisor = 4, end_divisor = 5 }, 1, 1)), "0.05",
  "one cycle of one step is its end")
t.is(shown(rates(hl.schedule.cosine { from = 1 }, 1, 1)), "1", "a run of one step")

local falling = { dice_validation = { 0.5, 0.6, 0.55, 0.56, 0.5 } }
local function plateau(fields, history)
  local spec = hl.schedule.plateau(fields)
  return hl.schedule.rate(spec, 6, 9, { per_epoch = 1, history = history })
end
t.near(plateau({ from = 1, patience = 2 }, falling), 0.1, 1e-15,
  "plateau: three epochs without improvement of the Dice")
t.is(plateau({ from = 1, patience = 3 }, falling), 1.0, "and three that are put up with")
t.is(plateau({ from = 1, patience = 0, metric = "loss_train" }, { loss_train = { 3, 2, 1 } }), 1.0,
  "a loss should fall")
t.is(hl.schedule.rate(hl.schedule.plateau { from = 1 }, 1, 9), 1.0, "before the first epoch there is no metric")

-- ---- wrong values ----

local function refuses(code, pattern, name)
  t.raises(function() assert(load("local hl = require 'hilum' return " .. code))() end, pattern, name or code)
end

refuses("hl.optim.sgd { rate = 0 }", "rate: expected a number > 0, or a value of the family 'schedule', got 0")
refuses("hl.optim.sgd { momentum = 1.5 }", "momentum: expected a number >= 0 and <= 1, got 1.5")
refuses("hl.optim.sgd { nesterov = true }", "nesterov: needs momentum above 0 and no dampening")
refuses("hl.optim.sgd { clip_norm = 0 }", "clip_norm: expected a number > 0")
refuses("hl.optim.adam { clip_order = '3' }", "clip_order: expected one of")
refuses("hl.optim.adam { beta1 = 1 }", "beta1: expected a number")
refuses("hl.optim.rmsprop { centered = true }", "unknown key 'centered'.*did you mean 'centred'")
refuses("hl.optim.radam { decay = 0 / 0 }", "decay: expected a number")
refuses("hl.schedule.multistep { from = 1, milestones = {} }", "milestones: expected a list of at least 1")
refuses("hl.schedule.sequence { 1, 2 }", "milestones: missing")
refuses("hl.schedule.sequence { 1, 2, milestones = { 3, 4 } }", "milestones: expected 1, one between each two")
refuses("hl.schedule.sequence { 1, 2, 3, milestones = { 3, 2 } }", "milestones: must ascend")
refuses("hl.schedule.one_cycle { peak = 1, phases = 'three', rise = 0.6 }", "rise: three phases rise in at most half")
refuses("hl.schedule.warmup { over = 2, next = hl.loss.dice {} }", "next: expected a number > 0, or a value of")
refuses("hl.schedule.plateau { from = 1, metric = 'dice' }", "metric: expected one of")
refuses("hl.schedule.plateau { from = 1, factor = 1 }", "factor: expected a number")

local function refused(code, pattern)
  local place = setmetatable({ op = op, engine = engine }, { __index = _G })
  t.raises(function() assert(load(code, "=code", "t", place))() end, pattern, code)
end

local three = "local x, c = engine.zeros { 3 }, engine.from({ 0.1, 1 }, { dtype = 'f64' }) "
refused(three .. "op.sgd(x, x, c, x)", "sgd: momentum 0 does not take a buffer")
refused(three .. "op.sgd(x, x, c, { momentum = 0.5 })", "sgd: momentum 0.5 needs a buffer")
refused(three .. "op.sgd(x, x, c, { nesterov = true })", "sgd: nesterov needs momentum above 0")
refused(three .. "op.sgd(x, engine.zeros { 4 }, c)", "sgd: grad is f32%[4%], but param is f32%[3%]")
refused(three .. "op.rmsprop(x, x, c, x, x)", "rmsprop: takes 4 inputs here")
refused(three .. "op.radam(x, x, x, x, engine.zeros { 2 })", "radam: clock must be f64%[2%]")
refused(three .. "c:set(1, 1 / 0) op.sgd(x, engine.zeros { 3 }, c)", "sgd: rate inf")
refused(three .. "op.sgd(x, x, c)", "sgd changes its input 1, which is also its input 2")
refused(three .. "op.ema(x, x, { decay = 2 })", "ema: decay")
refused(three .. "op.total_norm(x, { order = 'three' })", "total_norm: order must be one of 2|1|inf")

t.done()
