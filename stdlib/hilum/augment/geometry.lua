-- Members that move voxels. self:move(drawn, about) gives a map (augment/map.lua); all of a list's become one.

local engine = require "hilum.engine"
local map = require "hilum.augment.map"
local parts = require "hilum.augment.parts"
local schema = require "hilum.schema"

local geometry = {}

local AXES = { "z", "y", "x" }
local PLANES = { { 2, 3 }, { 1, 3 }, { 1, 2 } } -- what turns about z, y, x: from the first axis towards the second

local function interpolation()
  return schema.one_of { "linear", "cubic", default = "linear",
    doc = "of the image, cubic: a B-spline; one that is drawn and says cubic makes it so for the whole sample" }
end

-- ---- mirrors and quarter turns: exact ----

geometry.flip = schema.constructor("hl.augment.flip", {
  doc = "Mirrors the sample along each of the axes with the given probability. Alone it interpolates nothing.",
  family = "augmentation",
  fields = {
    axes = schema.axes { default = "zyx", doc = "axes that may be mirrored" },
    probability = parts.probability(0.5, "of each axis, independently"),
  },
  methods = {
    draw = function(self, rng)
      local axes = ""
      for axis in self.axes:gmatch(".") do
        if rng:uniform() < self.probability then axes = axes .. axis end
      end
      return axes ~= "" and axes or nil
    end,
    say = function(_, axes) return "flip " .. axes end,
    move = function(_, axes, about)
      local m = map.identity().matrix
      for a, name in ipairs(AXES) do
        if axes:find(name, 1, true) then m[4 * a - 3] = -1 end
      end
      return map.about_middle(m, about.size)
    end,
  },
})

