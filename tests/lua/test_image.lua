-- Image maths by hand-worked answers: sampling, resampling, filters, masks, distances.

local t = require "tap"
local engine = require "hilum.engine"
local image = require "hilum.image"

local function line(values, dtype)
  return engine.from({ { values } }, { dtype = dtype or "f64" })
end

local function close(a, b)
  for i = 1, math.max(#a, #b) do
    local off = a[i] and b[i] and math.abs(a[i] - b[i]) or math.huge
    if off ~= off or off > 1e-12 then return false end
  end
  return true
end

local function is(got, expected, name)
  t.near(got, expected, 0, name)
end

local function points(xs)
  local rows = { {}, {}, {} }
  for i, x in ipairs(xs) do rows[1][i], rows[2][i], rows[3][i] = 1, 1, x end
  return engine.from(rows, { dtype = "f64" })
end

-- ---- between voxels ----

local abc = line { 10, 20, 40 }
local beyond = points { -1, 0, 0.5, 1, 2.5, 3.5, 4, 5 }
local expected = {
  edge = { 10, 10, 10, 10, 30, 40, 40, 40 },
  mirror = { 40, 20, 15, 10, 30, 30, 20, 10 },
  reflect = { 20, 10, 10, 10, 30, 40, 40, 20 },
  wrap = { 20, 40, 25, 10, 30, 25, 10, 20 },
  constant = { -1, -1, -1, 10, 30, -1, -1, -1 },
  blend = { -1, -1, 4.5, 10, 30, 19.5, -1, -1 },
  overlap = { 10, 20, 30, 10, 30, 15, 20, 10 },
}
for boundary, want in pairs(expected) do
  local got = image.at(abc, beyond, { boundary = boundary, outside = -1 })
  t.ok(close(got:table(), want), "linear beyond the ends: " .. boundary)
end
t.ok(close(image.at(abc, points { 1.49, 1.5, 2.7 }, { kind = "nearest" }):table(), { 10, 20, 40 }),
  "nearest: half goes up")
for _, boundary in ipairs { "edge", "mirror", "reflect", "wrap", "blend", "constant" } do
  local got = image.at(abc, points { 1, 2, 3 }, { kind = "cubic", boundary = boundary })
  t.ok(close(got:table(), { 10, 20, 40 }), "a spline goes through the samples: " .. boundary)
end
local ramp = {}
for i = 1, 60 do ramp[i] = 3 * i - 7 end
t.ok(close(image.at(line(ramp), points { 30.25, 30.5 }, { kind = "cubic" }):table(), { 83.75, 84.5 }),
  "far from the ends a spline of a ramp is the ramp")
t.is(image.at(line({ 1, 2 }, "i16"), points { 1.5 }):table()[1], 1.5, "whole numbers are sampled too")
t.is(image.at(line({ 1, 2 }, "i16"), points { 1.5 }).dtype, "f32", "and give f32")
t.ok(image.at(abc, points { 0 / 0 }):table()[1] ~= 0, "a point that is no number gives none")
t.ok(image.at(abc, points { 1e300, -1e300 }, { boundary = "mirror" }):stats().max <= 40, "far points end nothing")

local turned = image.affine(line { 1, 2, 3 }, { matrix = { 1, 0, 0, 0, 1, 0, 0, 0, -1 }, offset = { 0, 0, 2 } })
t.ok(close(turned:table(), { 3, 2, 1 }), "an affine map that turns a line around")

-- ---- resampling in mm ----

local fine = engine.from({ { { 0, 1, 1, 0, 1, 0 } } }, { dtype = "u8" })
local coarse = image.resample(fine, {
  from = { spacing_mm = { 1, 1, 0.5 } }, to = { size = { 1, 1, 2 }, spacing_mm = { 1, 1, 1.5 },
    origin_mm = { 0, 0, 0.5 } }, kind = "area", type = "f64" })
t.ok(close(coarse:table(), { 2 / 3, 1 / 3 }), "by area: the share of a mask in a coarser voxel")
local shifted = image.resample(line { 1, 2, 3, 4 }, { from = {}, to = { size = { 1, 1, 3 }, origin_mm = { 0, 0, 1.5 } },
  type = "f64", outside = -1 })
t.ok(close(shifted:table(), { 2.5, 3.5, 4 }), "within half a voxel of the last sample, its value goes on")
local cubic = image.resample(line(ramp), { from = {}, to = { size = { 1, 1, 1 }, origin_mm = { 0, 0, 29.25 } },
  kind = "cubic", type = "f64" })
t.ok(close(cubic:table(), { 83.75 }), "by spline")

-- ---- filters ----

local w = { math.exp(-0.5), 1 }
local s = w[2] + 2 * w[1]
t.ok(close(image.gaussian(line { 0, 0, 1, 0, 0 }, { sigma = { 0, 0, 1 }, truncate = 1 }):table(),
  { 0, w[1] / s, w[2] / s, w[1] / s, 0 }), "a Gaussian of radius 1")
t.ok(close(image.window(line { -2000, -300, 400, 900 }, -1000, 400):table(), { 0, 0.5, 1, 1 }), "a window")

-- ---- masks ----

local ring = engine.from({ { { 0, 1, 1, 1, 0 }, { 0, 1, 0, 1, 0 }, { 0, 1, 1, 1, 0 } } }, { dtype = "u8" })
is(image.fill_holes(engine.from({ { { 0, 0 } } }, { dtype = "u8" })):stats().max, 0, "no hole, nothing filled")
-- in one slice every voxel touches the image's border along z
t.ok(close(image.fill_holes(ring):table(), ring:table()), "beyond the first and last slice is outside")
local ball = engine.zeros({ 3, 3, 3 }, { dtype = "u8" }):fill(1):set(2, 2, 2, 0)
is(image.fill_holes(ball):get(2, 2, 2), 1, "a hole in all directions is filled")
is(image.morph(ball, "erode"):stats().max, 0, "erosion comes from the image's border")
local dot = engine.zeros({ 3, 3, 3 }, { dtype = "u8" }):set(2, 2, 2, 9)
local function count(mask)
  local n = 0
  for _, v in ipairs(mask:table()) do n = n + v end
  return n
end
is(count(image.morph(dot, "dilate", 6)), 7, "a voxel and its 6 neighbours")
is(count(image.morph(dot, "dilate", 18)), 19, "and its 18")
is(count(image.morph(dot, "dilate", 26)), 27, "and its 26")
is(count(image.morph(dot, "close", 6)), 1, "closing a voxel in the middle keeps it")
local diagonal = engine.from({ { { 0, 1, 0 }, { 1, 0, 0 } } }, { dtype = "u8" })
local labels, parts = image.parts(diagonal, 6)
is(#parts, 2, "two voxels that share an edge are two parts by 6")
is(labels:get(1, 1, 2), 1, "the first in memory is 1")
is(parts[2].centre[2], 2, "centres are indices from 1")
is(#select(2, image.parts(diagonal, 18)), 1, "and one part by 18")
is(select(2, image.parts(diagonal, 18))[1].size[3], 2, "with the box around both")

local far = engine.zeros({ 2, 3, 4 }, { dtype = "u8" }):fill(1):set(1, 1, 1, 0)
local d = image.distance(far, { 2.5, 0.7, 0.8 }, "f64")
is(d:get(1, 1, 1), 0, "outside the mask the distance is 0")
t.ok(math.abs(d:get(2, 3, 4) - math.sqrt(2.5 ^ 2 + 1.4 ^ 2 + 2.4 ^ 2)) < 1e-12, "distances are in mm")
t.is(image.distance(far:fill(1), { 1, 1, 1 }):stats().infinite, 24, "without any outside they are infinite")

-- ---- wrong arguments ----

t.raises(function() image.at(abc, points { 1 }, { kind = "quintic" }) end, "quintic", "an unknown interpolation")
t.raises(function() image.at(abc, points { 1 }, { boundary = "nowhere" }) end, "nowhere", "an unknown boundary")
t.raises(function() image.at(engine.zeros { 2, 2 }, points { 1 }) end, "z, y, x", "an image of two axes")
t.raises(function() image.at(engine.zeros { 0, 2, 2 }, points { 1 }) end, "empty", "an empty image")
t.raises(function() engine.sample_points(abc, engine.zeros { 3, 4 }, {}) end, "f64", "points in single precision")
t.raises(function() image.gaussian(line({ 1 }, "i16"), { sigma = { 1, 1, 1 } }) end, "f32, f64", "a filter of i16")
t.raises(function() image.gaussian(abc, { sigma = { 1, -1, 1 } }) end, "sigma is %-1", "a negative sigma")
t.raises(function() image.gaussian(abc, { sigma = { 1, 1 } }) end, "3 numbers", "two sigmas")
t.raises(function() image.morph(ball, "melt") end, "melt", "an unknown operation")
t.raises(function() image.morph(ball, "erode", 8) end, "connectivity is 8", "a connectivity of planes")
t.raises(function() image.morph(ball, "erode", 6, 0) end, "0 iterations", "no iterations")
t.raises(function() image.parts(abc) end, "u8", "parts of an image that is no mask")
t.raises(function() image.distance(ball, { 1, 0, 1 }) end, "spacing is 0", "no spacing")
t.raises(function() image.resample(abc, { from = {}, to = { size = { 1, 1, 1e9 } } }) end, "size", "a vast grid")
t.raises(function() image.resample(abc, { from = {}, to = { size = { 1, 1, 1 } }, kind = "best" }) end, "best",
  "an unknown resampling")
t.raises(function() image.window(abc, 5, 5) end, "window", "an empty window")

t.done()
