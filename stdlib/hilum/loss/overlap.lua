-- Losses of overlap: of p and t the sums over the voxels of each image (or of the whole batch) and class are compared.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local parts = require "hilum.loss.parts"

local op = engine.op
local overlap = {}

local function smooth(doc)
  return schema.number { default = 1, min = 0, doc = doc }
end

-- Σ p·t, Σ p and Σ t over the valid voxels (squares of p and t in the last two, if asked for), each { n or 1, c, 1,
-- 1, 1 }.
local function sums(self, logits, truth, valid)
  local p, t = parts.probability(self.activation, logits), parts.truth(logits, truth)
  if not self.include_background then p, t = parts.without_background(p), parts.without_background(t) end
  local function total(x) return op.sum(x, { axes = self.batch and "nzyx" or "zyx", keep = true }) end
  local weighed = op.mul(p, valid)
  local squared = self.squared_pred
  return total(op.mul(weighed, t)), total(squared and op.mul(weighed, p) or weighed),
    total(op.mul(squared and op.square(t) or t, valid))
end

-- 1 − (numerator + smooth_nr) / (denominator + smooth_dr)
local function one_minus(self, numerator, denominator)
  local ratio = op.div(op.affine(numerator, { shift = self.smooth_nr }),
    op.affine(denominator, { shift = self.smooth_dr }))
  return op.affine(ratio, { scale = -1, shift = 1 })
end

-- Mean or sum over images and classes.
local function reduced(self, each)
  if self.class_weights then each = op.mul(each, parts.per_channel(self.class_weights, each)) end
  return op[self.reduction](each)
end

local function fields(more)
  local all = {
    activation = parts.activation(),
    include_background = parts.background(),
    batch = schema.bool { default = false, doc = "true: sums run over the whole batch too" },
    smooth_nr = smooth "added to the numerator: keeps small and empty truths well-behaved",
    smooth_dr = smooth "added to the denominator",
    reduction = parts.reduction "over images and classes",
  }
  for name, kind in pairs(more) do all[name] = kind end
  return all
end

local function ratio_fields()
  return fields {
    squared_pred = schema.bool { default = false, doc = "Σp² + Σt² in the denominator (Milletari 2016)" },
    class_weights = parts.weights "one factor for each class that counts",
  }
end

overlap.dice = schema.constructor("hl.loss.dice", {
  doc = "Soft Dice (Drozdzal 2016): 1 − (2·Σpt + smooth_nr) / (Σp + Σt + smooth_dr) per image and class.",
  family = "loss",
  fields = ratio_fields(),
  methods = {
    build = function(self, logits, truth, valid)
      local both, p, t = sums(self, logits, truth, valid)
      return reduced(self, one_minus(self, op.affine(both, { scale = 2 }), op.add(p, t)))
    end,
  },
})

overlap.jaccard = schema.constructor("hl.loss.jaccard", {
  doc = "Soft Jaccard (Rahman, Wang 2016): 1 − (2·Σpt + smooth_nr) / (2·(Σp + Σt − Σpt) + smooth_dr) per image and "
    .. "class.",
  family = "loss",
  fields = ratio_fields(),
  methods = {
    build = function(self, logits, truth, valid)
      local both, p, t = sums(self, logits, truth, valid)
      local union = op.sub(op.add(p, t), both)
      return reduced(self, one_minus(self, op.affine(both, { scale = 2 }), op.affine(union, { scale = 2 })))
    end,
  },
})

overlap.tversky = schema.constructor("hl.loss.tversky", {
  doc = "Tversky (Salehi 2017): 1 − (TP + smooth_nr) / (TP + alpha·FP + beta·FN + smooth_dr) per image and class.",
  family = "loss",
  fields = fields {
    alpha = schema.number { default = 0.5, min = 0, doc = "weight of what is predicted and not there" },
    beta = schema.number { default = 0.5, min = 0, doc = "weight of what is there and not predicted" },
    class_weights = parts.weights "one factor for each class that counts",
  },
  methods = {
    build = function(self, logits, truth, valid)
      local both, p, t = sums(self, logits, truth, valid)
      local wrong = op.affine(op.sub(p, both), { scale = self.alpha })
      local missed = op.affine(op.sub(t, both), { scale = self.beta })
      return reduced(self, one_minus(self, both, op.add(op.add(both, wrong), missed)))
    end,
  },
})

-- Weights of the classes from their sizes; a class that is absent gets the largest weight of the others of its image
-- (of all images, if sums run over the batch).
local function size_weights(self, size)
  if self.weighting == "uniform" then return op.affine(size, { scale = 0, shift = 1 }) end
  local there = op.greater(size, 0)
  local safe = op.where(there, size, op.affine(size, { scale = 0, shift = 1 }))
  local weights = op.div(there, self.weighting == "square" and op.square(safe) or safe)
  return op.where(there, weights, op.max(weights, { axes = self.batch and {} or "c", keep = true }))
end

overlap.generalized_dice = schema.constructor("hl.loss.generalized_dice", {
  doc = "Generalised Dice (Sudre 2017): 1 − (2·Σw·Σpt + smooth_nr) / (Σw·(Σp + Σt) + smooth_dr) per image, the outer "
    .. "sums over classes.",
  family = "loss",
  fields = fields {
    weighting = schema.one_of { "square", "simple", "uniform", default = "square",
      doc = "w of a class of size g: 1/g², 1/g, or 1" },
  },
  methods = {
    build = function(self, logits, truth, valid)
      local both, p, t = sums(self, logits, truth, valid)
      local w = size_weights(self, t)
      local function over_classes(x) return op.sum(op.mul(w, x), { axes = "c", keep = true }) end
      return reduced(self, one_minus(self, op.affine(over_classes(both), { scale = 2 }), over_classes(op.add(p, t))))
    end,
  },
})

return overlap
