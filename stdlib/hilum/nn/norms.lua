-- Normalisations with scale and offset, followed by a leaky ReLU of the given slope (1: none).
--
-- Beside the whole image at once, an image can be normalised part by part: measure(part) of each, pooled(…) of
-- all of them, then given(part) with that.

local engine = require "hilum.engine"
local grid = require "hilum.nn.grid"
local init = require "hilum.nn.init_weights"

local op = engine.op
local norms = {}

-- As in the library whose checkpoints are read.
local BATCH_EPS, MOMENTUM = 1e-3, 0.1
local EPS = 1e-5

-- Scale and offset are parameters of the place.
local function affine(b, channels, o)
  return b:param(o.name .. ".scale", { channels }, not o.zero and init.ones or nil, { decay = false }),
    b:param(o.name .. ".offset", { channels }, nil, { decay = false })
end

local function running(b, channels, o)
  local mean, mean_tensor = b:state(o.name .. ".mean", { channels })
  local variance, variance_tensor = b:state(o.name .. ".variance", { channels }, init.ones)
  return { mean = mean, variance = variance, mean_tensor = mean_tensor, variance_tensor = variance_tensor }
end

-- The running statistics move with each step, not with each time that a rebuilt block computes the same again.
-- mean, variance: functions that give the batch's own, the variance unbiased.
local function move(b, o, own, mean, variance)
  local function moved(old, batch)
    return op.add(op.affine(old, { scale = 1 - MOMENTUM }), op.affine(batch, { scale = MOMENTUM }))
  end
  b:update(o.name .. ".mean", own.mean_tensor, function() return moved(own.mean, mean()) end)
  b:update(o.name .. ".variance", own.variance_tensor, function() return moved(own.variance, variance()) end)
end

local kinds = {}

kinds.instance = { eps = EPS, axes = "zyx" }

function kinds.instance.whole(_, x, scale, offset, o)
  return (op.instance_norm(x, scale, offset, { eps = EPS, slope = o.slope }))
end

kinds.group = {}

-- One group for each 8 channels, or as many below that as divide them.
local function default_groups(channels)
  local groups = math.max(1, channels // 8)
  while channels % groups ~= 0 do groups = groups - 1 end
  return groups
end

function kinds.group.whole(_, x, scale, offset, o)
  return (op.group_norm(x, scale, offset, { eps = EPS, groups = o.groups or default_groups(x.shape[2]),
    slope = o.slope }))
end

-- Where the network is trained, the batch's own statistics.
kinds.batch = { eps = BATCH_EPS, axes = "nzyx" }

function kinds.batch.whole(b, x, scale, offset, o)
  local own, options = running(b, x.shape[2], o), { eps = BATCH_EPS, slope = o.slope }
  if not b.training then return (op.batch_norm_eval(x, own.mean, own.variance, scale, offset, options)) end
  local y, mean, variance = op.batch_norm(x, scale, offset, options)
  move(b, o, own, function() return mean end, function() return variance end)
  return y
end

--- o: { kind, name, slope, groups, zero = start with scale 0 }.
function norms.apply(b, x, o)
  local scale, offset = affine(b, x.shape[2], o)
  return kinds[o.kind].whole(b, x, scale, offset, o)
end

-- ---- part by part ----

--- Whether this kind can be applied part by part.
function norms.streams(kind)
  return kinds[kind].axes ~= nil
end

--- Whether statistics of the image are needed for it: not where running ones stand in for them.
function norms.measures(b, o)
  return o.kind ~= "batch" or b.training
end

--- Mean and biased variance of a part, and how many numbers each is of. Spread from the part's own mean, so that
--- nothing cancels.
function norms.measure(x, o)
  local options, n = { axes = kinds[o.kind].axes, keep = true }, x.shape[3] * x.shape[4] * x.shape[5]
  if o.kind == "batch" then n = n * x.shape[1] end
  x = grid.wide(x)
  local mean = op.mean(x, options)
  options.biased = true
  return { mean = mean, variance = op.var(x, options), count = n }
end

local function weighted_sum(parts, total, value)
  local sum
  for _, part in ipairs(parts) do
    local share = op.affine(value(part), { scale = part.count / total })
    sum = sum and op.add(sum, share) or share
  end
  return sum
end

--- What normalises each part, from the measures of all: their variance is those within the parts and that of their
--- means.
function norms.pooled(b, parts, o)
  local total = 0
  for _, part in ipairs(parts) do total = total + part.count end
  local mean = weighted_sum(parts, total, function(part) return part.mean end)
  local variance = weighted_sum(parts, total, function(part)
    return op.add(part.variance, op.square(op.sub(part.mean, mean)))
  end)
  if o.kind == "batch" then
    local channels = mean.shape[2]
    local function flat(x) return (op.sum(x, { axes = "nzyx" })) end
    move(b, o, running(b, channels, o), function() return flat(mean) end, function()
      return op.affine(flat(variance), { scale = total / (total - 1) })
    end)
  end
  local scale, offset = affine(b, mean.shape[2], o)
  local function per_channel(v) return (op.reshape(v, { shape = { 1, mean.shape[2], 1, 1, 1 } })) end
  return { mean = mean, offset = per_channel(offset),
    factor = op.mul(op.rsqrt(op.affine(variance, { shift = kinds[o.kind].eps })), per_channel(scale)) }
end

--- A part normalised by what pooled gave; by running statistics where none were measured.
function norms.given(b, x, o, whole)
  if not whole then return norms.apply(b, x, o) end
  local u = op.add(op.mul(op.sub(grid.wide(x), whole.mean), whole.factor), whole.offset)
  return grid.to(o.slope == 1 and u or op.leaky_relu(u, { slope = o.slope }), x.dtype)
end

return norms
