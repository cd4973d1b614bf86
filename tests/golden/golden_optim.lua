-- Golden vectors of optimisers, schedules, clipping and moving averages.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local hl = require "hilum"

local op = engine.op

-- ---- optimisers, as the trainer uses them ----

local makers = {
  SGD = function(c)
    return hl.optim.sgd { momentum = c.momentum, dampening = c.dampening, nesterov = c.nesterov,
      decay = c.weight_decay }
  end,
  Adam = function(c)
    local make = c.decoupled_weight_decay and hl.optim.adamw or hl.optim.adam
    return make { beta1 = c.betas[1], beta2 = c.betas[2], eps = c.eps, decay = c.weight_decay, amsgrad = c.amsgrad }
  end,
  RAdam = function(c)
    return hl.optim.radam { beta1 = c.betas[1], beta2 = c.betas[2], eps = c.eps, decay = c.weight_decay,
      decoupled = c.decoupled_weight_decay }
  end,
  RMSprop = function(c)
    return hl.optim.rmsprop { alpha = c.alpha, eps = c.eps, momentum = c.momentum, centred = c.centered,
      decay = c.weight_decay }
  end,
}
makers.AdamW = makers.Adam

-- The tensors behind the values of a tape.
local function tensors(v)
  local list = {}
  for name, value in pairs(v) do list[name] = value:tensor() end
  return list
end

local function row(tensor, i)
  return tensor:slice(1, i):reshape(table.move(tensor.shape, 2, #tensor.shape, 1, {}))
end

local function optimizer(case, v)
  local given = tensors(v)
  local make = makers[case.optimizer] or golden.missing("the optimiser " .. case.optimizer)
  local spec = make(case)
  local param = given.p0:clone()
  local item = { name = "p", tensor = param, decay = true }
  local state, clock = spec:state(param), engine.zeros({ 3 }, { dtype = "f64" })
  local program = engine.program()
  local gradient = program:input("g", param.shape, { dtype = case.dtype })
  spec:emit(program, item, gradient, state, program:bind("clock", clock, false))
  program:finish()
  local trajectory = engine.zeros(given.grads.shape, { dtype = case.dtype })
  for t = 1, given.grads.shape[1] do
    clock:set(1, case.lr)
    clock:set(2, t)
    clock:set(3, 1)
    program:run { row(given.grads, t) }
    local place = trajectory:slice(1, t)
    place:copy_(param:reshape(place.shape))
  end
  return { trajectory = trajectory }
end

-- ---- schedules ----

local function onecycle(c)
  return hl.schedule.one_cycle { peak = c.max_lr, rise = c.pct_start,
    shape = c.anneal == "cos" and "cosine" or "linear",
    start_divisor = c.div_factor, end_divisor = c.final_div_factor, phases = c.three_phase and "three" or "two",
    over = c.total_steps, unit = "step" }
end

local function cosine(c)
  return hl.schedule.cosine { from = c.base_lr, to = c.eta_min, over = c.T_max, unit = "step" }
end

local function poly(c)
  return hl.schedule.polynomial { from = c.base_lr, power = c.power, over = c.total_iters, unit = "step" }
end

local function warmup(c, next)
  return hl.schedule.warmup { from = c.warmup_start_factor, over = c.warmup_steps, unit = "step", next = next }
end

local schedules = {
  step = function(c)
    return hl.schedule.step { from = c.base_lr, every = c.step_size, factor = c.gamma, unit = "step" }
  end,
  multistep = function(c)
    return hl.schedule.multistep { from = c.base_lr, milestones = c.milestones, factor = c.gamma, unit = "step" }
  end,
  exponential = function(c)
    return hl.schedule.exponential { from = c.base_lr, factor = c.gamma, unit = "step" }
  end,
  constant = function(c) return hl.schedule.constant { rate = c.base_lr } end,
  cosine = cosine, cosine_zero = cosine, poly = poly,
  cosine_restarts = function(c)
    return hl.schedule.cosine_restarts { from = c.base_lr, to = c.eta_min, first = c.T_0, factor = c.T_mult,
      unit = "step" }
  end,
  onecycle = onecycle, onecycle_cos = onecycle, onecycle_linear = onecycle, onecycle_threephase = onecycle,
  linear_warmup = function(c)
    return hl.schedule.linear { from = c.base_lr * c.start_factor, to = c.base_lr * c.end_factor,
      over = c.total_iters, unit = "step" }
  end,
  warmup_cosine = function(c) return warmup(c, cosine(c)) end,
  warmup_poly = function(c) return warmup(c, poly(c)) end,
}

local function lr_schedule(case)
  local make = schedules[case.schedule] or golden.missing("the schedule " .. case.schedule)
  local spec, rates = make(case), {}
  for t = 1, case.steps do rates[t] = hl.schedule.rate(spec, t, case.steps) end
  return { lr = rates }
end

local function lr_plateau(case, v)
  local spec = hl.schedule.plateau {
    from = case.base_lr, metric = "loss_validation", better = case.mode == "max" and "higher" or "lower",
    factor = case.factor, patience = case.patience, threshold = case.threshold,
    threshold_kind = case.threshold_mode == "abs" and "absolute" or "relative",
    cooldown = case.cooldown, lowest = case.min_lr, smallest_change = case.eps,
  }
  local seen, rates = {}, {}
  for t, x in ipairs(v.metric:tensor():table()) do
    seen[t] = x
    rates[t] = hl.schedule.rate(spec, t + 1, case.steps, { per_epoch = 1, history = { loss_validation = seen } })
  end
  return { lr = rates }
end

-- ---- clipping and averages ----

local function clip_grad_norm(case, v)
  local list, names = {}, {}
  for name, tensor in pairs(tensors(v)) do
    names[#names + 1] = name
    list[#list + 1] = tensor
  end
  local norm = hl.optim.norm(list, case.norm_type)
  local factor = hl.optim.clip_factor(norm:table()[1], case.max_norm)
  local outputs = { total_norm = norm }
  for i, name in ipairs(names) do outputs[name] = op.affine(list[i], { scale = factor }) end
  return outputs
end

local function ema(case, v)
  local x = v.x:tensor()
  local average, all = row(x, 1):clone(), engine.zeros(x.shape, { dtype = case.dtype })
  for t = 1, x.shape[1] do
    if t > 1 then op.ema(average, row(x, t), { decay = case.decay }) end
    local place = all:slice(1, t)
    place:copy_(average:reshape(place.shape))
  end
  return { ema = all }
end

golden.run {
  topic = "optim",
  dtypes = { "f64", "f32" }, -- what is trained, its gradients and moments are f32 beside bf16 images too
  ops = {
    optimizer = optimizer, lr_schedule = lr_schedule, lr_plateau = lr_plateau, clip_grad_norm = clip_grad_norm,
    ema = ema,
  },
}
