-- hl.optim: optimisers as fused updates. emit(self, program, item, gradient, state, clock) records the update of one
-- parameter; state(self, tensor) makes what it remembers. Conventions are PyTorch's: decay is added to the gradient
-- unless it is decoupled, eps to the root.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local schedule = require "hilum.schedule"

local op = engine.op
local optim = {}

-- ---- clipping ----

local MOST = 32 -- inputs of one op

--- Norm of several tensors (or values of a program) as one vector. order: "2", "1" or "inf".
function optim.norm(list, order)
  local norms = {}
  for first = 1, #list, MOST do
    local part = table.move(list, first, math.min(first + MOST - 1, #list), 1, {})
    part[#part + 1] = { order = order }
    norms[#norms + 1] = op.total_norm(table.unpack(part))
  end
  return #norms == 1 and norms[1] or optim.norm(norms, order)
end

--- What gradients of this norm are multiplied by so that it does not exceed the limit.
function optim.clip_factor(norm, limit)
  return math.min(1, limit / (norm + 1e-6))
end

-- ---- constructors ----

-- A constructor with the fields that all optimisers have. o: { doc, rate, fields, check, parts = function(self) ->
-- names of the state's tensors, emit = function(self, bind, gradient, clock, decay) }; bind(part) is a value of the
-- parameter ("") or of a part of the state.
local function optimiser(name, o)
  local fields = { rate = schedule.kind { default = o.rate, doc = "learning rate: a number or hl.schedule.…" } }
  for key, kind in pairs(o.fields) do fields[key] = kind end
  fields.decay = schema.number { default = o.decay or 0, min = 0, doc = "of weights; not of biases, norms, rotations" }
  fields.clip_norm = schema.optional(schema.number { above = 0,
    doc = "the gradients of all parameters together are scaled down to this norm" })
  fields.clip_order = schema.one_of { "2", "1", "inf", default = "2", doc = "which norm" }
  return schema.constructor(name, {
    doc = o.doc, family = "optimiser", fields = fields, check = o.check,
    methods = {
      state = function(self, tensor)
        local parts = {}
        for _, part in ipairs(o.parts(self)) do
          parts[part] = engine.zeros(tensor.shape, { dtype = tensor.dtype, category = "optimiser" })
        end
        return parts
      end,
      emit = function(self, program, item, gradient, state, clock)
        local function bind(part)
          if part == "" then return program:bind(item.name, item.tensor, false) end
          return program:bind(item.name .. "." .. part, state[part], false)
        end
        o.emit(self, bind, gradient, clock, item.decay and self.decay or 0)
      end,
    },
  })
end

local function adam(name, doc, decoupled, decay)
  return optimiser(name, {
    doc = doc, rate = 1e-3, decay = decay,
    fields = {
      beta1 = schema.number { default = 0.9, min = 0, below = 1, doc = "decay of the mean gradient" },
      beta2 = schema.number { default = 0.999, min = 0, below = 1, doc = "decay of the mean square" },
      eps = schema.number { default = 1e-8, above = 0 },
      amsgrad = schema.bool { default = false,
        doc = "divides by the largest mean square so far (Reddi, Kale, Kumar 2018)" },
    },
    parts = function(self) return self.amsgrad and { "mean", "square", "largest" } or { "mean", "square" } end,
    emit = function(self, bind, gradient, clock, rest)
      op.adam(bind "", gradient, bind "mean", bind "square", clock, self.amsgrad and bind "largest" or nil, {
        beta1 = self.beta1, beta2 = self.beta2, eps = self.eps, decay = rest, decoupled = decoupled,
      })
    end,
  })
end

optim.adam = adam("hl.optim.adam", "Adam (Kingma, Ba 2015); decay is added to the gradient.", false, 0)
optim.adamw = adam("hl.optim.adamw", "Adam with decoupled weight decay (Loshchilov, Hutter 2019).", true, 0.01)

optim.radam = optimiser("hl.optim.radam", {
  doc = "Adam whose adaptive rate is rectified while its variance is large (Liu 2020).",
  rate = 1e-3,
  fields = {
    beta1 = schema.number { default = 0.9, min = 0, below = 1, doc = "decay of the mean gradient" },
    beta2 = schema.number { default = 0.999, min = 0, below = 1, doc = "decay of the mean square" },
    eps = schema.number { default = 1e-8, above = 0 },
    decoupled = schema.bool { default = false, doc = "decay shrinks the weights instead of entering the gradient" },
  },
  parts = function() return { "mean", "square" } end,
  emit = function(self, bind, gradient, clock, decay)
    op.radam(bind "", gradient, bind "mean", bind "square", clock, {
      beta1 = self.beta1, beta2 = self.beta2, eps = self.eps, decay = decay, decoupled = self.decoupled,
    })
  end,
})

optim.sgd = optimiser("hl.optim.sgd", {
  doc = "Gradient descent, with momentum if wanted (Sutskever 2013); decay is added to the gradient.",
  rate = 1e-2,
  fields = {
    momentum = schema.number { default = 0, min = 0, max = 1, doc = "share of the momentum kept in each step" },
    dampening = schema.number { default = 0, min = 0, max = 1, doc = "share of the gradient that does not enter it" },
    nesterov = schema.bool { default = false, doc = "looks one step of the momentum ahead" },
  },
  check = function(self, report)
    if self.nesterov and (self.momentum == 0 or self.dampening ~= 0) then
      report("nesterov", "needs momentum above 0 and no dampening")
    end
  end,
  parts = function(self) return self.momentum > 0 and { "momentum" } or {} end,
  emit = function(self, bind, gradient, clock, decay)
    op.sgd(bind "", gradient, clock, self.momentum > 0 and bind "momentum" or nil, {
      momentum = self.momentum, dampening = self.dampening, nesterov = self.nesterov, decay = decay,
    })
  end,
})

optim.rmsprop = optimiser("hl.optim.rmsprop", {
  doc = "Gradients divided by the root of their mean square (Tieleman, Hinton 2012); decay is added to them.",
  rate = 1e-2,
  fields = {
    alpha = schema.number { default = 0.99, min = 0, below = 1, doc = "decay of the mean square" },
    eps = schema.number { default = 1e-8, above = 0 },
    momentum = schema.number { default = 0, min = 0, max = 1, doc = "share of the step before kept in each step" },
    centred = schema.bool { default = false, doc = "divides by the deviation from the mean gradient (Graves 2013)" },
  },
  parts = function(self)
    local parts = { "square" }
    if self.centred then parts[#parts + 1] = "mean" end
    if self.momentum > 0 then parts[#parts + 1] = "momentum" end
    return parts
  end,
  emit = function(self, bind, gradient, clock, decay)
    op.rmsprop(bind "", gradient, clock, bind "square", self.centred and bind "mean" or nil,
      self.momentum > 0 and bind "momentum" or nil, {
        alpha = self.alpha, eps = self.eps, momentum = self.momentum, centred = self.centred, decay = decay,
      })
  end,
})

return optim
