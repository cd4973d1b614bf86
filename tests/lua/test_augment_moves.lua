-- Movements of samples on analytic cases: where voxels come from, what is valid, what masks become.
local t = require "tap"
local analytic = require "lua.analytic"
local augment = require "hilum.augment"
local engine = require "hilum.engine"
local map = require "hilum.augment.map"
local metric = require "hilum.metric"
local value = require "hilum.value"

-- A list of members and what each of them drew, applied to a sample with or without a spacing.
local function applied(sample, members, drawn, spacing_mm)
  members.about = { spacing_mm = spacing_mm }
  local entries = {}
  for i, what in ipairs(drawn) do
    entries[i] = { [value.constructor(members[i]).name:match "%w+$"] = what }
  end
  return augment.again(members, entries, sample)
end

local rotate, scale, translate = augment.rotate {}, augment.scale {}, augment.translate {}
local SIZE = { 20, 24, 28 }
local smooth = analytic.sample(SIZE, analytic.smooth)

-- ---- nothing, and what is exact ----

for _, kind in ipairs { "linear", "cubic" } do
  local none = applied(smooth, { augment.rotate { interpolation = kind }, scale, translate },
    { { 0.0, 0.0, 0.0 }, { 1.0, 1.0, 1.0 }, { 0, 0, 0 } })
  t.ok(none.image:raw() == smooth.image:raw() and none.valid:raw() == smooth.valid:raw(),
    kind .. ": the identity is it, bit by bit")
end

local shifted = applied(smooth, { translate }, { { 2, -3, 5 } })
local wrong, outside = 0, 0
for z = 1, SIZE[1] do
  for y = 1, SIZE[2] do
    for x = 1, SIZE[3] do
      local fz, fy, fx = z - 2, y + 3, x - 5
      local inside = fz >= 1 and fy <= SIZE[2] and fx >= 1
      local valid = shifted.valid:get(1, 1, z, y, x)
      if valid ~= (inside and 1 or 0) or shifted.truth:get(1, 1, z, y, x) ~= valid then outside = outside + 1 end
      if inside and shifted.image:get(1, 1, z, y, x) ~= smooth.image:get(1, 1, fz, fy, fx) then wrong = wrong + 1 end
    end
  end
end
t.is(wrong, 0, "whole voxels: each is where it was moved to, bit by bit")
t.is(outside, 0, "what comes from outside is not valid and has no truth")
t.is(shifted.image:get(1, 1, 1, 1, 1), smooth.image:get(1, 1, 1, 4, 1), "its image is that of the nearest voxel")
local half = applied(smooth, { augment.translate { whole = false } }, { { 0.5, 0.0, 0.0 } })
t.is(half.valid:get(1, 1, 1, 5, 5), 1.0, "half a voxel beyond the first one still belongs to it")
t.is(applied(smooth, { augment.translate { whole = false } }, { { 0.51, 0.0, 0.0 } }).valid:get(1, 1, 1, 5, 5), 0.0,
  "more does not")

local cube = analytic.sample({ 12, 12, 12 }, analytic.smooth)
for axis = 1, 3 do
  for k = 1, 3 do
    local turns, angles = { 0, 0, 0 }, { 0.0, 0.0, 0.0 }
    turns[axis], angles[axis] = k, 90.0 * k
    local exact = applied(cube, { augment.turn { planes = { "yx", "zx", "zy" } } }, { turns })
    local looked_up = applied(cube, { rotate }, { angles }, { 1, 1, 1 })
    t.near(analytic.worst(exact.image, looked_up.image, looked_up.valid), 0, 1e-6,
      string.format("%d quarter turns about axis %d are a rotation by %d°", k, axis, 90 * k))
  end
end

-- ---- affine maps ----

local function ramp(z, y, x) return 0.03 * z - 0.02 * y + 0.01 * x + 0.5 end

