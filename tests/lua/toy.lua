-- A source for tests: bright balls in noise, made in memory. Two cases of each patient.

local engine = require "hilum.engine"
local problem = require "hilum.problem"
local schema = require "hilum.schema"

local toy = {}

local image_layout = { dtype = "f32", layout = "image" }
local bad_numbers = { inf = math.huge, ["-inf"] = -math.huge }
local mask_layout = { dtype = "u8", layout = "image" }

-- A ball around the middle, a little to the side, as { 1, 1, n, n, n }.
local function ball(n, radius, shift, layout)
  local t = engine.zeros({ 1, 1, n, n, n }, layout)
  local middle = (n + 1) / 2
  for z = 1, n do
    for y = 1, n do
      for x = 1, n do
        local r2 = (z - middle) ^ 2 + (y - middle - shift) ^ 2 + (x - middle) ^ 2
        if r2 <= radius ^ 2 then t:set(1, 1, z, y, x, 1) end
      end
    end
  end
  return t
end

local function sample(self, i)
  local n = self.crop[1]
  local image = engine.zeros({ 1, 1, n, n, n }, image_layout)
  engine.rng(self.seed, "toy", 0, i):fill_uniform(image, 0, 0.4)
  local truth = ball(n, n / 5 + i % 3 / 2, i % 2, mask_layout)
  image = engine.op.add(image, engine.op.affine(truth:to("f32"), { scale = 0.5 }))
  if self.broken == i then image:set(1, 1, 1, 1, 1, bad_numbers[self.value] or 0 / 0) end
  local valid = engine.zeros({ 1, 1, n, n, n }, mask_layout):fill(1)
  local readers = { truth, ball(n, n / 5, i % 2, mask_layout), ball(n, n / 5 + 1, 0, mask_layout) }
  return { image = image, truth = truth, valid = valid, readers = readers }
end

toy.source = schema.constructor("toy.source", {
  family = "source",
  fields = {
    patients = schema.int { default = 5, min = 1 },
    crop = schema.zyx { default = 8, min = 1 },
    spacing_mm = schema.zyx { default = 1, whole = false },
    seed = schema.int { default = 1 },
    broken = schema.int { default = 0, doc = "this case holds a NaN" },
    value = schema.string { default = "nan", doc = "which it holds: nan, inf, -inf" },
    lost = schema.int { default = 0, doc = "this case cannot be loaded" },
  },
  methods = {
    preset = function() return { epochs = 1, batch = 1 } end,
    open = function(self, o)
      local set = { cases = {}, problems = {}, hash = ("0"):rep(64), protocol = "balls" }
      for i = 1, 2 * self.patients do
        set.cases[i] = { id = "case-" .. i, patient = "patient-" .. (i + 1) // 2, series = "s", nodule = 1,
          diameter_mm = 5.0, centre_mm = { 0.0, 0.0, 0.0 }, readers = 3 }
        o.progress(i, 2 * self.patients, "reading")
      end
      function set.load(_, i)
        if self.lost == i then return nil, problem.new("io", "case-" .. i .. ".dcm: is gone") end
        return sample(self, i)
      end
      return set
    end,
  },
})

return toy
