-- Members that change the image's values, one after the other; masks stay as they are. self:change(drawn, image, about)
-- changes the image (f32 {1,1,z,y,x}) in place. What an image is between and about is measured on its valid voxels.

local engine = require "hilum.engine"
local parts = require "hilum.augment.parts"
local schema = require "hilum.schema"

local intensity = {}

-- Replaces the image by f(the image as z, y, x).
local function on_grid(image, about, f)
  local size = about.size
  local plain <close> = image:reshape(size)
  local new <close> = f(plain)
  local shaped <close> = new:reshape { 1, 1, size[1], size[2], size[3] }
  image:copy_(shaped)
end

-- A member with a factor around 1.
local function with_factor(name, o)
  local word = name:match "%w+$"
  return schema.constructor(name, {
    doc = o.doc, family = "augmentation",
    fields = {
      factor = parts.range { default = { 0.75, 1.25 }, min = 0.01, max = 100,
        doc = "drawn uniformly in its logarithm" },
      probability = parts.probability(0.15),
    },
    check = function(self, report) parts.check_order(self, "factor", report) end,
    methods = {
      draw = function(self, rng)
        if rng:uniform() >= self.probability then return nil end
        return parts.factor(rng, self.factor)
      end,
      say = function(_, factor) return string.format("%s %.2f", word, factor) end,
      change = o.change,
    },
  })
end

intensity.brightness = with_factor("hl.augment.brightness", {
  doc = "Multiplies the image.",
  change = function(_, factor, image) engine.intensity_line(image, factor, 0) end,
})

intensity.contrast = with_factor("hl.augment.contrast", {
  doc = "Multiplies the image's distances from its mean; it stays between its least and largest value.",
  change = function(_, factor, image, about)
    local voxels, low, high, mean = engine.intensity(image, about.valid)
    if voxels > 0 then engine.intensity_line(image, factor, mean * (1 - factor), low, high) end
  end,
})

intensity.gamma = schema.constructor("hl.augment.gamma", {
  doc = "Raises the image, seen as 0 to 1 between its least and largest value, to a power.", family = "augmentation",
  fields = {
    gamma = parts.range { default = { 0.7, 1.5 }, min = 0.05, max = 20, doc = "drawn uniformly in its logarithm" },
    inverted = schema.number { default = 0.25, min = 0, max = 1,
      doc = "share of the draws that do so from the bright end: 1 - (1 - x)^gamma" },
    keep = schema.bool { default = false, doc = "mean and standard deviation as they were" },
    probability = parts.probability(0.3),
  },
  check = function(self, report) parts.check_order(self, "gamma", report) end,
  methods = {
    -- The power, and 1 where it is from the bright end.
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      local gamma = parts.factor(rng, self.gamma)
      return { gamma, rng:uniform() < self.inverted and 1 or 0 }
    end,
    say = function(_, drawn)
      return string.format("gamma %.2f%s", drawn[1], drawn[2] == 1 and " from the bright end" or "")
    end,
    change = function(self, drawn, image, about)
      local voxels, low, high, mean, sd = engine.intensity(image, about.valid)
      if voxels == 0 or low == high then return end
      engine.intensity_gamma(image, drawn[1], low, high, drawn[2] == 1)
      if not self.keep then return end
      local _, _, _, new_mean, new_sd = engine.intensity(image, about.valid)
      local scale = new_sd > 0 and sd / new_sd or 1
      engine.intensity_line(image, scale, mean - scale * new_mean)
    end,
  },
})

intensity.shift_hu = schema.constructor("hl.augment.shift_hu", {
  doc = "Adds a number of Hounsfield units, as scanners differ in; what leaves the data's window ends at its ends.",
  family = "augmentation",
  fields = {
    hu = schema.number { default = 20, min = 0, max = 2000, doc = "largest shift up and down, in Hounsfield units" },
    probability = parts.probability(0.3),
  },
  methods = {
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      return parts.uniform(rng, -self.hu, self.hu)
    end,
    say = function(_, hu) return (string.format("%+.0f HU", hu):gsub("-", "−")) end,
    change = function(_, hu, image, about)
      local window = about.window_hu
      if not window then error("hl.augment.shift_hu: the data has no window in Hounsfield units", 0) end
      engine.intensity_line(image, 1, hu / (window[2] - window[1]), 0, 1)
    end,
    fits = function(_, about, report)
      if not about.window_hu then report("", about.name .. " has no window in Hounsfield units") end
    end,
  },
})

