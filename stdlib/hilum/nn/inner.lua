-- F, the function inside a coupling. It need not be invertible.
--
-- One of one's own is a constructor of the family "inner" in a module: any value with a method
-- build(self, b, x, out) that returns a value with `out` channels and the size of x.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local basic = require "hilum.nn.basic"
local init = require "hilum.nn.init_weights"
local levels = require "hilum.nn.levels"
local norms = require "hilum.nn.norms"
local stream = require "hilum.nn.stream"

local op = engine.op

-- Activations and the slope with which the kernels of normalisation do them on the way, if they can.
local fused = { leaky_relu = true, relu = true, none = true }

local function slope_of(self)
  if self.activation == "leaky_relu" then return self.slope end
  return self.activation == "relu" and 0 or 1
end

local function activate(self, x)
  if self.activation == "none" then return x end
  if self.activation == "leaky_relu" then return (op.leaky_relu(x, { slope = self.slope })) end
  return (op[self.activation](x))
end

local function conv_fill(self, last)
  return self.zero and last and self.norm == "none" and function() end or init.he_fan_out
end

-- The layers of F from an image of `channels` to one of `out`: see stream.run.
local function layers_of(self, b, channels, out)
  local list, inside, on_the_way = {}, math.max(channels, out), fused[self.activation]
  local kernel = levels.kernel(self.kernel, b.dimensions)
  for i = 1, self.depth do
    local last = i == self.depth
    list[i] = {
      kernel = kernel,
      convolution = function(_, o)
        return { out = last and out or inside, kernel = kernel, name = string.format("conv[%d].weight", i),
          fill = conv_fill(self, last), bias = false, padding = o and o.padding }
      end,
      norm = self.norm ~= "none" and { kind = self.norm, name = string.format("norm[%d]", i),
        slope = on_the_way and slope_of(self) or 1, groups = self.groups, zero = self.zero and last } or nil,
      activate = function(x)
        if self.norm == "none" or not on_the_way then x = activate(self, x) end
        return last and x or b:scope(string.format("dropout[%d]", i), b.dropout, b, x,
          { rate = self.dropout, channels = true }) -- whole channels: the same in each slab
      end,
    }
  end
  return list
end

return schema.constructor("hl.nn.inner", {
  doc = "F of a coupling: depth times convolution without bias, normalisation, activation.",
  family = "inner",
  fields = {
    depth = schema.int { min = 1, default = 2, doc = "convolutions" },
    kernel = schema.zyx { default = 3, min = 1, doc = "size of their windows in voxels, odd; 1 along missing axes" },
    norm = schema.one_of { "instance", "group", "batch", "none", default = "instance", doc = "normalisation" },
    groups = schema.optional(schema.int { min = 1, doc = "of group normalisation (default: one for 8 channels)" }),
    activation = schema.one_of { "leaky_relu", "relu", "tanh", "sigmoid", "softplus", "none",
      default = "leaky_relu", doc = "after each normalisation" },
    slope = schema.number { default = 0.01, min = 0, max = 1, doc = "of the leaky ReLU" },
    zero = schema.bool { default = false, doc = "start as F = 0, so that the coupling only swaps" },
    dropout = schema.number { default = 0, min = 0, below = 1,
      doc = "share of the channels dropped after each activation but the last" },
  },
  check = function(self, report)
    for i, n in ipairs(self.kernel) do
      if n % 2 == 0 then report("kernel", string.format("must be odd, got %d along %s", n, ("zyx"):sub(i, i))) end
    end
    if self.groups and self.norm ~= "group" then report("groups", "only norm = \"group\" has groups") end
    if self.zero and self.norm == "none" and self.activation == "sigmoid" then
      report("zero", "a sigmoid of 0 is not 0: choose another activation")
    end
  end,
  methods = {
    build = function(self, b, x, out)
      for _, layer in ipairs(layers_of(self, b, x.shape[2], out)) do
        x = basic.convolution(b, x, layer:convolution())
        if layer.norm then x = norms.apply(b, x, layer.norm) end
        x = layer.activate(x)
      end
      return x
    end,
    -- The same slab by slab: put(part, first) takes slices of the result.
    stream = function(self, b, x, out, thickness, put)
      stream.run(b, x, layers_of(self, b, x.shape[2], out), thickness, put)
    end,
    streams = function(self) return self.norm == "none" or norms.streams(self.norm) end,
  },
})