geometry.turn = schema.constructor("hl.augment.turn", {
  doc = "Turns the sample by multiples of 90°, in planes where the crop is square. Alone it interpolates nothing.",
  family = "augmentation",
  fields = {
    planes = schema.list(schema.one_of { "yx", "zx", "zy" }, { min = 1, max = 3, default = { "yx" },
      doc = "planes in which it may be turned, from the first axis towards the second" }),
    probability = parts.probability(0.75, "of any turn at all in each plane, independently"),
  },
  check = function(self, report)
    local seen = {}
    for i, plane in ipairs(self.planes) do
      if seen[plane] then report(string.format("planes[%d]", i), string.format("%q is there twice", plane)) end
      seen[plane] = true
    end
  end,
  methods = {
    draw = function(self, rng)
      local turns, axis = { 0, 0, 0 }, { yx = 1, zx = 2, zy = 3 }
      for _, plane in ipairs(self.planes) do
        if rng:uniform() < self.probability then turns[axis[plane]] = 1 + rng:below(3) end
      end
      return turns[1] + turns[2] + turns[3] > 0 and turns or nil
    end,
    say = function(_, turns)
      local list = {}
      for a, k in ipairs(turns) do
        if k > 0 then list[#list + 1] = string.format("%d° about %s", 90 * k, AXES[a]) end
      end
      return "turn " .. table.concat(list, ", ")
    end,
    move = function(_, turns, about)
      local all, cos, sin = map.identity(), { [0] = 1, 0, -1, 0 }, { [0] = 0, 1, 0, -1 }
      for a, plane in ipairs(PLANES) do
        local first, second = plane[1], plane[2]
        if turns[a] % 2 == 1 and about.size[first] ~= about.size[second] then
          error(string.format("hl.augment.turn: a crop of %d × %d (%s, %s) is not square", about.size[first],
            about.size[second], AXES[first], AXES[second]), 0)
        end
        local m = map.turn(first, second, cos[turns[a]], sin[turns[a]])
        all = map.compose(all, map.about_middle(m, about.size))
      end
      return all
    end,
    fits = function(self, about, report)
      for i, plane in ipairs(self.planes) do
        local a, b = ("zyx"):find(plane:sub(1, 1), 1, true), ("zyx"):find(plane:sub(2, 2), 1, true)
        local name, spacing = string.format("planes[%d]", i), about.spacing_mm
        if about.size[a] ~= about.size[b] then
          report(name, string.format("a crop of %d × %d (%s, %s) is not square", about.size[a], about.size[b],
            AXES[a], AXES[b]))
        elseif a == 1 and not spacing then
          report(name, string.format("%s gives no distance of slices to turn z by", about.name))
        elseif spacing and spacing[a] ~= spacing[b] then
          report(name, string.format("voxels of %g × %g mm (%s, %s) are not square", spacing[a], spacing[b], AXES[a],
            AXES[b]))
        end
      end
    end,
  },
})

-- ---- affine maps ----

geometry.rotate = schema.constructor("hl.augment.rotate", {
  doc = "Rotates the sample about its middle, in mm: about z, then y, then x, each by an angle of its own.",
  family = "augmentation",
  fields = {
    degrees = parts.each_axis { default = 15, min = 0, max = 180,
      doc = "largest angle to either side about z, y, x; one number means z alone where the distance of slices is not "
        .. "known" },
    probability = parts.probability(0.2),
    interpolation = interpolation(),
  },
  methods = {
    draw = function(self, rng, about)
      if rng:uniform() >= self.probability then return nil end
      local most, unknown, angles = self.degrees, not about.spacing_mm, {}
      for a = 1, 3 do
        local d = type(most) ~= "number" and most[a] or unknown and a > 1 and 0 or most
        angles[a] = parts.uniform(rng, -d, d)
      end
      return angles
    end,
    say = function(_, angles)
      local z_alone = angles[2] == 0 and angles[3] == 0
      return "rotate " .. parts.each("%+.1f°", z_alone and { angles[1] } or angles) .. (z_alone and " about z" or "")
    end,
    move = function(_, angles, about)
      local all, spacing = map.identity(), about.spacing_mm or { 1, 1, 1 }
      for a, plane in ipairs(PLANES) do
        if angles[a] ~= 0 then
          local radians = math.rad(angles[a])
          local m = map.turn(plane[1], plane[2], math.cos(radians), math.sin(radians))
          all = map.compose(all, map.about_middle(map.in_voxels(m, spacing), about.size))
        end
      end
      return all
    end,
    fits = function(self, about, report)
      local d = self.degrees
      if type(d) ~= "number" and d[2] + d[3] > 0 and not about.spacing_mm then
        report("degrees", string.format("%s gives no distance of slices to rotate them about y or x: write { z, 0, 0 }",
          about.name))
      end
    end,
  },
})

geometry.scale = schema.constructor("hl.augment.scale", {
  doc = "Scales the sample about its middle: above 1 it grows.",
  family = "augmentation",
  fields = {
    factor = parts.range { default = { 0.85, 1.2 }, min = 0.1, max = 10, doc = "drawn uniformly in its logarithm" },
    axes = schema.axes { default = "zyx", doc = "axes that are scaled" },
    together = schema.bool { default = true, doc = "by one factor; false: each axis by its own" },
    probability = parts.probability(0.2),
    interpolation = interpolation(),
  },
  check = function(self, report) parts.check_order(self, "factor", report) end,
  methods = {
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      local factors, one = { 1.0, 1.0, 1.0 }, self.together and parts.factor(rng, self.factor)
      for a, name in ipairs(AXES) do
        if self.axes:find(name, 1, true) then factors[a] = one or parts.factor(rng, self.factor) end
      end
      return factors
    end,
    say = function(_, factors) return "scale " .. parts.each("%.2f", factors) end,
    move = function(_, factors, about)
      local m = map.identity().matrix
      for a = 1, 3 do m[4 * a - 3] = 1 / factors[a] end
      return map.about_middle(m, about.size)
    end,
  },
})

local translate_fields = parts.with_unit({}, "distance", parts.each_axis, { min = 0, text = "4",
  doc = "largest distance to either side; one number means y and x where the distance of slices is not known" })
translate_fields.whole = schema.bool { default = true,
  doc = "by whole voxels, so that alone it interpolates nothing" }
translate_fields.probability = parts.probability(0.5)
translate_fields.interpolation = interpolation()

geometry.translate = schema.constructor("hl.augment.translate", {
  doc = "Moves the sample along each axis by a distance of its own.",
  family = "augmentation",
  fields = translate_fields,
  prepare = function(raw) return parts.fill_unit(raw, "distance", 4) end,
  check = function(self, report) parts.check_unit(self, "distance", report) end,
  methods = {
    -- In voxels.
    draw = function(self, rng, about)
      if rng:uniform() >= self.probability then return nil end
      local most, by = parts.voxels_of(self, "distance", about), {}
      for a = 1, 3 do
        by[a] = parts.uniform(rng, -most[a], most[a])
        if self.whole then by[a] = math.floor(by[a] + 0.5) end
      end
      return by
    end,
    say = function(_, by) return "move " .. parts.each("%+.3g", by) .. " voxels" end,
    move = function(_, by)
      return { matrix = map.identity().matrix, offset = { -by[1], -by[2], -by[3] } }
    end,
    fits = function(self, about, report)
      parts.check_mm(self, "distance", about, report)
      local name = self.distance_mm and "distance_mm" or "distance_voxels"
      if self.distance_mm and not about.spacing_mm then return end
      for a, most in ipairs(parts.voxels_of(self, "distance", about)) do
        if most >= about.size[a] then
          report(name, string.format("%g voxels along %s leave nothing of a crop of %d", most, AXES[a], about.size[a]))
        end
      end
    end,
  },
})

-- ---- elastic ----

-- Control points that stay this close, as a share of their distance, fold nothing over: Choi and Lee 2000.
local MOST = 0.4

-- The displacements of the control points over an image, each uniform within its magnitude (in voxels).
local function control_points(seed, size, step, most)
  local n = {}
  for a = 1, 3 do n[a] = math.floor((size[a] - 1) / step[a]) + 4 end
  local by, rng = engine.zeros({ n[1], n[2], n[3], 3 }, { dtype = "f64" }), engine.rng(seed, "elastic", 0, 0)
  for a = 1, 3 do
    local one <close> = by:slice(4, a, a)
    rng:fill_uniform(one, -most[a], most[a])
  end
  return by
end

local function check_fold(step, most, report, name)
  for a = 1, 3 do
    if most[a] > MOST * step[a] then
      return report(name, string.format(
        "%g is more than %g of the %g between control points along %s: the sample could fold over", most[a], MOST,
        step[a], AXES[a]))
    end
  end
end

local elastic_fields = parts.with_unit({}, "spacing", parts.each_axis, { min = 2, text = "16",
  doc = "between control points" })
parts.with_unit(elastic_fields, "magnitude", parts.each_axis, { min = 0, text = "2",
  doc = "largest displacement of a control point along each axis; one number means y and x where the distance of "
    .. "slices is not known" })
elastic_fields.probability = parts.probability(0.2)
elastic_fields.interpolation = interpolation()

-- Control points are as far apart along z as a number says, also where that is not a length.
local function steps_of(self, about)
  local given = self.spacing_voxels
  if type(given) == "number" then return { given, given, given } end
  return parts.voxels_of(self, "spacing", about)
end

geometry.elastic = schema.constructor("hl.augment.elastic", {
  doc = "Bends the sample smoothly: a cubic B-spline through a grid of control points, each displaced at random "
    .. "(Rueckert et al. 1999).",
  family = "augmentation",
  fields = elastic_fields,
  prepare = function(raw)
    return parts.fill_unit(parts.fill_unit(raw, "spacing", 16), "magnitude", 2)
  end,
  check = function(self, report)
    parts.check_unit(self, "spacing", report)
    parts.check_unit(self, "magnitude", report)
    for _, unit in ipairs { "mm", "voxels" } do
      local step, most = self["spacing_" .. unit], self["magnitude_" .. unit]
      local known = { spacing_mm = { 1, 1, 1 } }
      if step and most then
        check_fold(parts.axes_of(step, known), parts.axes_of(most, known), report, "magnitude_" .. unit)
      end
    end
  end,
  methods = {
    -- What names the random stream of the control points.
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      return parts.seed(rng)
    end,
    say = function() return "elastic" end,
    move = function(self, seed, about)
      local step = steps_of(self, about)
      return { bend = { step = step,
        by = control_points(seed, about.size, step, parts.voxels_of(self, "magnitude", about)) } }
    end,
    fits = function(self, about, report)
      parts.check_mm(self, "spacing", about, report)
      parts.check_mm(self, "magnitude", about, report)
      if not about.spacing_mm and (self.spacing_mm or self.magnitude_mm) then return end
      if (self.spacing_mm ~= nil) ~= (self.magnitude_mm ~= nil) then
        check_fold(steps_of(self, about), parts.voxels_of(self, "magnitude", about), report,
          self.magnitude_mm and "magnitude_mm" or "magnitude_voxels")
      end
    end,
  },
})

return geometry
