-- The UNet (Ronneberger, Fischer, Brox 2015; in 3-D Çiçek et al. 2016), and one with residual blocks (He et al. 2015):
-- the baselines that store everything.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local basic = require "hilum.nn.basic"
local init = require "hilum.nn.init_weights"
local levels = require "hilum.nn.levels"
local norms = require "hilum.nn.norms"

local op = engine.op

-- Convolution 3×3×3 without bias, instance normalisation, leaky ReLU of the given slope (1: none).
local function layer(b, x, channels, i, slope)
  x = basic.convolution(b, x, { out = channels, name = string.format("conv[%d].weight", i) })
  return norms.apply(b, x, { kind = "instance", name = string.format("norm[%d]", i), slope = slope })
end

local blocks = {}

-- The first of two layers, and dropout.
local function first(b, x, channels, spec)
  return b:dropout(layer(b, x, channels, 1, spec.slope), { rate = spec.dropout, channels = true })
end

-- Twice the layer.
function blocks.plain(b, x, channels, spec)
  return layer(b, first(b, x, channels, spec), channels, 2, spec.slope)
end

-- x + the two layers, the second one's leaky ReLU after the sum; x is projected where the channels differ.
function blocks.residual(b, x, channels, spec)
  local y = layer(b, first(b, x, channels, spec), channels, 2, 1)
  if x.shape[2] ~= channels then
    x = basic.convolution(b, x, { out = channels, kernel = { 1, 1, 1 }, name = "shortcut.weight" })
  end
  return (op.leaky_relu(op.add(y, x), { slope = spec.slope }))
end

local function down(b, x, self, strides, block)
  local skips = {}
  for i = 1, #self.channels do
    x = b:scope(string.format("down[%d]", i), function()
      local y = i == 1 and x or op.max_pool(x, { kernel = strides[i - 1], stride = strides[i - 1] })
      y = block(b, y, self.channels[i], self)
      b:note("conv ×2", y)
      return y
    end)
    skips[i] = x
  end
  return skips
end

local function up(b, x, skip, channels, stride, spec, block)
  local shape = { x.shape[2], channels, stride[1], stride[2], stride[3] }
  local weight = b:param("up.weight", shape, init.he_fan_in)
  local bias = b:param("up.bias", { channels }, nil, { decay = false })
  local upsampled = op.conv_transpose(x, weight, bias, { stride = stride })
  local y = block(b, op.regroup(upsampled, skip), channels, spec)
  b:note("up, conv ×2", y)
  return y
end

local methods = { plain = {}, residual = {} }

local function build(self, b, x, block)
  local strides = levels.strides(self.strides, #self.channels - 1)
  local totals = levels.totals(strides)
  levels.check_size(x, totals)
  local skips = down(b, x, self, strides, block)
  local y = skips[#skips]
  for i = #self.channels, 1, -1 do
    if i < #self.channels then
      y = b:scope(string.format("up[%d]", i), up, b, y, skips[i], self.channels[i], strides[i], self, block)
    end
    for _, scale in ipairs(self.heads.scales) do
      if levels.of_scale(totals, scale) == i then basic.head(b, { y }, totals[i], self.heads.out) end
    end
  end
  return y
end

for kind, list in pairs(methods) do
  local name = kind == "plain" and "unet" or "resunet"

  function list:build(b, x)
    return b:scope(name, build, self, b, x, blocks[kind])
  end

  function list:scales()
    return self.heads.scales
  end

  function list:total_stride()
    local totals = levels.totals(levels.strides(self.strides, #self.channels - 1))
    return totals[#totals]
  end
end

local function constructor(name, kind, doc)
  return schema.constructor(name, {
    doc = doc, family = "layer",
    fields = {
      channels = schema.list(schema.int { min = 1 }, { min = 2, default = { 16, 32, 64, 128 }, doc = "per level" }),
      strides = levels.field(),
      slope = schema.number { default = 0.01, min = 0, max = 1, doc = "of the leaky ReLU" },
      dropout = schema.number { default = 0, min = 0, below = 1,
        doc = "share of the channels dropped between the two convolutions of a block" },
      heads = basic.heads_field(),
    },
    check = function(self, report) levels.check_scales(self, report, #self.channels - 1) end,
    methods = methods[kind],
  })
end

return {
  unet = constructor("hl.nn.unet", "plain",
    "UNet: encoder and decoder with skip connections; every activation is stored."),
  resunet = constructor("hl.nn.resunet", "residual",
    "Residual UNet: like hl.nn.unet, with x + layers(x) in place of layers(x)."),
}
