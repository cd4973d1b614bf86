-- Changes of an image's values on analytic cases; masks stay as they are.
local t = require "tap"
local analytic = require "lua.analytic"
local augment = require "hilum.augment"
local engine = require "hilum.engine"
local value = require "hilum.value"

local SIZE = { 12, 16, 20 }
local smooth = analytic.sample(SIZE, analytic.smooth)

-- What one member makes of a sample, having drawn so.
local function changed(sample, member, drawn, about)
  local list = { member, about = about }
  local name = value.constructor(member).name:match "[%w_]+$"
  return augment.again(list, { { [name] = drawn } }, sample)
end

local function is_function(got, sample, f, name)
  local expected = {}
  for i, x in ipairs(sample.image:table()) do expected[i] = f(x) end
  t.near(analytic.worst(got.image, engine.from(expected)), 0, 2e-7, name)
  t.ok(got.truth == sample.truth and got.valid == sample.valid, "the masks are the same ones")
end

local raw = smooth.image:raw()
local stats = smooth.image:stats()
local low, high, mean = stats.min, stats.max, stats.mean
local function within(x) return math.min(math.max(x, low), high) end

is_function(changed(smooth, augment.brightness {}, 1.2), smooth, function(x) return 1.2 * x end,
  "brightness multiplies")
is_function(changed(smooth, augment.contrast {}, 0.8), smooth, function(x) return mean + 0.8 * (x - mean) end,
  "less contrast is nearer to the mean")
is_function(changed(smooth, augment.contrast {}, 1.25), smooth, function(x) return within(mean + 1.25 * (x - mean)) end,
  "more ends at the image's least and largest value")
is_function(changed(smooth, augment.gamma {}, { 1.5, 0 }), smooth, function(x)
  return low + (high - low) * ((x - low) / (high - low)) ^ 1.5
end, "gamma is a power between the image's least and largest value")
is_function(changed(smooth, augment.gamma {}, { 0.7, 1 }), smooth, function(x)
  return high - (high - low) * (1 - (x - low) / (high - low)) ^ 0.7
end, "or one from the bright end")
local kept = changed(smooth, augment.gamma { keep = true }, { 1.5, 0 }).image
local kept_mean, kept_sd = analytic.moments(kept:table())
local true_mean, true_sd = analytic.moments(smooth.image:table())
t.near(kept_mean, true_mean, 1e-6, "keep: the mean is as it was")
t.near(kept_sd, true_sd, 1e-6, "the standard deviation, too")
is_function(changed(smooth, augment.shift_hu {}, 70.0, { window_hu = { -1000, 400 } }), smooth,
  function(x) return math.min(x + 70 / 1400, 1) end, "70 HU of a window of 1400 are a twentieth")
is_function(changed(smooth, augment.shift_hu {}, -700.0, { window_hu = { -1000, 400 } }), smooth,
  function(x) return math.max(x - 0.5, 0) end, "what leaves the window ends at its end")
t.raises(function() changed(smooth, augment.shift_hu {}, 70.0) end, "no window in Hounsfield units", "without a window")
t.ok(smooth.image:raw() == raw, "the sample itself is left as it was")

-- Voxels that are not valid do not count: half of them are of another value.
local half = { image = smooth.image:clone(), truth = smooth.truth, valid = smooth.valid:clone() }
half.image:slice(3, 1, 6):fill(50)
half.valid:slice(3, 1, 6):fill(0)
local rest = analytic.moments(half.image:slice(3, 7, 12):dense("image"):table())
local got = changed(half, augment.contrast {}, 0.5).image:get(1, 1, 9, 4, 4)
t.near(got, rest + 0.5 * (half.image:get(1, 1, 9, 4, 4) - rest), 1e-6, "the mean is that of the valid voxels")
half.valid:fill(0)
t.ok(changed(half, augment.contrast {}, 0.5).image:raw() == half.image:raw(), "where none is valid, nothing is done")
local flat = analytic.sample(SIZE, function() return 0.25 end)
t.ok(changed(flat, augment.gamma {}, { 1.5, 0 }).image:raw() == flat.image:raw(), "a flat image has no gamma")

-- ---- noise ----

local noisy = changed(smooth, augment.noise {}, { 0.1, 4711 }).image
local off = {}
for i, x in ipairs(noisy:table()) do off[i] = x end
for i, x in ipairs(smooth.image:table()) do off[i] = off[i] - x end
local noise_mean, noise_sd = analytic.moments(off)
local n = #off
t.ok(math.abs(noise_mean) < 4 * 0.1 / math.sqrt(n), string.format("noise has no mean: %.5f of %d voxels", noise_mean,
  n))
t.ok(math.abs(noise_sd / 0.1 - 1) < 4 / math.sqrt(2 * n), string.format("its standard deviation is as asked for: %.5f",
  noise_sd))
local beyond, product = 0, 0
for i = 1, n do
  if math.abs(off[i]) > 0.196 then beyond = beyond + 1 end
  product = product + off[i] * (off[i + 1] or 0)
end
t.ok(math.abs(beyond / n - 0.05) < 4 * math.sqrt(0.05 * 0.95 / n),
  string.format("1.96 of it leave out %.4f", beyond / n))
