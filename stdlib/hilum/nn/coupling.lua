-- Couplings: the invertible steps of a level. A coupling is a value of the family "coupling" with
--   forward(self, b, x1, x2) -> y1, y2      inverse(self, b, y1, y2) -> x1, x2
-- on the two halves of the state, values of b.program.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local builder = require "hilum.nn.builder"
local grid = require "hilum.nn.grid"
local inner = require "hilum.nn.inner"

local op = engine.op
local coupling = {}

-- ---- additive ----

-- F(x) with the channels of `like`. Parameters of the double form's two functions lie in places of their own.
local function f(self, b, x, like, name)
  local out = like.shape[2]
  local function build() return self.inner:build(b, grid.off(x), out) end
  local y = name and b:scope(name, build) or build()
  if y.shape[2] ~= out then
    error(string.format("the inner function gives %d channels, the coupling needs %d", y.shape[2], out), 0)
  end
  return y
end

-- x + sign·F(from), in place where x is not needed again; through slabs of z where the builder wants them.
local function shifted(self, b, x, sign, from, name)
  local thickness = b:slab()
  if not thickness or not coupling.streams(self) or thickness >= x.shape[3] then
    local y = f(self, b, from, x, name)
    return sign > 0 and op.add(x, y) or op.sub(x, y)
  end
  local function build()
    self.inner:stream(b, from, x.shape[2], thickness, function(part, first)
      x = op.add_at(x, part, { start = { 0, 0, first, 0, 0 }, scale = sign })
    end)
  end
  if name then b:scope(name, build) else build() end
  return x
end

local forms = {}

-- (x1, x2) → (x2, x1 + F(x2))
forms.single = {
  forward = function(self, b, x1, x2) return x2, shifted(self, b, x1, 1, x2) end,
  inverse = function(self, b, y1, y2) return shifted(self, b, y2, -1, y1), y1 end,
}

-- (x1, x2) → (y1, y2) = (x1 + F(x2), x2 + G(y1))
forms.double = {
  forward = function(self, b, x1, x2)
    local y1 = shifted(self, b, x1, 1, x2, "f")
    return y1, shifted(self, b, x2, 1, y1, "g")
  end,
  inverse = function(self, b, y1, y2)
    local x2 = shifted(self, b, y2, -1, y1, "g")
    return shifted(self, b, y1, -1, x2, "f"), x2
  end,
}

--- Whether a coupling's functions can be computed slab by slab.
function coupling.streams(self)
  return self.inner ~= nil and self.inner.stream ~= nil and self.inner:streams()
end

coupling.additive = schema.constructor("hl.nn.additive", {
  doc = "Additive coupling. single: (x1, x2) → (x2, x1 + F(x2)); double: (x1 + F(x2), x2 + G(the first of these)).",
  family = "coupling",
  fields = {
    form = schema.one_of { "single", "double", default = "single", doc = "one function for each layer, or two" },
    inner = schema.value { family = "inner", default = function() return inner {} end,
      doc = "F: hl.nn.inner { … } or one of one's own" },
  },
  methods = {
    forward = function(self, ...) return forms[self.form].forward(self, ...) end,
    inverse = function(self, ...) return forms[self.form].inverse(self, ...) end,
  },
})

-- ---- one's own ----

local TOLERANCE = 1e-6 -- of inverse(forward(x)) in f64, relative to the largest |x|; rounding gives about 1e-14
local SIDE = 4 -- voxels along each axis of the check

local function random_values(b, parts, seed)
  local values = {}
  for i, part in ipairs(parts) do
    local shape = { 1, part.shape[2] }
    for axis = 3, 5 do shape[axis] = math.min(SIDE, part.shape[axis]) end
    local t = engine.zeros(shape, { dtype = "f64", layout = "image" })
    engine.rng(seed, "inverse check", 0, i):fill_normal(t, 0, 1)
    values[i] = b.program:bind("state", t, false)
  end
  return values
end

local function largest(tensor)
  local s = tensor:stats()
  if s.nan > 0 or s.infinite > 0 then return math.huge end
  return math.max(math.abs(s.min), math.abs(s.max))
