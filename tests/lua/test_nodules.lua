-- Marks made by hand: grouping, consensus, soft truth, what is left out, measures.

local t = require "tap"
local engine = require "hilum.engine"

local place = engine.place { size = { 10, 40, 40 }, spacing_mm = { 2, 1, 1 }, origin_mm = { -20, 0, 0 } }

-- An outline whose strict inside is a square of `side` pixels with its first one at (x, y).
local function square(x, y, side)
  local points = {}
  for i = 0, side do points[#points + 1] = { x - 1 + i, y - 1 } end
  for i = 0, side do points[#points + 1] = { x + side, y - 1 + i } end
  for i = 0, side do points[#points + 1] = { x + side - i, y + side } end
  for i = 0, side do points[#points + 1] = { x - 1, y + side - i } end
  return points
end

-- Slices first … last (from 1) of the place.
local function box(first, last, x, y, side, ratings)
  local mark = { id = string.format("%d-%d", x, y), rois = {}, ratings = ratings }
  for k = first, last do
    mark.rois[#mark.rois + 1] = { z_mm = -20 + 2 * (k - 1), points = square(x, y, side) }
  end
  return mark
end

local four = engine.marks { sessions = {
  { box(3, 6, 10, 10, 6, { malignancy = 5, texture = 4 }) }, { box(3, 6, 10, 10, 6, { malignancy = 3 }) },
  { box(3, 6, 10, 10, 8) }, { box(4, 5, 10, 10, 10), box(8, 9, 30, 30, 4) },
} }

local function find(rule, marks)
  local nodules, err = engine.find_nodules(place, marks or four, rule)
  return assert(nodules, err)
end

local function voxels(mask)
  local n = 0
  for _, v in ipairs(mask:table()) do n = n + v end
  return math.tointeger(n)
end

-- ---- consensus ----

t.is(voxels(find {}:mask(1)), 2 * 64 + 2 * 36, "half of the sessions: in two slices 8 × 8, in two 6 × 6")
t.is(voxels(find { votes = 1 }:mask(1)), 2 * 64 + 2 * 100, "one reader is enough")
t.is(voxels(find { votes = 4 }:mask(1)), 2 * 36, "all four")
t.is(voxels(find { votes = 3, level = 0.01 }:mask(1)), 4 * 36, "three, whatever the level")
t.is(#find { votes = 5 }:list(), 0, "more than there are: no nodule")
t.is(find { votes = 5 }:left_out().disputed, 1, "and that is counted")

local nodules = find { min_readers = 1, level = 0.01 }
local list = nodules:list()
t.is(#list, 2, "two findings")
t.same(list[1].marks, { 1, 2, 3, 4 }, "whose marks are known")
t.is(list[1].mean_ratings.malignancy, 4.0, "ratings are averaged over who rated")
t.is(voxels(nodules:mask(1, 3)), 4 * 64, "each reader's mask")
t.same(four:ratings()[1], { malignancy = 5, texture = 4 }, "and ratings as they are")
t.is(four:ratings()[3], false, "false without any")

-- ---- leaving out ----

nodules:keep { false, true }
t.is(#nodules:list(), 1, "one is kept")
t.is(nodules:list()[1].readers, 1, "the right one")
t.same(nodules:groups(), { { 5 }, { 1, 2, 3, 4 } }, "the other is a finding that is no nodule")
local air = engine.zeros({ 10, 40, 40 }, { dtype = "i16" })
local grid = { size = { 10, 40, 40 }, spacing_mm = { 2, 1, 1 }, window_hu = { -1000, 400 } }
local whole = nodules:whole(air, grid)
t.is(voxels(whole.truth), 2 * 16, "in the scan it is not truth")
t.is(10 * 40 * 40 - voxels(whole.valid), 2 * 64 + 2 * 100, "but not valid, wherever a reader saw it")
t.raises(function() nodules:keep { true, true } end, "one entry", "keeping more than there are")

-- ---- soft truth ----

local soft = find { soft = true }
local crop = soft:crop(1, air, { size = { 8, 20, 20 }, spacing_mm = { 2, 1, 1 }, window_hu = { -1000, 400 } })
t.is(crop.truth.dtype, "f32", "a soft truth is f32")
t.is(crop.truth:stats().max, 1.0, "all readers: 1")
local shares = soft:whole(air, grid).truth
t.near(shares:stats().mean * #shares, (4 * 36 * 2 + 4 * 64 + 2 * 100) / 4, 1e-4, "the sum of the readers' votes")
local of_marks = engine.marks { sessions = { { box(3, 6, 10, 10, 6) }, {}, {}, {} } }
local function top(rule)
  local found = find(rule, of_marks)
  return found:whole(air, grid).truth:stats().max
end
t.is(top { soft = true, min_readers = 1, level = 0.25 }, 0.25, "one of four sessions")
t.is(top { soft = true, min_readers = 1, of = "marks" }, 1.0, "one of one mark")

-- ---- onto other grids ----

-- A nodule of 3 × 3 pixels in voxels of 4 × 4: none holds half of it or more, but one has its middle in it.
local thin = find({ min_readers = 1, level = 0.01 }, engine.marks { sessions = { { box(3, 6, 10, 10, 3) } } })
local function coarse(masks)
  local on = { size = { 5, 10, 10 }, spacing_mm = { 1, 1, 1 }, window_hu = { -1000, 400 }, masks = masks }
  return voxels(thin:whole(air, on).truth)
end
t.is(coarse "area", 0, "by area: less than half of any box")
t.is(coarse "nearest", 2, "nearest looks at one voxel, in two slices")
t.raises(function() coarse "best" end, "best", "an unknown kind")
local wave = engine.zeros({ 10, 40, 40 }, { dtype = "i16" })
for x = 1, 40 do wave:slice(3, x):fill(math.floor(600 * math.sin(x / 3))) end
local function by(kind)
  return find {}:crop(1, wave, { size = { 8, 20, 20 }, spacing_mm = { 1, 0.5, 0.5 }, window_hu = { -1000, 1000 },
    image = kind }).image
end
t.ok(wave:stats().max > 500, "a wave")
local centre = find {}:list()[1].centre_mm
local whole_spline = engine.resample(wave, {
  from = { spacing_mm = { 2, 1, 1 }, origin_mm = { -20, 0, 0 } }, kind = "cubic",
  to = { size = { 8, 20, 20 }, spacing_mm = { 1, 0.5, 0.5 },
    origin_mm = { centre[1] - 3.5, centre[2] - 4.75, centre[3] - 4.75 } },
})
whole_spline = engine.window(whole_spline, -1000, 1000):reshape { 1, 1, 8, 20, 20 }:dense "image"
local spline = engine.op.sub(by "cubic", whole_spline)
t.ok(math.max(spline:stats().max, -spline:stats().min) < 1e-6, "a spline of a part of the scan is that of the whole")
local off = engine.op.sub(by "cubic", by "linear"):stats()
t.ok(math.max(off.max, -off.min) > 1e-3, "and not linear")

-- ---- grouping ----

-- 2 mm apart in the plane, three marks in a row: single linkage takes all, sessions forbid two of one.
local row = engine.marks { sessions = {
  { box(3, 4, 10, 10, 3), box(3, 4, 20, 10, 3) }, { box(3, 4, 15, 10, 3) },
} }
local function sizes(rule)
  local result = {}
  for i, group in ipairs(find(rule, row):groups()) do result[i] = #group end
  table.sort(result)
  return result
end
t.same(sizes { grouping = "mm", gap_mm = 3 }, { 1, 2 }, "in mm, no session twice")
t.same(sizes { grouping = "pylidc", thickness_mm = 1 }, { 3 }, "pylidc: outlines that touch are one")
t.same(sizes { grouping = "pylidc", thickness_mm = 0.5 }, { 1, 1, 1 }, "pylidc: the tolerance is the thickness")
local near = find({ grouping = "pylidc", thickness_mm = 1 }, row):distances()
t.is(near:get(1, 3), 1.0, "distances are those of outline points, in pixels")
t.is(near:get(1, 2), 6.0, "of each two marks")
t.raises(function() find {}:distances() end, "pylidc", "distances belong to pylidc's grouping")
local many = { {}, {}, {}, {}, {} }
for s = 1, 5 do many[s][1] = box(3, 4, 10 + (s == 5 and 7 or 0), 10, 4) end
local shrunk = find({ grouping = "pylidc", thickness_mm = 2.2 }, engine.marks { sessions = many })
t.is(#shrunk:groups(), 2, "pylidc: five marks are too many, the tolerance shrinks until they part")
t.raises(function() find { grouping = "friends" } end, "friends", "an unknown grouping")
local crowd = { {} }
for i = 1, 20 do crowd[1][i] = box(3, 4, 10, 10, 4) end
local none, err = engine.find_nodules(place, engine.marks { sessions = crowd }, { grouping = "pylidc" })
t.ok(not none and err.message:find "20 marks", "a crowd that never parts is refused: " .. tostring(err.message))

-- ---- measures ----

local s = four:shape(1, place, 2)
t.same({ s.points, s.first, s.size }, { 4 * 28, { 3, 10, 10 }, { 4, 8, 8 } }, "the box of an outline")
t.near(s.longest_mm, 7 * math.sqrt(2), 1e-12, "the diagonal of the outline")
t.near(s.volume_mm3, 49 * 2 * 4, 1e-12, "areas through the outline's pixels times slice distances")
t.raises(function() four:shape(9, place, 2) end, "mark 8", "a mark that is not there")

local dot = engine.zeros({ 1, 1, 1 }, { dtype = "u8" }):fill(1)
t.near(engine.mask_surface(dot, { 1, 1, 1 }), math.sqrt(3), 1e-12, "the surface of a voxel is an octahedron")
local cube = engine.zeros({ 4, 4, 4 }, { dtype = "u8" }):fill(1)
-- six faces of 3 × 3, twelve bevelled edges of 3 × √½, eight corners
t.near(engine.mask_surface(cube, { 1, 1, 1 }), 6 * 9 + 12 * 3 * math.sqrt(0.5) + math.sqrt(3), 1e-12, "of a cube")
local bar = engine.zeros({ 2, 1, 1 }, { dtype = "u8" }):fill(1)
t.near(engine.mask_surface(bar, { 3, 1, 1 }), 4 * 3 * math.sqrt(0.5) + 4 * math.sqrt(1 / 4 * 9 / 4 * 2 + 1 / 16) / 1,
  1, "of a bar, with the spacing")
local pair = engine.from({ { { 1, 0 }, { 0, 1 } } }, { dtype = "u8" })
t.ok(engine.mask_surface(pair, { 1, 1, 1 }) > 2 * math.sqrt(3), "voxels that share an edge are joined")
t.near(engine.mask_surface(pair, { 1, 2, 3 }), engine.mask_surface(pair:permute { 3, 2, 1 }:dense "plain", { 3, 2, 1 }),
  1e-12, "axes do not matter")

t.near(engine.mask_longest(cube, { 9, 3, 4 }), 15, 1e-12, "the longest diameter lies in a slice")
local values = engine.from({ { { 1, 2, 3, 4, 100 } } }, { dtype = "i16" })
local inside = engine.mask_inside(engine.from({ { { 1, 1, 1, 1, 0 } } }, { dtype = "u8" }), values)
t.near(inside.mean, 2.5, 1e-12, "the mean inside")
t.near(inside.sd, math.sqrt(1.25), 1e-12, "the deviation, over n")
t.near(inside.skewness, 0, 1e-12, "the skewness")
t.near(inside.kurtosis, (2 * 1.5 ^ 4 + 2 * 0.5 ^ 4) / 4 / 1.25 ^ 2, 1e-12, "the kurtosis")
t.near(inside.p25, 1.75, 1e-12, "a percentile between two values")
t.is(engine.mask_inside(engine.zeros({ 1, 1, 5 }, { dtype = "u8" }), values).mean, nil, "nothing inside, no mean")
t.is(engine.mask_inside(engine.zeros({ 1, 1, 5 }, { dtype = "u8" }):set(1, 1, 1, 1), values).skewness, nil,
  "of one value no skewness")
t.raises(function() engine.mask_inside(dot, values) end, "different size", "a mask of another size")

-- ---- marks and places made wrong ----

t.raises(function() engine.marks {} end, "sessions", "marks without sessions")
t.raises(function() engine.marks { sessions = { { { rois = { { points = { { 1.5, 2 } } } } } } } } end, "whole number",
  "a point between pixels")
t.raises(function() engine.marks { sessions = { { { kind = "cloud", rois = {} } } } } end, "cloud", "an unknown kind")
t.raises(function() engine.place { size = { 2, 1, 1 }, spacing_mm = { 1, 1, 1 }, z_mm = { 3, 3 } } end, "above",
  "two slices at one place")
t.raises(function() engine.place { size = { 2, 1, 1 }, spacing_mm = { 1, 1, 1 }, uids = { "a" } } end, "each slice",
  "a UID too few")

t.done()
