-- Normalisations with scale and offset, followed by a leaky ReLU of the given slope (1: none).

local engine = require "hilum.engine"
local init = require "hilum.nn.init_weights"

local op = engine.op
local norms = {}

-- As in the library whose checkpoints are read.
local BATCH_EPS, MOMENTUM = 1e-3, 0.1

local kinds = {}

function kinds.instance(_, x, scale, offset, o)
  return (op.instance_norm(x, scale, offset, { slope = o.slope }))
end

-- One group for each 8 channels, or as many below that as divide them.
local function default_groups(channels)
  local groups = math.max(1, channels // 8)
  while channels % groups ~= 0 do groups = groups - 1 end
  return groups
end

function kinds.group(_, x, scale, offset, o)
  return (op.group_norm(x, scale, offset, { groups = o.groups or default_groups(x.shape[2]), slope = o.slope }))
end

-- Where the network is trained, the batch's own statistics; the running ones move with each step, not with each
-- time that a rebuilt block computes the same again.
function kinds.batch(b, x, scale, offset, o)
  local channels, options = x.shape[2], { eps = BATCH_EPS, slope = o.slope }
  local mean, mean_tensor = b:state(o.name .. ".mean", { channels })
  local variance, variance_tensor = b:state(o.name .. ".variance", { channels }, init.ones)
  if not b.training then return (op.batch_norm_eval(x, mean, variance, scale, offset, options)) end
  local y, batch_mean, batch_variance = op.batch_norm(x, scale, offset, options)
  local function moved(running, batch)
    return op.add(op.affine(running, { scale = 1 - MOMENTUM }), op.affine(batch, { scale = MOMENTUM }))
  end
  b:update(o.name .. ".mean", mean_tensor, function() return moved(mean, batch_mean) end)
  b:update(o.name .. ".variance", variance_tensor, function() return moved(variance, batch_variance) end)
  return y
end

--- o: { kind, name, slope, groups, zero = start with scale 0 }. scale and offset are parameters of the place.
function norms.apply(b, x, o)
  local channels = x.shape[2]
  local scale = b:param(o.name .. ".scale", { channels }, not o.zero and init.ones or nil, { decay = false })
  local offset = b:param(o.name .. ".offset", { channels }, nil, { decay = false })
  return kinds[o.kind](b, x, scale, offset, o)
end

return norms
