-- Layers that most networks are made of: chain, conv.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local grid = require "hilum.nn.grid"
local init = require "hilum.nn.init_weights"
local own = require "hilum.own"

local op = engine.op
local basic = {}

--- Padding that keeps the size at stride 1.
local function same(kernel)
  return { kernel[1] // 2, kernel[2] // 2, kernel[3] // 2 }
end

--- One convolution of a place: weight and, if wanted, bias. Used by every network here.
function basic.convolution(b, x, o)
  local kernel = o.kernel or { 3, 3, 3 }
  local shape = { o.out, x.shape[2], kernel[1], kernel[2], kernel[3] }
  local weight = b:param(o.name or "weight", shape, o.fill or init.he_fan_in)
  local bias = o.bias and b:param(o.bias_name or "bias", { o.out }, nil, { decay = false }) or nil
  return op.conv(x, weight, bias, { stride = o.stride or 1, padding = o.padding or same(kernel) })
end

-- What a part of the state adds to the logits. A copy of what lies on a grid is made again for the gradient.
local function convolved(b, part, weight, bias)
  if not grid.is_fixed(part) then return (op.conv(part, weight, bias)) end
  return b:again(function() return (op.conv(grid.off(part), weight, bias)) end)
end

-- Input channels [first, first + count) of a 1×1×1 convolution's weight.
local function columns(weight, first, count)
  return (op.slice(weight, { start = { 0, first, 0, 0, 0 }, stop = { weight.shape[1], first + count, 1, 1, 1 } }))
end

--- A prediction at a scale: 1×1×1 convolution to `out` logits. parts: the image, or the parts of a state, each of
--- which meets its own columns of the weight: the state need not exist in one piece.
function basic.head(b, parts, stride, out)
  local name = string.format("head[%s]", table.concat(stride, ","))
  b:scope(name, function()
    local channels, first, logits = 0, 0, nil
    for _, part in ipairs(parts) do channels = channels + part.shape[2] end
    local weight = b:param("weight", { out, channels, 1, 1, 1 }, init.he_fan_in)
    local bias = b:param("bias", { out }, nil, { decay = false })
    for i, part in ipairs(parts) do
      local columns_of = #parts == 1 and weight or columns(weight, first, part.shape[2])
      local y = convolved(b, part, columns_of, i == 1 and bias or nil)
      logits, first = logits and op.add(logits, y) or y, first + part.shape[2]
    end
    b:head(stride, logits)
    b:note("head", logits)
  end)
end

basic.conv = schema.constructor("hl.nn.conv", {
  doc = "Convolution of an image, padded with zeros so that stride 1 keeps the size.",
  family = "layer",
  fields = {
    out = schema.int { min = 1, doc = "output channels" },
    kernel = schema.zyx { default = 3, min = 1, doc = "size of the window in voxels" },
    stride = schema.zyx { default = 1, min = 1, doc = "step in voxels" },
    bias = schema.bool { default = true, doc = "add a learnable offset per channel" },
  },
  methods = {
    build = function(self, b, x)
      local y = basic.convolution(b, x, {
        out = self.out, kernel = table.move(self.kernel, 1, 3, 1, {}), stride = table.move(self.stride, 1, 3, 1, {}),
        bias = self.bias,
      })
      b:note("conv", y)
      return y
    end,
  },
})

basic.dropout = schema.constructor("hl.nn.dropout", {
  doc = "Sets a share of the numbers to 0 at random while the network is trained, and raises the others.",
  family = "layer",
  fields = {
    rate = schema.number { default = 0.5, min = 0, below = 1, doc = "share that is dropped" },
    channels = schema.bool { default = false, doc = "drop whole channels" },
  },
  methods = {
    build = function(self, b, x)
      local y = b:dropout(x, { rate = self.rate, channels = self.channels })
      b:note("dropout", y)
      return y
    end,
  },
})

basic.own = schema.constructor("hl.nn.own", {
  doc = "A function of your own as a layer: call(b, x, with) -> y, on values of the program; b:param makes weights.",
  family = "layer",
  fields = own.fields {
    out = schema.optional(schema.int { min = 1, doc = "channels of its result; needed where it is the last layer" }),
  },
  check = own.check,
  methods = {
    build = function(self, b, x)
      local y = own.call(self, b, x)
      local shape = type(y) == "userdata" and y.program == x.program and y.shape
      if not shape or #shape ~= 5 or self.out and shape[2] ~= self.out then
        error(string.format("%s must return an image%s computed from what it is given", own.name(self),
          self.out and string.format(" of %d channels", self.out) or ""), 0)
      end
      b:note("own", y)
      return y
    end,
  },
})

basic.chain = schema.constructor("hl.nn.chain", {
  doc = "Layers one after another.",
  family = "layer",
  children = schema.value { family = "layer" }, min_children = 1,
  methods = {
    build = function(self, b, x)
      for i, layer in ipairs(self) do
        x = b:scope(string.format("[%d]", i), layer.build, layer, b, x)
      end
      return x
    end,
  },
})
schema.operators("layer", {
  chain = function(a, b)
    local joined = basic.chain { a, b }
    return joined
  end,
})

--- The field that networks with predictions share.
function basic.heads_field()
  return schema.record {
    doc = "predictions of the decoder",
    default = {},
    fields = {
      scales = schema.list(schema.int { min = 1 }, {
        min = 1, default = { 1 }, doc = "1 is the full resolution, 2 half of it, …",
      }),
      out = schema.int { min = 1, default = 1, doc = "classes predicted (1: nodule or not)" },
    },
  }
end

return basic
