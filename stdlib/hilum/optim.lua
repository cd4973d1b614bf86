-- hl.optim: optimisers as fused updates. emit(self, program, item, gradient, state, clock) records the update
-- of one parameter; state(self, shape) makes what it remembers.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local schedule = require "hilum.schedule"

local optim = {}

local function adam(name, doc, decoupled, decay)
  return schema.constructor(name, {
    doc = doc,
    family = "optimiser",
    fields = {
      rate = schedule.kind { default = 1e-3, doc = "learning rate: a number or hl.schedule.…" },
      beta1 = schema.number { default = 0.9, min = 0, below = 1, doc = "decay of the mean gradient" },
      beta2 = schema.number { default = 0.999, min = 0, below = 1, doc = "decay of the mean square" },
      eps = schema.number { default = 1e-8, above = 0 },
      decay = schema.number { default = decay, min = 0, doc = "of weights; not of biases, norms, rotations" },
    },
    methods = {
      state = function(_, tensor)
        local o = { dtype = tensor.dtype, category = "optimiser" }
        return { mean = engine.zeros(tensor.shape, o), square = engine.zeros(tensor.shape, o) }
      end,
      emit = function(self, program, item, gradient, state, clock)
        local function bind(part, tensor) return program:bind(item.name .. part, tensor, false) end
        engine.op.adam(bind("", item.tensor), gradient, bind(".mean", state.mean), bind(".square", state.square),
          clock, {
            beta1 = self.beta1, beta2 = self.beta2, eps = self.eps,
            decay = item.decay and self.decay or 0, decoupled = decoupled,
          })
      end,
    },
  })
end

optim.adam = adam("hl.optim.adam", "Adam (Kingma, Ba 2015); decay is added to the gradient.", false, 0)
optim.adamw = adam("hl.optim.adamw", "Adam with decoupled weight decay (Loshchilov, Hutter 2019).", true, 0.01)

return optim
