-- Golden vectors of single ops. An entry here is how one of the reference's ops is said with engine.op; what has no
-- entry, and options for which an entry calls golden.missing, are listed as known failures.

local golden = require "golden.golden"
local engine = require "hilum.engine"

local op = engine.op
local zyx = golden.zyx

local image_x = { x = golden.image }
local convolution = { x = golden.image, weight = golden.kernel }

-- An op of one input that has the reference's name and no options.
local function unary(name, attributes)
  return {
    run = function(case, v) return { y = op[name](v.x, attributes and attributes(case)) } end,
  }
end

local function binary(name)
  return { run = function(_, v) return { y = op[name](v.a, v.b) } end }
end

-- Axes of the reference count from 0, ours from 1.
local function axes(list)
  local shifted = {}
  for i, axis in ipairs(list) do shifted[i] = axis + 1 end
  return shifted
end

local function reduction(name, more)
  return {
    run = function(case, v)
      local attributes = { axes = axes(case.axes), keep = case.keepdim }
      for key, value in pairs(more or {}) do attributes[key] = value end
      return { y = op[name](v.x, attributes) }
    end,
  }
end

-- ---- convolutions ----

local function conv(case, v)
  return {
    y = op.conv(v.x, v.weight, v.bias, {
      stride = zyx(case.stride, 1), padding = zyx(case.padding, 0), dilation = zyx(case.dilation or {}, 1),
      groups = case.groups,
    }),
  }
end

local function conv_transpose(case, v)
  return {
    y = op.conv_transpose(v.x, v.weight, v.bias, {
      stride = zyx(case.stride, 1), padding = zyx(case.padding, 0), dilation = zyx(case.dilation or {}, 1),
      output_padding = zyx(case.output_padding, 0), groups = case.groups,
    }),
  }
end

local function pool(name)
  return {
    bind = image_x,
    run = function(case, v)
      local attributes = {
        kernel = zyx(case.kernel, 1), stride = zyx(case.stride, 1), padding = zyx(case.padding, 0),
        ceil_mode = case.ceil_mode,
      }
      if name == "avg_pool" then attributes.count_include_pad = case.count_include_pad end
      return { y = op[name](v.x, attributes) }
    end,
  }
end

-- ---- normalisation ----

local function group_norm(case, v)
  return { y = op.group_norm(v.x, v.weight, v.bias, { groups = case.groups, eps = case.eps }) }
end

-- (1 − momentum)·before + momentum·batch
local function moved(before, batch, momentum)
  return op.add(op.affine(before, { scale = 1 - momentum }), op.affine(batch, { scale = momentum }))
end

local function batch_norm(case, v)
  if not case.training then
    return {
      y = op.batch_norm_eval(v.x, v.running_mean, v.running_var, v.weight, v.bias, { eps = case.eps }),
      running_mean_after = v.running_mean, running_var_after = v.running_var,
    }
  end
  local y, mean, variance = op.batch_norm(v.x, v.weight, v.bias, { eps = case.eps })
  return {
    y = y,
    running_mean_after = v.running_mean and moved(v.running_mean, mean, case.momentum),
    running_var_after = v.running_var and moved(v.running_var, variance, case.momentum),
  }
end

-- ---- other grids ----

local function interpolate(case, v)
  local scale = case.scale and type(case.scale) ~= "table" and { case.scale } or case.scale
  if scale and #scale == 1 then
    for i = 2, #case.spatial do scale[i] = scale[1] end
  end
  local mode = case.mode:find "linear" and "linear" or case.mode
  return {
    y = op.interpolate(v.x, {
      mode = mode, align_corners = case.align_corners or false,
      size = case.size and zyx(case.size, 1) or 0, scale = scale and zyx(scale, 1) or 0,
    }),
  }
end

-- The amounts of the reference begin with those of n and c, which are 0.
local function spatial(list)
  return zyx({ table.unpack(list, 3) }, 0)
end

local function pad(case, v)
  return {
    y = op.pad(v.x, {
      mode = case.mode, value = case.value or 0, before = spatial(case.pad_before), after = spatial(case.pad_after),
    }),
  }
end

local ops = {
  conv2d = { bind = convolution, run = conv },
  conv3d = { bind = convolution, run = conv },
  conv_transpose2d = { bind = convolution, run = conv_transpose },
  conv_transpose3d = { bind = convolution, run = conv_transpose },
  max_pool2d = pool "max_pool",
  max_pool3d = pool "max_pool",
  avg_pool2d = pool "avg_pool",
  avg_pool3d = pool "avg_pool",
  global_avg_pool3d = {
    bind = image_x,
    run = function(_, v) return { y = op.global_avg_pool(v.x) } end,
  },
  instance_norm = {
    bind = image_x,
    run = function(case, v) return { y = op.instance_norm(v.x, v.weight, v.bias, { eps = case.eps }) } end,
  },
  group_norm = { bind = image_x, run = group_norm },
  batch_norm = { bind = image_x, run = batch_norm },
  interpolate = {
    bind = { x = function(tensor, case)
      case.spatial = { table.unpack(tensor.shape, 3) }
      return golden.image(tensor)
    end },
    run = interpolate,
  },
  pad = { bind = image_x, run = pad },
  leaky_relu = unary("leaky_relu", function(case) return { slope = case.slope } end),
  clamp = unary("clamp", function(case) return { low = case.lo, high = case.hi } end),
  elu = unary("elu", function(case) return { alpha = case.alpha } end),
  pow2_5 = unary("pow", function() return { exponent = 2.5 } end),
  reduce_sum = reduction "sum",
  reduce_mean = reduction "mean",
  reduce_amax = reduction "max",
  reduce_amin = reduction "min",
  reduce_prod = reduction "prod",
  reduce_logsumexp = reduction "logsumexp",
  reduce_norm2 = reduction "norm2",
  reduce_var = reduction "var",
  reduce_var_biased = reduction("var", { biased = true }),
  reduce_std = reduction "std",
  softmax = unary("softmax", function(case) return { axis = case.axis + 1 } end),
  log_softmax = unary("log_softmax", function(case) return { axis = case.axis + 1 } end),
  matmul = binary "matmul",
  permute = unary("permute", function(case) return { order = axes(case.order) } end),
  slice = unary("slice", function(case) return { start = case.start, stop = case.stop, step = case.step } end),
  concat = function(case, v)
    local parts = {}
    while v["x" .. #parts] do parts[#parts + 1] = v["x" .. #parts] end
    parts[#parts + 1] = { axis = (case.axis or 1) + 1 }
    return { y = op.concat(table.unpack(parts)) }
  end,
}

for _, name in ipairs { "relu", "sigmoid", "softplus", "tanh", "exp", "log", "sqrt", "square", "abs", "neg",
  "reciprocal", "rsqrt", "silu", "gelu", "gelu_tanh", "logsigmoid" } do
  ops[name] = unary(name)
end
for _, name in ipairs { "add", "sub", "mul", "div", "maximum", "minimum" } do ops[name] = binary(name) end

golden.run { topic = "ops", ops = ops }
