-- Losses of single voxels: cross entropies and the focal loss, from logits and without overflow.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local parts = require "hilum.loss.parts"

local op = engine.op
local entropy = {}

-- −w·t·log p − (1−t)·log(1−p) with p = sigmoid(x). weight: a number, or an image with one for each channel.
local function binary(x, t, weight)
  if type(weight) == "number" then return op.bce(x, t, { pos_weight = weight }) end
  local more = op.mul(op.mul(t, op.affine(weight, { shift = -1 })), op.softplus(op.neg(x)))
  return op.add(op.bce(x, t), more)
end

entropy.bce = schema.constructor("hl.loss.bce", {
  doc = "Binary cross entropy of the logits, each channel for itself, mean over the valid voxels.",
  family = "loss",
  fields = {
    pos_weight = schema.any_of {
      schema.number { above = 0 }, schema.list(schema.number { above = 0 }, { min = 1 }), default = 1,
      doc = "factor of the voxels that belong to the truth; a list: one for each channel",
    },
    reduction = parts.reduction "over valid voxels and channels",
  },
  methods = {
    build = function(self, logits, truth, valid)
      local weight = self.pos_weight
      if type(weight) == "table" then weight = parts.per_channel(weight, logits) end
      return parts.over_voxels(self.reduction, binary(logits, parts.truth(logits, truth), weight), valid)
    end,
  },
})

-- Voxels that are not to be ignored.
local function without_ignored(self, logits, truth, valid)
  if not self.ignore_index then return valid end
  if truth.shape[2] ~= 1 or logits.shape[2] == 1 then
    error("hl.loss.cross_entropy: ignore_index needs a truth of class indices, in one channel", 0)
  end
  return op.mul(valid, op.not_equal(truth, self.ignore_index))
end

entropy.cross_entropy = schema.constructor("hl.loss.cross_entropy", {
  doc = "Cross entropy of a softmax over the channels. The mean divides by the summed weights of the voxels that "
    .. "count.",
  family = "loss",
  fields = {
    class_weights = parts.weights "one factor for each class",
    ignore_index = schema.optional(schema.int { doc = "class index of voxels that do not count" }),
    label_smoothing = schema.number { default = 0, min = 0, max = 1,
      doc = "share of the truth that is spread evenly over the classes (Szegedy 2016)" },
    reduction = parts.reduction "over the voxels that count",
  },
  methods = {
    build = function(self, logits, truth, valid)
      local classes = logits.shape[2]
      if classes == 1 then
        error("hl.loss.cross_entropy is for several classes; hl.loss.bce is for a single one", 0)
      end
      valid = without_ignored(self, logits, truth, valid)
      local t = op.mul(parts.truth(logits, truth), valid)
      local wanted = t
      if self.label_smoothing > 0 then
        local even = op.affine(valid, { scale = self.label_smoothing / classes })
        wanted = op.add(op.affine(t, { scale = 1 - self.label_smoothing }), even)
      end
      local log_p = op.log_softmax(logits, { axis = "c" })
      if self.class_weights then
        local weights = parts.per_channel(self.class_weights, logits)
        log_p, t = op.mul(log_p, weights), op.mul(t, weights)
      end
      local total = op.neg(op.sum(op.mul(log_p, wanted)))
      if self.reduction == "sum" then return total end
      return op.div(total, op.clamp(op.sum(t), { low = 1e-12, high = 1e30 }))
    end,
  },
})

-- ---- focal ----

-- (1 − p_t)^gamma·BCE, where 1 − p_t = sigmoid(−x) for a truth of 1 and sigmoid(x) for 0.
local function focal_sigmoid(self, x, t)
  local each = op.bce(x, t)
  if self.gamma > 0 then
    local towards = op.mul(x, op.affine(t, { scale = 2, shift = -1 }))
    each = op.mul(each, op.exp(op.affine(op.softplus(towards), { scale = -self.gamma })))
  end
  if not self.alpha then return each end
  return op.mul(each, op.affine(t, { scale = 2 * self.alpha - 1, shift = 1 - self.alpha }))
end

-- −(1 − p)^gamma·log p at the class of the truth.
local function focal_softmax(self, x, t)
  local log_p = op.log_softmax(x, { axis = "c" })
  local each = op.neg(op.mul(log_p, t))
  if self.gamma > 0 then
    local rest = op.affine(op.exp(log_p), { scale = -1, shift = 1 })
    each = op.mul(each, op.pow(op.clamp(rest, { low = 1e-12, high = 1 }), { exponent = self.gamma }))
  end
  if not self.alpha then return each end
  local alphas = { 1 - self.alpha }
  for i = 2, x.shape[2] do alphas[i] = self.alpha end
  return op.mul(each, parts.per_channel(alphas, x))
end

entropy.focal = schema.constructor("hl.loss.focal", {
  doc = "Focal loss (Lin 2017): cross entropy times (1 − p)^gamma, so that clear voxels count less.",
  family = "loss",
  fields = {
    activation = schema.one_of { "sigmoid", "softmax", default = "sigmoid",
      doc = "sigmoid: each channel for itself; softmax: one class per voxel" },
    gamma = schema.number { default = 2, min = 0, doc = "how much less" },
    alpha = schema.optional(schema.number { min = 0, max = 1,
      doc = "factor of the truth's voxels, 1 − alpha that of the others; with softmax of all classes but the first" }),
    include_background = schema.bool { default = true,
      doc = "false: the first of several channels is left out, before the softmax" },
    class_weights = parts.weights "one factor for each class that counts",
    reduction = parts.reduction "mean over valid voxels and channels; sum: of the means over each image's voxels",
  },
  methods = {
    build = function(self, logits, truth, valid)
      local x, t = logits, parts.truth(logits, truth)
      if not self.include_background then x, t = parts.without_background(x), parts.without_background(t) end
      local each = self.activation == "softmax" and focal_softmax(self, x, t) or focal_sigmoid(self, x, t)
      if self.class_weights then each = op.mul(each, parts.per_channel(self.class_weights, each)) end
      local mean = parts.over_voxels("mean", each, valid)
      if self.reduction == "mean" then return mean end
      return op.affine(mean, { scale = each.shape[1] * each.shape[2] })
    end,
  },
})

return entropy
