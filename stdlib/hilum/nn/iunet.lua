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
local builder = require "hilum.nn.builder"
local coupling = require "hilum.nn.coupling"
local fields = require "hilum.nn.iunet_fields"
local grid = require "hilum.nn.grid"
local levels = require "hilum.nn.levels"
local mixing = require "hilum.nn.mixing"
local orthogonal = require "hilum.nn.orthogonal"
local resampling = require "hilum.nn.resampling"
local steps = require "hilum.nn.steps"

local op = engine.op
local repartition, sizes_of = resampling.repartition, resampling.sizes_of

-- Rounds to the nearest integer, ties to even.
local function round(x)
  local low = math.floor(x)
  local rest = x - low
  if rest > 0.5 or rest == 0.5 and low % 2 == 1 then low = low + 1 end
  return low
end

local function both(list, other)
  return table.move(other, 1, #other, #list + 1, { table.unpack(list) })
end

local function halves(channels)
  return { channels // 2, channels - channels // 2 }
end

--- Channels that can be had: { { channels, skip, rest }, … }. A level of c channels keeps `skip` of them
--- and resamples the others, so the next has σ·(c − skip); the closest to the wish is taken.
local function plan_channels(wanted, strides)
  local plan = { { channels = wanted[1] } }
  for i, stride in ipairs(strides) do
    local c, sigma, want = plan[i].channels, levels.product(stride), wanted[i + 1]
    local skip = math.max(1, round(c * (sigma - want / c) / sigma))
    if skip >= c then skip = c - 1 end
    plan[i].skip, plan[i].rest = skip, c - skip
    plan[i + 1] = { channels = sigma * (c - skip) }
  end
  return plan
end

-- Sizes of what a level keeps and of what it resamples, in pieces between which the halves of its state meet on the way
-- up: a half that is a piece is taken as it is, and only the other is joined.
local function pieces(level)
  local half = halves(level.channels)[1]
  local over = level.skip - half
  if over > 0 then return { half, over }, { level.rest } end
  if over < 0 then return { level.skip }, { -over, level.rest + over } end
  return { level.skip }, { level.rest }
end

-- What one pass over the network needs, beside the builder.
local function net_of(self)
  local strides = levels.strides(self.strides, #self.channels - 1, self.dimensions)
  return {
    spec = self, strides = strides, totals = levels.totals(strides), plan = plan_channels(self.channels, strides),
    rebuild = self.backprop == "rebuild",
  }
end

-- ---- the two sides ----

local function mixing_matrix(b, net, name, channels)
  local m = net.spec.mixing
  return function()
    return orthogonal.matrix(b, {
      name = name, n = channels, method = m.method, start = m.start, learnable = m.learnable,
    })
  end
end

-- The couplings of a level with their mixings. A mixing that would come last on the way down is returned: it is
-- done together with the split.
local function couplings(b, parts, net, side, i)
  local count = net.spec:couplings_of(side)[i]
  local level = net.plan[i]
  for j = 1, count do
    parts = b:scope(string.format("coupling[%d]", j), coupling.apply, b, parts, {
      coupling = net.spec.coupling, rebuild = net.rebuild,
    })
    local name = mixing.name(net.spec.mixing.frequency, side, j, count, i == #net.plan)
    local matrix = name and mixing_matrix(b, net, name, level.channels)
    if matrix and side == "down" and j == count and level.skip then return parts, matrix end
    if matrix then parts = repartition(b, parts, sizes_of(parts), matrix, net.rebuild) end
  end
  return parts
end

local function resample(b, parts, sizes, net, i, direction)
  local r = net.spec.resampling
  return resampling.resample(b, parts, sizes, {
    stride = net.strides[i], direction = direction, method = r.method, start = r.start, matrix = r.matrix,
    learnable = r.learnable,
  }, net.rebuild)
end

local function down(b, parts, net)
  local skips = {}
  for i, level in ipairs(net.plan) do
    parts = b:scope(string.format("down[%d]", i), function()
      if net.rebuild then b:mark(parts) end
      local state, matrix = couplings(b, parts, net, "down", i)
      b:note("couplings", state)
      if not level.skip then return state end
      local split = repartition(b, state, both(pieces(level), { level.rest }), matrix, net.rebuild)
      local rest = table.remove(split)
      skips[i] = split
      return resample(b, { rest }, halves(net.plan[i + 1].channels), net, i, "down")
    end)
  end
  return parts, skips
end

-- Pieces side by side as one.
local function as_one(b, parts, net)
  local channels = 0
  for _, size in ipairs(sizes_of(parts)) do channels = channels + size end
  return #parts == 1 and parts[1] or repartition(b, parts, { channels }, nil, net.rebuild)[1]
end

-- The state with which the couplings of a level begin on the way up. skip: pieces.
local function joined(b, parts, skip, net, i)
  local sizes = halves(net.plan[i].channels)
  if skip then
    local _, rest = pieces(net.plan[i])
    local all = both(skip, resample(b, parts, rest, net, i, "up"))
    local last = { table.unpack(all, #rest + 1) }
    return { as_one(b, { table.unpack(all, 1, #rest) }, net), as_one(b, last, net) }
  end
  local same = #parts == 2 and parts[1].shape[2] == sizes[1]
  return same and parts or repartition(b, parts, sizes, nil, net.rebuild)
end

local function up(b, parts, skips, net)
  for i = #net.plan, 1, -1 do
    parts = b:scope(string.format("up[%d]", i), function()
      if net.rebuild then b:mark(both(skips[i] or {}, parts)) end
      local state = couplings(b, joined(b, parts, skips[i], net, i), net, "up", i)
      b:note("couplings", state)
      for _, scale in ipairs(net.spec.heads.scales) do
        if levels.of_scale(net.totals, scale) == i then
          basic.head(b, state, net.totals[i], net.spec.heads.out)
        end
      end
      return state
    end)
  end
  return parts
end

-- ---- padding ----

local function pad(b, x, net)
  local o, deepest = net.spec.padding, net.totals[#net.totals]
  if o.mode == "none" then
    levels.check_size(x, net.totals)
    return x
  end
  local before, after, needed = {}, {}, false
  for i = 1, 3 do
    local missing = -x.shape[2 + i] % deepest[i]
    before[i], after[i] = missing // 2, missing - missing // 2
    needed = needed or missing > 0
  end
  if not needed then return x end
  b.padded = { before = before, after = after, size = { x.shape[3], x.shape[4], x.shape[5] } }
  return (op.pad(x, { before = before, after = after, mode = o.mode, value = o.mode == "constant" and o.value or 0 }))
end

--- Cuts off what padding { before, after } has added.
local function crop(x, padded)
  local before, after = {}, {}
  for i = 1, 3 do before[i], after[i] = -padded.before[i], -padded.after[i] end
  return (op.pad(x, { before = before, after = after }))
end

-- ---- as a layer ----

-- Runs f within the network's scope, with the builder knowing its dimensions.
local function inside(self, b, f)
  local outer = b.dimensions
  b.dimensions = self.dimensions
  local result = table.pack(b:scope("iunet", f, net_of(self)))
  b.dimensions = outer
  return table.unpack(result, 1, result.n)
end

local function start(self, b, x, net)
  local c = x.shape[2]
  if c ~= self.channels[1] then
    error(string.format("the network starts with %d channels (channels[1]), its input has %d", self.channels[1], c), 0)
  end
  return repartition(b, { grid.on(pad(b, x, net), self.grid) }, halves(c), nil, net.rebuild)
end

local function finish(self, b, parts, net)
  local y = grid.off(repartition(b, parts, { self.channels[1] }, nil, net.rebuild)[1])
  return b.padded and self.padding.revert and crop(y, b.padded) or y
end

local methods = {}

function methods:build(b, x)
  return inside(self, b, function(net)
    local remark = self:remark()
    if remark then b:remark(remark) end
    local deepest, skips = down(b, start(self, b, x, net), net)
    return finish(self, b, up(b, deepest, skips, net), net)
  end)
end

--- x -> { code of level 1, …, deepest state }: as many numbers as x has.
function methods:encode(b, x)
  return inside(self, b, function(net)
    local deepest, skips = down(b, start(self, b, x, net), net)
    local codes = {}
    for i, skip in ipairs(skips) do codes[i] = as_one(b, skip, net) end
    codes[#codes + 1] = repartition(b, deepest, { net.plan[#net.plan].channels }, nil, net.rebuild)[1]
    return codes
  end)
end

--- The codes -> y
function methods:decode(b, codes)
  return inside(self, b, function(net)
    local skips = {}
    for i = 1, #codes - 1 do skips[i] = repartition(b, { codes[i] }, (pieces(net.plan[i])), nil, net.rebuild) end
    return finish(self, b, up(b, { codes[#codes] }, skips, net), net)
  end)
end

-- The output as the chain left it: what was cut off is padded again, as well as it can be.
local function as_left(self, y, padded)
  if not padded or not self.padding.revert then return y end
  local o = self.padding
  return (op.pad(y, { before = padded.before, after = padded.after, mode = o.mode,
    value = o.mode == "constant" and o.value or 0 }))
end

--- y -> x, exactly unless padding was cut off. `like` is a value with the shape of x. o.padded: give the input as it
--- was padded, for y with the padding still there.
function methods:inverse(b, y, like, o)
  local there = builder.new(b.program, b.store, { training = b.training, steps = {} })
  there.path = table.move(b.path, 1, #b.path, 1, {})
  local ends
  inside(self, there, function(net)
    local first = start(self, there, like, net)
    local deepest, skips = down(there, first, net)
    ends = repartition(there, up(there, deepest, skips, net), { self.channels[1] }, nil, net.rebuild)[1]
  end)
  local padded = there.padded
  local whole = o and o.padded
  local now = { [ends] = grid.on(whole and y or as_left(self, y, padded), self.grid) }
  steps.unwind(there, there.steps, now)
  local x = grid.off(now[there.steps[1].inputs[1]])
  return padded and not whole and crop(x, padded) or x
end

function methods:scales()
  return self.heads.scales
end

--- { { channels, skip, rest }, … } of the levels, as built.
function methods:plan()
  return net_of(self).plan
end

--- Couplings per level on a side, "down" or "up".
function methods:couplings_of(side)
  return side == "up" and self.couplings_up or self.couplings
end

function methods:total_stride()
  local totals = net_of(self).totals
  return totals[#totals]
end

--- What differs from the wish: a sentence, or nil.
function methods:remark()
  local built, differs = {}, false
  for i, level in ipairs(self:plan()) do
    built[i] = tostring(level.channels)
    differs = differs or level.channels ~= self.channels[i]
  end
  if not differs then return nil end
  return string.format("channels %s are the closest that can be had to %s", table.concat(built, ", "),
    table.concat(self.channels, ", "))
end

return schema.constructor("hl.nn.iunet", {
  doc = "Invertible U-Net: activations are rebuilt in the backward pass instead of stored.",
  family = "layer", fields = fields.fields, check = fields.check, prepare = fields.prepare, methods = methods,
})
