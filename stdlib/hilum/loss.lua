-- hl.loss: terms on one scale (loss/overlap.lua, loss/entropy.lua), their weighted sums, and the loss over several
-- scales. What a term is: loss/parts.lua.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local overlap = require "hilum.loss.overlap"
local entropy = require "hilum.loss.entropy"
local own = require "hilum.own"

local op = engine.op
local loss = {}

for _, room in ipairs { overlap, entropy } do
  for name, term in pairs(room) do loss[name] = term end
end

loss.sum = schema.weighted_sum("hl.loss.sum", {
  doc = "A weighted sum of losses: what 0.5 * a + b makes.",
  family = "loss",
  methods = {
    build = function(self, ...)
      local total
      for i, term in ipairs(self) do
        local part = op.affine(term:build(...), { scale = self.weights[i] })
        total = total and op.add(total, part) or part
      end
      return total
    end,
  },
})

loss.own = schema.constructor("hl.loss.own", {
  doc = "A function of your own as a loss: call(logits, truth, valid, with) -> scalar, on values of the program.",
  family = "loss", fields = own.fields {}, check = own.check,
  methods = {
    build = function(self, logits, truth, valid)
      local l = own.call(self, logits, truth, valid)
      local shape = type(l) == "userdata" and l.program == logits.program and l.shape
      if not shape or #shape > 1 or shape[1] and shape[1] ~= 1 then
        error(string.format("%s must return one number computed from what it is given, for example hl.op.mean(…)",
          own.name(self)), 0)
      end
      return l
    end,
  },
})

local LEARNED_LIMIT = 3

-- weights[i](L) -> weighted loss, weight as a value or number; for scales from fine to coarse.
local function weighting(b, spec, count)
  local list = {}
  local function fixed(weights)
    local sum = 0
    for _, w in ipairs(weights) do sum = sum + w end
    for i, w in ipairs(weights) do
      list[i] = function(l) return op.affine(l, { scale = w / sum }), w / sum end
    end
  end
  if spec == "equal" or spec == "halving" then
    local weights = {}
    for i = 1, count do weights[i] = spec == "equal" and 1 or 0.5 ^ (i - 1) end
    fixed(weights)
  elseif spec == "learned" then
    -- Kendall, Gal, Cipolla 2018: exp(−s)·L + s with s learned; s stays within ±3.
    for i = 1, count do
      local s = b:param(string.format("log_variance[%d]", i), { 1 }, nil, { decay = false })
      s = op.clamp(s, { low = -LEARNED_LIMIT, high = LEARNED_LIMIT })
      local weight = op.exp(op.neg(s))
      list[i] = function(l) return op.sum(op.add(op.mul(weight, l), s)), weight end
    end
  else
    fixed(spec)
  end
  return list
end

-- Truth and validity averaged over the blocks of a scale. Voxels that are not valid do not count.
local function at_scale(truth, valid, stride)
  if stride[1] * stride[2] * stride[3] == 1 then return truth, valid end
  local pool = { kernel = stride, stride = stride }
  local share = op.avg_pool(valid, pool)
  local inside = op.avg_pool(op.mul(truth, valid), pool)
  return op.div(inside, op.clamp(share, { low = 1e-3, high = 1 })), share
end

local function by_scale(heads)
  local sorted = table.move(heads, 1, #heads, 1, {})
  table.sort(sorted, function(x, y)
    return x.stride[1] * x.stride[2] * x.stride[3] < y.stride[1] * y.stride[2] * y.stride[3]
  end)
  return sorted
end

loss.multiscale = schema.constructor("hl.loss.multiscale", {
  doc = "One term at every scale that the network predicts, weighted and added.",
  family = "loss",
  fields = {
    term = schema.value { family = "loss", doc = "what is computed at each scale" },
    weights = schema.any_of {
      schema.one_of { "equal", "halving", "learned" },
      schema.list(schema.number { min = 0 }, { min = 1 }),
      default = "equal",
      doc = "from fine to coarse; halving: 1, 1/2, 1/4, …; numbers are divided by their sum; learned: "
        .. "Σ exp(−s)·L + s with a trained s per scale",
    },
  },
  check = function(self, report)
    if not self.term.build then report("term", "a multiscale loss cannot hold another one") end
    if type(self.weights) == "string" then return end
    local sum = 0
    for _, w in ipairs(self.weights) do sum = sum + w end
    if sum <= 0 then report("weights", "at least one weight must be above 0") end
  end,
  methods = {
    build_scales = function(self, b, heads, truth, valid)
      local sorted = by_scale(heads)
      if type(self.weights) ~= "string" and #self.weights ~= #sorted then
        error(string.format("hl.loss.multiscale has %d weights, the network predicts at %d scales", #self.weights,
          #sorted), 0)
      end
      local weigh = weighting(b, self.weights, #sorted)
      local total
      local scales = {}
      for i, head in ipairs(sorted) do
        if head.logits.shape[2] ~= truth.shape[2] then
          error("hl.loss.multiscale needs a truth with one channel per class: class indices cannot be averaged", 0)
        end
        local scale = math.max(table.unpack(head.stride))
        local l = b:scope(string.format("scale[%d]", scale), function()
          return self.term:build(head.logits, at_scale(truth, valid, head.stride))
        end)
        local part, weight = weigh[i](l)
        total = total and op.add(total, part) or part
        scales[i] = { scale = scale, loss = l, weight = weight }
      end
      return total, scales
    end,
  },
})

--- Any loss over the heads of a network: a plain term looks at the finest scale only.
--- Returns the scalar and { { scale, loss, weight }, … }.
function loss.build(spec, b, heads, truth, valid)
  return b:scope("loss", function()
    if spec.build_scales then return spec:build_scales(b, heads, truth, valid) end
    local finest = by_scale(heads)[1]
    local l = spec:build(finest.logits, truth, valid)
    return l, { { scale = 1, loss = l, weight = 1 } }
  end)
end

return loss