-- The list's map at a voxel, indices from 0.
local function pulled(maps, o)
  local steps = map.steps(maps)
  t.is(#steps, 1, "affine maps are one step")
  local m, offset, at = steps[1].matrix, steps[1].offset, {}
  for i = 0, 2 do at[i + 1] = m[3 * i + 1] * o[1] + m[3 * i + 2] * o[2] + m[3 * i + 3] * o[3] + offset[i + 1] end
  return at
end

local about = { size = SIZE, spacing_mm = { 2, 1, 1.25 } }
local maps = { rotate:move({ 12.0, -7.0, 5.0 }, about), scale:move({ 1.1, 0.9, 1.2 }, about),
  translate:move({ 0.4, -1.3, 2 }) }
local steps = map.steps(maps)
local from = analytic.sample(SIZE, ramp)
local expected, deep = {}, {}
for z = 0, SIZE[1] - 1 do
  for y = 0, SIZE[2] - 1 do
    for x = 0, SIZE[3] - 1 do
      local m, o, at = steps[1].matrix, steps[1].offset, {}
      for i = 0, 2 do at[i + 1] = m[3 * i + 1] * z + m[3 * i + 2] * y + m[3 * i + 3] * x + o[i + 1] end
      expected[#expected + 1] = ramp(at[1], at[2], at[3])
      local inside = true
      for a = 1, 3 do inside = inside and at[a] >= 0 and at[a] <= SIZE[a] - 1 end
      deep[#deep + 1] = inside and 1 or 0
    end
  end
end
local members = { rotate, scale, translate }
local ramped = applied(from, members, { { 12.0, -7.0, 5.0 }, { 1.1, 0.9, 1.2 }, { 0.4, -1.3, 2 } }, { 2, 1, 1.25 })
local error_of_ramp, n = analytic.worst(ramped.image, engine.from(expected), engine.from(deep))
t.near(error_of_ramp, 0, 5e-7, string.format("a linear ramp under an affine map is exact, %d voxels", n))
t.ok(n > 8000, "of most of the image")

local there = rotate:move({ 20.0, 0.0, 0.0 }, about)
local back = rotate:move({ -20.0, 0.0, 0.0 }, about)
local at = pulled({ there, back }, { 3, 17, 5 })
t.ok(math.abs(at[1] - 3) + math.abs(at[2] - 17) + math.abs(at[3] - 5) < 1e-12, "there and back again is the identity")
local returned = applied(smooth, { rotate, augment.rotate { interpolation = "cubic" } }, { { 0.0, 25.0, 0.0 },
  { 0.0, -25.0, 0.0 } }, { 2, 1, 1 })
t.near(analytic.worst(returned.image, smooth.image), 0, 1e-6, "and so is the image, which is interpolated once")
t.ok(returned.valid:raw() == smooth.valid:raw(), "nothing was lost on the way")

-- An ellipsoid with axes in mm, turned about z by an angle, in voxels of a spacing.
local function ellipsoid(size, spacing, degrees, factor)
  local cz, cy, cx = analytic.middle(size)
  local c, s = math.cos(math.rad(degrees)), math.sin(math.rad(degrees))
  return function(z, y, x)
    z, y, x = (z - cz) * spacing[1], (y - cy) * spacing[2], (x - cx) * spacing[3]
    y, x = c * y + s * x, -s * y + c * x
    return (z / 8) ^ 2 + (y / 12) ^ 2 + (x / 6) ^ 2 <= factor ^ 2
  end
end

for _, spacing in ipairs { { 1, 1, 1 }, { 2.5, 1, 0.8 } } do
  local size = { spacing[1] > 1 and 16 or 30, 36, 36 }
  local body = analytic.sample(size, analytic.smooth, ellipsoid(size, spacing, 0, 1))
  for _, degrees in ipairs { 10, 37, -60 } do
    local turned = applied(body, { rotate }, { { degrees + 0.0, 0.0, 0.0 } }, spacing)
    local dice = metric.dice_of(turned.truth, analytic.mask(size, ellipsoid(size, spacing, degrees, 1)))
    t.ok(dice > (spacing[1] > 1 and 0.95 or 0.96), string.format(
      "an ellipsoid turned by %d° in voxels of %g × %g × %g mm is the turned one: Dice %.3f", degrees,
      spacing[1], spacing[2], spacing[3], dice))
  end
end
local size = { 36, 36, 36 }
local body = analytic.sample(size, analytic.smooth, ellipsoid(size, { 1, 1, 1 }, 0, 1))
local _, volume = analytic.centre(body.truth)
for _, s in ipairs { 0.7, 0.85, 1.2, 1.4 } do
  local _, scaled = analytic.centre(applied(body, { scale }, { { s, s, s } }).truth)
  t.near(scaled / volume / s ^ 3, 1, 0.02, string.format("scaled by %g a volume grows by the cube of it", s))
end

-- ---- elastic ----

local GRID = { 4 + 19 // 6, 4 + 23 // 6, 4 + 27 // 6 }

-- Control points 6 voxels apart, displaced as f(z, y, x) of their places says.
local function bent(f, image)
  local by = engine.zeros({ GRID[1], GRID[2], GRID[3], 3 }, { dtype = "f64" })
  for z = 1, GRID[1] do
    for y = 1, GRID[2] do
      for x = 1, GRID[3] do
        local u = f(6 * (z - 2), 6 * (y - 2), 6 * (x - 2))
        for a = 1, 3 do by:set(z, y, x, a, u[a]) end
      end
    end
  end
  local one = { bend = { step = { 6, 6, 6 }, by = by } }
  return function(before, after)
    local list = { before or map.identity(), one, after or map.identity() }
    return engine.warp(map.steps(list), { { image or smooth.image, "linear" }, { smooth.valid, "mask" } })
  end
end

local function plain(matrix, offset)
  return engine.warp({ { matrix = matrix, offset = offset } }, { { smooth.image, "linear" }, { smooth.valid, "mask" } })
end

local constant = bent(function() return { 1.25, -2, 0.5 } end)()
local moved = plain(map.identity().matrix, { 1.25, -2, 0.5 })
t.near(analytic.worst(constant[1], moved[1]), 0, 1e-6, "control points displaced alike are a translation")
local function slope(z, y, x) return { 0.051 * z - 0.0213 * y + 1.003, 0.031 * x - 0.53, 0.043 * y - 0.061 * x } end
local sloped = bent(slope)()
local same = plain({ 1.051, -0.0213, 0, 0, 1, 0.031, 0, 0.043, 0.939 }, { 1.003, -0.53, 0 })
t.near(analytic.worst(sloped[1], same[1], same[2]), 0, 1e-6, "displaced linearly they are an affine map")
t.ok(sloped[2]:raw() == same[2]:raw(), "with the same valid voxels")
local inner = engine.zeros(smooth.image.shape, { layout = "image" }) -- far enough from the ends
inner:slice(3, 5, 16):slice(4, 6, 19):slice(5, 6, 23):fill(1)
local function waves(z, y, x) return { math.sin(z + x), math.cos(y), math.sin(y - z) } end
local turned = map.about_middle(map.turn(2, 3, math.cos(0.3), math.sin(0.3)), SIZE)
local mixed = bent(waves)(turned, nil)
local two = bent(waves, plain(turned.matrix, turned.offset)[1])()
t.near(analytic.worst(mixed[1], two[1], inner), 0, 0.01, "affine then elastic is one after the other")
mixed = bent(waves)(nil, turned)
two = engine.warp({ turned }, { { bent(waves)()[1], "linear" }, { smooth.valid, "mask" } })
t.near(analytic.worst(mixed[1], two[1], inner), 0, 0.01, "elastic then affine, too")

-- Where each voxel comes from, as three images: coordinates looked up are exact.
local far = { 24, 24, 24 }
local function coordinates(seed)
  local elastic = augment.elastic { spacing_voxels = 8, magnitude_voxels = 3.2 }
  local list = { elastic:move(seed, { size = far, spacing_mm = { 1, 1, 1 } }) }
  local channels = {}
  for a = 1, 3 do channels[a] = { analytic.image(far, function(...) return (select(a, ...)) end), "linear" } end
  local out = engine.warp(map.steps(list), channels)
  for a = 1, 3 do out[a] = out[a]:table() end
  return out
end

local function determinant(u, i)
  local d = {}
  for k, step in ipairs { 24 * 24, 24, 1 } do
    d[k] = {}
    for a = 1, 3 do d[k][a] = (u[a][i + step] - u[a][i - step]) / 2 end
  end
  return d[1][1] * (d[2][2] * d[3][3] - d[2][3] * d[3][2]) - d[1][2] * (d[2][1] * d[3][3] - d[2][3] * d[3][1])
    + d[1][3] * (d[2][1] * d[3][2] - d[2][2] * d[3][1])
end

local least, most = math.huge, -math.huge
for seed = 1, 4 do
  local u = coordinates(seed)
  for z = 5, 18 do
    for y = 5, 18 do
      for x = 5, 18 do
        local d = determinant(u, (z * 24 + y) * 24 + x + 1)
        least, most = math.min(least, d), math.max(most, d)
      end
    end
  end
end
t.ok(least > 0, string.format("with the largest magnitude nothing folds over: Jacobian %.2f to %.2f", least, most))
t.ok(most > 1.3, "though much is bent")

-- ---- all of it at once ----

-- Two functions of the place, moved by all members.
local everything = { augment.flip {}, rotate, scale, translate, augment.elastic {} }
local drawn = { "x", { 12.0, 6.0, -9.0 }, { 1.1, 1.1, 1.1 }, { 1, -2, 1 }, 77 }
local function blob(z, y, x) return math.exp(-((z - 12) ^ 2 + (y - 16) ^ 2 + (x - 13) ^ 2) / 18) end
local pair = analytic.sample({ 28, 28, 28 }, blob, function(z, y, x) return blob(z, y, x) > 0.3 end)
pair.readers = { pair.truth:clone() }
pair.soft = analytic.image({ 28, 28, 28 }, blob)
local moved_pair = applied(pair, everything, drawn, { 2, 1, 1 })
local p, q = analytic.centre(moved_pair.image), analytic.centre(moved_pair.truth)
t.ok(math.abs(p[1] - q[1]) + math.abs(p[2] - q[2]) + math.abs(p[3] - q[3]) < 0.3,
  string.format("image and mask stay together: %.2f %.2f %.2f and %.2f %.2f %.2f", p[1], p[2], p[3], q[1], q[2], q[3]))
local before = analytic.centre(pair.truth)
t.ok(math.abs(before[3] - q[3]) + math.abs(before[2] - q[2]) > 1, "elsewhere than they were")
t.ok(moved_pair.readers[1]:raw() == moved_pair.truth:raw(), "a reader's mask goes where the same truth goes")
local soft = applied({ image = pair.image, truth = pair.soft, valid = pair.valid }, everything, drawn, { 2, 1, 1 })
t.near(analytic.worst(soft.truth, soft.image, soft.valid), 0, 1e-6, "a soft truth is interpolated as the image is")
local values = soft.truth:stats()
t.ok(values.max > 0.5 and values.max < 1, "and stays soft")

local one_by_one, whole = smooth, { rotate, scale, augment.translate { whole = false } }
local what = { { 9.0, 4.0, -6.0 }, { 1.08, 1.08, 1.08 }, { 0.6, -0.7, 0.3 } }
for i = 1, 3 do one_by_one = applied(one_by_one, { whole[i] }, { what[i] }, { 1, 1, 1 }) end
local composed = applied(smooth, whole, what, { 1, 1, 1 })
steps = map.steps { rotate:move(what[1], { size = SIZE, spacing_mm = { 1, 1, 1 } }),
  scale:move(what[2], { size = SIZE }), translate:move(what[3]) }
local truth = analytic.image(SIZE, function(z, y, x)
  local m, o = steps[1].matrix, steps[1].offset
  return analytic.smooth(m[1] * z + m[2] * y + m[3] * x + o[1], m[4] * z + m[5] * y + m[6] * x + o[2],
    m[7] * z + m[8] * y + m[9] * x + o[3])
end)
local in_turn, at_once = analytic.worst(one_by_one.image, truth, inner), analytic.worst(composed.image, truth, inner)
t.near(analytic.worst(one_by_one.image, composed.image, inner), 0, 0.02, "composed is one after the other")
t.ok(at_once < in_turn, string.format("and nearer to the truth: %.1e, one after the other %.1e", at_once, in_turn))
local cubic = applied(smooth, { augment.rotate { interpolation = "cubic" }, whole[2], whole[3] }, what, { 1, 1, 1 })
local by_spline = analytic.worst(cubic.image, truth, inner)
t.ok(by_spline < at_once / 5, string.format("a cubic B-spline is nearer still: %.1e", by_spline))

t.done()
