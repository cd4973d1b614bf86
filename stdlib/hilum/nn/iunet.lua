-- The invertible U-Net (Etmann, Ke, Schönlieb 2020): bijective from end to end.
--
-- The state of a level is a list of dense parts with the level's channels between them; a coupling changes
-- one half in place and swaps the two. Every step is an invertible block: in rebuild mode its inputs are
-- computed again from its outputs in the backward pass, and nothing of it is stored.
--
--   level 1: couplings, mixing, split (skip | rest) ─────────────→ concatenation, couplings with a mixing
--                                  └ orthogonal down → level 2 … → orthogonal up ┘

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local basic = require "hilum.nn.basic"
local init = require "hilum.nn.init_weights"
local levels = require "hilum.nn.levels"

local op = engine.op

local function product(stride)
  return stride[1] * stride[2] * stride[3]
end

-- Rounds to the nearest integer, ties to even.
local function round(x)
  local low = math.floor(x)
  local rest = x - low
  if rest > 0.5 or rest == 0.5 and low % 2 == 1 then low = low + 1 end
  return low
end

local function halves(channels)
  return { channels // 2, channels - channels // 2 }
end

--- Channels that can be had: { { channels, skip, rest }, … }. A level of c channels keeps `skip` of them
--- and resamples the others, so the next has σ·(c − skip); the closest to the wish is taken.
local function plan_channels(wanted, strides)
  local plan = { { channels = wanted[1] } }
  for i, stride in ipairs(strides) do
    local c, sigma, want = plan[i].channels, product(stride), wanted[i + 1]
    local skip = math.max(1, round(c * (sigma - want / c) / sigma))
    if skip >= c then skip = c - 1 end
    plan[i].skip, plan[i].rest = skip, c - skip
    plan[i + 1] = { channels = sigma * (c - skip) }
  end
  return plan
end

local function sizes_of(parts)
  local sizes = {}
  for i, part in ipairs(parts) do sizes[i] = part.shape[2] end
  return sizes
end

-- (n values…, one more) as arguments for an op with a matrix or attributes at the end.
local function with(parts, ...)
  local list = table.move(parts, 1, #parts, 1, {})
  for _, extra in ipairs { ... } do list[#list + 1] = extra end
  return table.unpack(list)
end

-- ---- the steps: each takes the parts of the state and returns the new ones ----

-- F: depth × (convolution without bias, instance normalisation, leaky ReLU).
local function residual(b, x, out, self)
  local inner = math.max(x.shape[2], out)
  for i = 1, self.depth do
    x = basic.convolution(b, x, {
      out = i == self.depth and out or inner, name = string.format("conv[%d].weight", i), fill = init.he_fan_out,
    })
    x = basic.norm(b, x, string.format("norm[%d]", i), self.slope)
  end
  return x
end

-- (x1, x2) → (x2, x1 + F(x2))
local function coupling(b, parts, self)
  local out = parts[1].shape[2]
  return { b:invertible(parts, self.backprop == "rebuild", function(x1, x2)
    return x2, op.add(x1, residual(b, x2, out, self))
  end, function(y1, y2)
    return op.sub(y2, residual(b, y1, out, self)), y1
  end) }
end

-- The channels of the parts dealt out anew, multiplied by an orthogonal matrix if there is one.
local function repartition(b, parts, sizes, matrix, self)
  local before = sizes_of(parts)
  return { b:invertible(parts, self.backprop == "rebuild", function(...)
    if not matrix then return op.regroup(with({ ... }, { sizes = sizes })) end
    return op.mix(with({ ... }, matrix, { sizes = sizes }))
  end, function(...)
    if not matrix then return op.regroup(with({ ... }, { sizes = before })) end
    return op.mix(with({ ... }, matrix, { sizes = before, transpose = true }))
  end) }
end

local function orthogonal(b, name, shape, fill)
  return (op.cayley(b:param(name, shape, fill, { decay = false })))
end

-- Orthogonal resampling: every channel's block of σ voxels is rotated into σ channels, or back.
local function resample(b, parts, sizes, stride, direction, self)
  local before = sizes_of(parts)
  local low = direction == "down" and parts[1].shape[2] or sizes[1]
  local sigma = product(stride)
  local matrix = orthogonal(b, "resample.weight", { low, sigma, sigma }, init.haar(stride))
  local there, back = op.resample_down, op.resample_up
  if direction == "up" then there, back = back, there end
  return { b:invertible(parts, self.backprop == "rebuild", function(...)
    return there(with({ ... }, matrix, { stride = stride, sizes = sizes }))
  end, function(...)
    return back(with({ ... }, matrix, { stride = stride, sizes = before }))
  end) }
end

local function mixing_matrix(b, channels)
  return orthogonal(b, "mix.weight", { channels, channels })
end

-- ---- the two sides ----

local function encode(b, parts, self, plan, strides)
  local skips = {}
  for i, level in ipairs(plan) do
    parts = b:scope(string.format("down[%d]", i), function()
      local state = parts
      for j = 1, self.couplings[i] do
        state = b:scope(string.format("coupling[%d]", j), coupling, b, state, self)
      end
      b:note("couplings", state)
      if not level.skip then return state end
      local matrix = self.mixing and mixing_matrix(b, level.channels) or nil
      local split = repartition(b, state, { level.skip, level.rest }, matrix, self)
      skips[i] = split[1]
      return resample(b, { split[2] }, halves(plan[i + 1].channels), strides[i], "down", self)
    end)
  end
  return parts, skips
end

local function decode_level(b, parts, skip, i, self, plan, strides)
  local level = plan[i]
  if skip then
    parts = resample(b, parts, { level.rest }, strides[i], "up", self)
    parts = repartition(b, { skip, parts[1] }, halves(level.channels), nil, self)
  end
  for j = 1, self.couplings[i] do
    parts = b:scope(string.format("coupling[%d]", j), coupling, b, parts, self)
    if j == 1 and skip and self.mixing then
      parts = repartition(b, parts, sizes_of(parts), mixing_matrix(b, level.channels), self)
    end
  end
  b:note("couplings", parts)
  return parts
end

local function decode(b, parts, skips, self, plan, strides, totals)
  for i = #plan, 1, -1 do
    parts = b:scope(string.format("up[%d]", i), function()
      local state = decode_level(b, parts, skips[i], i, self, plan, strides)
      for _, scale in ipairs(self.heads.scales) do
        if levels.of_scale(totals, scale) == i then basic.head(b, state, totals[i], self.heads.out) end
      end
      return state
    end)
  end
  return parts
end

local function check(self, report)
  if #self.couplings ~= #self.channels then
    report("couplings", string.format("expected %d, one for each entry of channels, got %d", #self.channels,
      #self.couplings))
  end
  levels.check_scales(self, report, #self.channels - 1)
end

local function build(self, b, x)
  return b:scope("iunet", function()
    local strides = levels.strides(self.strides, #self.channels - 1)
    local totals = levels.totals(strides)
    levels.check_size(x, totals)
    local c = x.shape[2]
    if c ~= self.channels[1] then
      error(string.format("the network starts with %d channels (channels[1]), its input has %d", self.channels[1],
        c), 0)
    end
    local plan = plan_channels(self.channels, strides)
    local start = repartition(b, { x }, halves(c), nil, self)
    local deepest, skips = encode(b, start, self, plan, strides)
    local parts = decode(b, deepest, skips, self, plan, strides, totals)
    return parts[1]
  end)
end

return schema.constructor("hl.nn.iunet", {
  doc = "Invertible U-Net: activations are rebuilt in the backward pass instead of stored.",
  family = "layer",
  fields = {
    channels = schema.list(schema.int { min = 2 }, {
      min = 2, default = { 16, 32, 64, 128 }, doc = "per level; the closest that can be had is taken",
    }),
    couplings = schema.list(schema.int { min = 1 }, {
      min = 2, default = { 2, 2, 2, 2 }, doc = "additive couplings per level, on the way down and again up",
    }),
    strides = levels.field(),
    depth = schema.int { min = 1, default = 2, doc = "convolutions in each coupling" },
    slope = schema.number { default = 0.01, min = 0, max = 1, doc = "of the leaky ReLU" },
    mixing = schema.bool { default = true, doc = "learnable orthogonal channel mixing at every level but the deepest" },
    backprop = schema.one_of { "rebuild", "store", default = "rebuild", doc = "activations for the backward pass" },
    heads = basic.heads_field(),
  },
  check = check,
  methods = {
    build = build,
    scales = function(self) return self.heads.scales end,
    plan = function(self) return plan_channels(self.channels, levels.strides(self.strides, #self.channels - 1)) end,
    total_stride = function(self)
      local totals = levels.totals(levels.strides(self.strides, #self.channels - 1))
      return totals[#totals]
    end,
  },
})