intensity.noise = schema.constructor("hl.augment.noise", {
  doc = "Adds independent normal numbers to all voxels.", family = "augmentation",
  fields = {
    sigma = schema.number { default = 0.05, min = 0, max = 10,
      doc = "largest standard deviation, where the image's window is 0 to 1; drawn uniformly from 0 on" },
    probability = parts.probability(0.15),
  },
  methods = {
    -- The standard deviation, and what names the random stream.
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      return { parts.uniform(rng, 0, self.sigma), parts.seed(rng) }
    end,
    say = function(_, drawn) return string.format("noise %.3f", drawn[1]) end,
    change = function(_, drawn, image) engine.intensity_noise(image, drawn[1], drawn[2]) end,
  },
})

local blur_fields = parts.with_unit({}, "sigma", parts.range, { min = 0, max = 50, text = "{ 0.5, 1 }",
  doc = "standard deviation of the Gaussian, drawn between the two" })
blur_fields.axes, blur_fields.probability = parts.axes "axes that are blurred", parts.probability(0.2)

intensity.blur = schema.constructor("hl.augment.blur", {
  doc = "Blurs the image with a Gaussian.", family = "augmentation", fields = blur_fields,
  prepare = function(raw) return parts.fill_unit(raw, "sigma", { 0.5, 1 }) end,
  check = function(self, report)
    parts.check_unit(self, "sigma", report)
    parts.check_order(self, "sigma_mm", report)
    parts.check_order(self, "sigma_voxels", report)
  end,
  methods = {
    -- In voxels or mm, as the field says.
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      local range = self.sigma_mm or self.sigma_voxels
      return parts.uniform(rng, range[1], range[2])
    end,
    say = function(self, sigma) return string.format("blur %.2f %s", sigma, self.sigma_mm and "mm" or "voxels") end,
    change = function(self, sigma, image, about)
      local along, each = parts.which(self, about), {}
      for a = 1, 3 do each[a] = along[a] and sigma / (self.sigma_mm and about.spacing_mm[a] or 1) or 0 end
      on_grid(image, about, function(t) return engine.gaussian(t, { sigma = each, boundary = "edge" }) end)
    end,
    fits = function(self, about, report) parts.check_mm(self, "sigma", about, report) end,
  },
})

-- The grid of so many voxels over one of `size` voxels of 1.
local function coarser(size, count)
  local grid = { size = count, spacing_mm = {}, origin_mm = {} }
  for a = 1, 3 do
    grid.spacing_mm[a] = size[a] / count[a]
    grid.origin_mm[a] = (grid.spacing_mm[a] - 1) / 2
  end
  return grid
end

intensity.low_resolution = schema.constructor("hl.augment.low_resolution", {
  doc = "Shows the image as if its voxels were larger: means over coarser voxels, interpolated linearly between them.",
  family = "augmentation",
  fields = {
    factor = parts.range { default = { 0.5, 1 }, min = 0.05, max = 1, doc = "of the number of voxels along each axis" },
    axes = parts.axes "axes that get coarser",
    probability = parts.probability(0.2),
  },
  check = function(self, report) parts.check_order(self, "factor", report) end,
  methods = {
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return nil end
      return parts.uniform(rng, self.factor[1], self.factor[2])
    end,
    say = function(_, factor) return string.format("resolution %.2f", factor) end,
    change = function(self, factor, image, about)
      local along, count, size = parts.which(self, about), {}, about.size
      for a = 1, 3 do count[a] = along[a] and math.max(1, math.floor(size[a] * factor + 0.5)) or size[a] end
      local fine, coarse = coarser(size, size), coarser(size, count)
      on_grid(image, about, function(t)
        local small <close> = engine.resample(t, { from = fine, to = coarse, kind = "area" })
        return engine.resample(small, { from = coarse, to = fine, kind = "linear" })
      end)
    end,
  },
})

return intensity
