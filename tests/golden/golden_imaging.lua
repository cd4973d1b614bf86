-- Golden vectors of image maths: SimpleITK's resampling, scipy's filters, masks and distances.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local image = require "hilum.image"

-- scipy's names of what lies beyond an axis.
local BOUNDARY = {
  reflect = "reflect", mirror = "mirror", nearest = "edge", constant = "constant", ["grid-constant"] = "blend",
  ["grid-mirror"] = "reflect", ["grid-wrap"] = "wrap",
}
local KIND = { [0] = "nearest", [1] = "linear", [3] = "cubic" }
local RESAMPLING = { linear = "linear", nearest = "nearest", bspline3 = "cubic" }

local function boundary_of(case, wrap)
  local name = case.mode or "constant"
  return name == "wrap" and wrap or BOUNDARY[name] or golden.missing("the boundary " .. name)
end

local function sampling_of(case, more)
  local how = {
    kind = KIND[case.order] or golden.missing("a spline of order " .. tostring(case.order)),
    boundary = boundary_of(case, "overlap"), outside = case.cval or 0,
  }
  for key, value in pairs(more or {}) do how[key] = value end
  return how
end

-- The values of a live program as tensors: images have no gradients.
local function input(v)
  return v:tensor():dense "plain"
end

local function mask_of(v)
  return input(v):to "u8"
end

-- Images of whole numbers were truncated toward zero where they are stored; a value that is whole within rounding
-- may lie on either side.
local function truncated(t)
  local values = t:to("f64"):table()
  for i, v in ipairs(values) do values[i] = v < 0 and math.ceil(v - 1e-9) or math.floor(v + 1e-9) end
  return engine.from(values, { dtype = "f64" }):reshape(t.shape)
end

local function resample(case, v)
  local out = engine.resample(input(v.x), {
    from = { spacing_mm = case.in_spacing, origin_mm = case.in_origin },
    to = { size = case.out_size, spacing_mm = case.out_spacing, origin_mm = case.out_origin },
    kind = RESAMPLING[case.interpolator] or golden.missing("the interpolation " .. case.interpolator),
    outside = case.default_value, type = case.dtype,
  })
  return { y = case.pixel_type:find "^f" and out or truncated(out) }
end

-- One off where a whole number was cut off is allowed; else the usual.
local function one_off(case, data)
  if case.pixel_type:find "^f" then return nil end
  local s = data.outputs.y:stats()
  return 1.0001 / math.max(math.abs(s.min), math.abs(s.max), 1)
end

-- Half to even, as Python rounds.
local function rounded(x)
  local low = math.floor(x)
  if x - low == 0.5 then return low % 2 == 0 and low or low + 1 end
  return math.floor(x + 0.5)
end

local function zoom(case, v)
  local x, size, matrix, offset = input(v.x), {}, { 0, 0, 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0 }
  for a = 1, 3 do
    local n = x.shape[a]
    local m = rounded(n * case.zoom[a])
    local scale = case.grid_mode and n / m or m > 1 and (n - 1) / (m - 1) or 1
    size[a], matrix[4 * a - 3] = m, scale
    if case.grid_mode then offset[a] = 0.5 * scale - 0.5 end
  end
  return { y = image.affine(x, sampling_of(case, { size = size, matrix = matrix, offset = offset })) }
end

local function affine(case, v)
  local x = input(v.x)
  local size = case.output_shape or x.shape
  return { y = image.affine(x, sampling_of(case, { size = size, matrix = input(v.matrix):table(),
    offset = input(v.offset):table() })) }
end

local function morph(what)
  return function(case, v) return { y = image.morph(mask_of(v.x), what, case.connectivity, case.iterations) } end
end

local function parts(case, v)
  local labels, list = image.parts(mask_of(v.x), case.connectivity)
  local sizes, centres = {}, {}
  for i, part in ipairs(list) do
    sizes[i] = part.voxels
    centres[i] = { part.centre[1] - 1, part.centre[2] - 1, part.centre[3] - 1 }
  end
  if #list == 0 then return { labels = labels } end
  return { labels = labels, sizes = sizes, centres = centres }
end

-- Coordinates stay double in the pass that keeps images in single precision: there are no other ones.
local function exact(tensor)
  return tensor:to "f64"
end

golden.run {
  topic = "imaging", dtypes = { "f64", "f32" }, -- scans: bf16 begins with the network
  tolerance = { f64 = { outputs = 1e-10, grads = 0 }, f32 = { outputs = 5e-6, grads = 0 } },
  ops = {
    resample = { run = resample, tolerance = one_off },
    gaussian_filter = function(case, v)
      return { y = image.gaussian(input(v.x), { sigma = case.sigma, truncate = case.truncate,
        boundary = boundary_of(case, "wrap"), outside = case.cval }) }
    end,
    zoom = zoom,
    affine_transform = { run = affine, bind = { matrix = exact, offset = exact } },
    map_coordinates = {
      bind = { coords = exact },
      run = function(case, v)
        return { y = engine.sample_points(input(v.x), input(v.coords), sampling_of(case)) }
      end,
    },
    binary_dilation = morph "dilate", binary_erosion = morph "erode",
    binary_opening = morph "open", binary_closing = morph "close",
    fill_holes = function(case, v) return { y = image.fill_holes(mask_of(v.x), case.connectivity) } end,
    connected_components = parts,
    distance_transform = function(case, v)
      return { y = image.distance(mask_of(v.x), case.spacing, case.dtype) }
    end,
    hu_window = function(case, v) return { y = image.window(input(v.x), case.lo, case.hi) } end,
  },
}
