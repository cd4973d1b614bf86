-- What the terms of a loss share: how logits become probabilities, how truths look, which voxels and classes count.
--
-- A term has build(self, logits, truth, valid) -> scalar, on values of one program: logits { n, c, z, y, x }; truth
-- of the same shape, in [0, 1] (soft where it was averaged), or with one channel of class indices from 0 where there
-- are several classes; valid { n, 1, z, y, x } weighs each voxel, 0 to leave it out.

local engine = require "hilum.engine"
local schema = require "hilum.schema"

local op = engine.op
local parts = {}

-- ---- fields ----

function parts.activation()
  return schema.one_of { "sigmoid", "softmax", "none", default = "sigmoid",
    doc = "makes probabilities of the network's output; none: they are probabilities already" }
end

function parts.background()
  return schema.bool { default = true, doc = "false: the first of several classes is left out" }
end

function parts.weights(doc)
  return schema.optional(schema.list(schema.number { min = 0 }, { min = 1, doc = doc }))
end

function parts.reduction(doc)
  return schema.one_of { "mean", "sum", default = "mean", doc = doc }
end

-- ---- values ----

--- Numbers, one for each channel, as an image that broadcasts.
function parts.per_channel(numbers, like)
  local list = table.move(numbers, 1, #numbers, 1, {})
  if #list ~= like.shape[2] then
    error(string.format("%d numbers for the classes, but there are %d", #list, like.shape[2]), 0)
  end
  return engine.from(list, { dtype = like.dtype }):reshape { 1, #list, 1, 1, 1 }:dense "image"
end

function parts.probability(activation, logits)
  if activation == "sigmoid" then return op.sigmoid(logits) end
  if activation == "softmax" then return op.softmax(logits, { axis = "c" }) end
  return logits
end

--- The truth with one channel for each class.
function parts.truth(logits, truth)
  local classes, channels = logits.shape[2], truth.shape[2]
  if channels == classes then return truth end
  if channels ~= 1 then
    error(string.format("the truth has %d channels and the prediction %d: it takes as many, or one of class indices",
      channels, classes), 0)
  end
  local indices = {}
  for i = 1, classes do indices[i] = i - 1 end
  return op.equal(truth, parts.per_channel(indices, logits))
end

--- x without its first channel, if it has others.
function parts.without_background(x)
  local channels = x.shape[2]
  if channels == 1 then return x end
  local _, rest = op.regroup(x, { sizes = { 1, channels - 1 } })
  return rest
end

--- How much is valid, at least 1.
function parts.count(valid)
  return op.clamp(op.sum(valid), { low = 1, high = 1e30 })
end

--- each, one number per voxel and channel, summed over all channels and the valid voxels; or its mean over them.
function parts.over_voxels(reduction, each, valid)
  local total = op.sum(op.mul(each, valid))
  if reduction == "sum" then return total end
  return op.affine(op.div(total, parts.count(valid)), { scale = 1 / each.shape[2] })
end

return parts