end

local function probe(self, b, parts, store, seed)
  local live = builder.new(engine.program { live = true }, store)
  live.dimensions, live.training = b.dimensions, true
  local x = random_values(live, parts, seed)
  local y = table.pack(self:forward(live, table.unpack(x)))
  local back = table.pack(self:inverse(live, table.unpack(y)))
  local worst, most = 0, 0
  for i, value in ipairs(x) do
    if not back[i] or table.concat(back[i].shape, "x") ~= table.concat(value.shape, "x") then
      error(string.format("inverse(forward(x)) does not give back part %d of the state with its shape", i), 0)
    end
    worst = math.max(worst, largest(back[i]:tensor() - value:tensor()))
    most = math.max(most, largest(value:tensor()))
  end
  return worst / most
end

-- Moves weights away from their start, where much is trivially invertible.
local function shake(store)
  for i, p in ipairs(store.list) do
    local noise = engine.zeros(p.tensor.shape, { dtype = "f64" })
    engine.rng(7, "inverse check weights", 0, i):fill_normal(noise, 0, 0.3)
    p.tensor:copy_(p.tensor + noise)
  end
end

-- Computes there and back on random numbers in f64; raises with the measured error if x does not come back.
local function check_inverse(self, b, parts)
  local store = builder.store { dtype = "f64", seed = 1 }
  for seed = 1, 2 do
    local err = probe(self, b, parts, store, seed)
    if err > TOLERANCE then
      error(string.format("%s: its inverse is not its inverse: inverse(forward(x)) differs from x by %.3g of the "
        .. "largest |x| in f64 (allowed %g)", self:name(), err, TOLERANCE), 0)
    end
    shake(store)
  end
end

local checked = setmetatable({}, { __mode = "k" })

--- Declares an invertible layer of one's own, in a module:
---
---   return hl.nn.invertible("my.rotation", {
---     doc = "…", fields = { angle = schema.number { … } },
---     forward = function(self, b, x1, x2) … return y1, y2 end,
---     inverse = function(self, b, y1, y2) … return x1, x2 end,
---   })
---
--- The constructor's values take the place of hl.nn.additive { … } in an iunet. That the inverse is the inverse is
--- measured when a network meets the layer for the first time.
function coupling.invertible(name, o)
  if type(o) ~= "table" or type(o.forward) ~= "function" or type(o.inverse) ~= "function" then
    error("hl.nn.invertible: expected a name and { fields = …, forward = function, inverse = function }", 2)
  end
  return schema.constructor(name, {
    doc = o.doc or "An invertible layer.", family = "coupling", fields = o.fields, check = o.check,
    methods = {
      forward = o.forward, inverse = o.inverse, name = function() return name end,
      check_inverse = function(self, b, parts)
        local key = table.concat({ parts[1].shape[2], parts[2].shape[2], b.dimensions or 3 }, " ")
        checked[self] = checked[self] or {}
        if not checked[self][key] then check_inverse(self, b, parts) end
        checked[self][key] = true
      end,
    },
  })
end

-- ---- in a network ----

-- A layer of one's own computes in f32 on a state that lies on a grid, and is rounded to it once.
local function through_f32(way, layer, b, parts)
  if not layer.check_inverse or not grid.is_fixed(parts[1]) then return way(layer, b, table.unpack(parts)) end
  local results = table.pack(way(layer, b, table.unpack(grid.all_to(parts, "f32"))))
  return table.unpack(grid.all_to(results, parts[1].dtype))
end

--- Applies a coupling to the parts of the state, as an invertible block. o: { coupling, rebuild }
function coupling.apply(b, parts, o)
  local layer = o.coupling
  if layer.check_inverse then layer:check_inverse(b, parts) end
  if o.rebuild and coupling.streams(layer) then b:can_stream(parts) end
  return { b:invertible(parts, o.rebuild, function(...)
    return through_f32(layer.forward, layer, b, { ... })
  end, function(...)
    return through_f32(layer.inverse, layer, b, { ... })
  end) }
end

return coupling