t.ok(math.abs(product / n) < 4 * 0.01 / math.sqrt(n), "neighbours have nothing to do with each other")
t.ok(changed(smooth, augment.noise {}, { 0.1, 4711 }).image:raw() == noisy:raw(), "the same seed, the same noise")
t.ok(changed(smooth, augment.noise {}, { 0.1, 4712 }).image:raw() ~= noisy:raw(), "another seed, another")
t.ok(changed(smooth, augment.noise {}, { 0.0, 1 }).image:raw() == raw, "none of it is the image")

-- ---- blur and low resolution ----

local impulse = analytic.sample({ 15, 15, 15 }, function(z, y, x) return z == 7 and y == 7 and x == 7 and 1 or 0 end)
local spacing = { 2, 1, 1 }
local blurred = changed(impulse, augment.blur { sigma_mm = { 1, 2 } }, 1.4, { spacing_mm = spacing }).image
local function weight(k, sigma)
  local all = 0
  for i = -30, 30 do all = all + math.exp(-i * i / (2 * sigma * sigma)) end
  return math.exp(-k * k / (2 * sigma * sigma)) / all
end
local worst = 0
for _, at in ipairs { { 0, 0, 0 }, { 1, 0, 0 }, { 0, 2, 0 }, { -1, 2, 1 }, { 0, 0, -3 } } do
  local expected = weight(at[1], 0.7) * weight(at[2], 1.4) * weight(at[3], 1.4)
  worst = math.max(worst, math.abs(blurred:get(1, 1, 8 + at[1], 8 + at[2], 8 + at[3]) - expected))
end
t.near(worst, 0, 1e-4, "blurred, an impulse is the Gaussian, in mm")
local unknown = changed(impulse, augment.blur {}, 0.9).image
t.near(unknown:get(1, 1, 8, 8, 8), weight(0, 0.9) ^ 2, 1e-4, "between slices of unknown distance nothing is blurred")
t.is(unknown:get(1, 1, 9, 8, 8), 0.0, "not even a little")
t.ok(changed(impulse, augment.blur { axes = "z" }, 0.9).image:get(1, 1, 9, 8, 8) > 0.1, "if it is not asked for")

local known = { spacing_mm = { 1, 1, 1 } }
local coarse = changed(flat, augment.low_resolution {}, 0.5, known).image
t.ok(coarse:raw() == flat.image:raw(), "a flat image shows no resolution")
local stripes = analytic.sample(SIZE, function(_, _, x) return x % 2 end)
coarse = changed(stripes, augment.low_resolution {}, 0.5, known).image
t.near(coarse:stats().max, 0.5, 1e-6, "stripes of one voxel are grey at half of the resolution")
local ramp = analytic.sample(SIZE, function(z, y, x) return 0.01 * (z + y + x) end)
coarse = changed(ramp, augment.low_resolution {}, 0.5, known).image
local inside = engine.zeros(ramp.image.shape, { layout = "image" })
inside:slice(3, 2, 11):slice(4, 2, 15):slice(5, 2, 19):fill(1)
t.near(analytic.worst(coarse, ramp.image, inside), 0, 1e-6, "a ramp stays one")
t.ok(changed(ramp, augment.low_resolution {}, 1.0, known).image:near(ramp.image, 1e-6), "at full resolution all stays")
t.ok(changed(ramp, augment.low_resolution {}, 0.05, known).image:stats().max > 0.1,
  "one voxel along an axis is the least")

-- ---- in order ----

local both = { augment.brightness {}, augment.shift_hu {}, about = { window_hu = { 0, 100 } } }
got = augment.again(both, { { brightness = 0.5 }, { shift_hu = 10.0 } }, smooth).image:get(1, 1, 3, 3, 3)
t.near(got, 0.5 * smooth.image:get(1, 1, 3, 3, 3) + 0.1, 1e-6, "one after the other")
local turned = { augment.brightness {}, augment.flip {} }
got = augment.again(turned, { { brightness = 0.5 }, { flip = "x" } }, smooth).image:get(1, 1, 3, 3, 3)
t.is(got, 0.5 * smooth.image:get(1, 1, 3, 3, 18), "after all movements")

-- ---- engine's arguments ----

local image = smooth.image:clone()
t.raises(function() engine.intensity_line(image, 0 / 0, 0) end, "expected finite numbers", "NaN as a factor")
t.raises(function() engine.intensity_line(image, 1, 0, 2, 1) end, "in order", "a range that is none")
t.raises(function() engine.intensity_gamma(image, 0, 0, 1) end, "expected one above 0", "gamma 0")
t.raises(function() engine.intensity_gamma(image, 1, 1, 1) end, "and a range", "an empty range")
t.raises(function() engine.intensity_noise(image, -1, 1) end, "expected 0 or more", "a negative deviation")
t.raises(function() engine.intensity_noise(smooth.valid, 1, 1) end, "expected a dense tensor of f32", "a mask")
t.raises(function() engine.intensity(image, image) end, "expected a dense u8", "a mask of numbers")
t.is(engine.intensity(image, engine.zeros(image.shape, { dtype = "u8", layout = "image" })), 0,
  "nowhere is nothing measured")

t.done()
