-- Metrics against values worked out by hand, the empty masks included; free-response curves; refusals.

local t = require "tap"
local engine = require "hilum.engine"
local froc = require "hilum.froc"
local hl = require "hilum"
local metric = require "hilum.metric"

-- A mask of n³ voxels, 1 in the given boxes { first z, y, x, last z, y, x }.
local function mask(n, ...)
  local m = engine.zeros({ 1, 1, n, n, n }, { dtype = "u8", layout = "image" })
  for _, box in ipairs { ... } do
    for z = box[1], box[4] do
      for y = box[2], box[5] do
        for x = box[3], box[6] do m:set(1, 1, z, y, x, 1) end
      end
    end
  end
  return m
end

local function say(one, prediction, truth, o)
  o = o or {}
  return one:measure(metric.case { prediction = prediction, truth = truth, valid = o.valid,
    spacing_mm = o.spacing_mm or { 1, 1, 1 } })
end

local dice, iou = hl.metric.dice {}, hl.metric.iou {}
local precision, recall = hl.metric.precision {}, hl.metric.recall {}
local far, near = hl.metric.hausdorff {}, hl.metric.assd {}
local touch, border = hl.metric.surface_dice {}, hl.metric.border_dice { width_mm = 1 }
local volume = hl.metric.volume_error {}

-- Two slabs of 4 × 4 voxels, two and three slices thick, that share one slice.
local a, b = mask(6, { 1, 2, 2, 2, 5, 5 }), mask(6, { 2, 2, 2, 4, 5, 5 })
t.near(say(dice, a, b), 2 * 16 / (32 + 48), 1e-15, "Dice")
t.near(say(iou, a, b), 16 / 64, 1e-15, "IoU")
t.near(say(precision, a, b), 16 / 32, 1e-15, "precision")
t.near(say(recall, a, b), 16 / 48, 1e-15, "recall")
t.near(say(volume, a, b), -16 / 48, 1e-15, "volume error")
t.near(say(dice, a, b), say(dice, b, a), 0, "Dice(a, b) = Dice(b, a)")

-- By slice: one that both hold, equal; one and two that only one of them holds.
local slices = hl.metric.slice_dice {}
t.near(say(slices, a, b), (1 + 0 + 0 + 0) / 4, 1e-15, "Dice by slice: half empty slices count 0, empty ones nothing")
t.near(say(slices, mask(6, { 2, 2, 2, 3, 3, 5 }), mask(6, { 2, 2, 2, 3, 5, 5 })), 2 / 3, 1e-15, "equal ones")
t.is(say(slices, mask(6), mask(6)), 1.0, "Dice by slice: both empty")
t.is(say(slices, mask(6), b), 0.0, "Dice by slice: nothing predicted")
t.near(say(slices, a, b, { valid = mask(6, { 1, 1, 1, 2, 6, 6 }) }), 1 / 2, 1e-15, "over valid voxels")

-- Single voxels 3 mm and 2 × 2 mm apart along z and x.
local p, q = mask(6, { 2, 3, 3, 2, 3, 3 }), mask(6, { 5, 3, 5, 5, 3, 5 })
t.near(say(far, p, q, { spacing_mm = { 1, 1, 2 } }), 5, 1e-12, "Hausdorff distance in mm")
t.near(say(near, p, q, { spacing_mm = { 1, 1, 2 } }), 5, 1e-12, "average surface distance")
t.is(say(touch, p, q), 0.0, "nothing touches")
t.near(say(hl.metric.surface_dice { tolerance_mm = 5 }, p, q, { spacing_mm = { 1, 1, 2 } }), 1, 0, "but within 5 mm")
t.near(say(hl.metric.hausdorff { percentile = 50 }, a, b), 1, 1e-12, "a percentile")

-- Grown by a voxel on all sides, a cube of 3³ is wrong everywhere near its border outside, right inside.
local cube, grown = mask(9, { 4, 4, 4, 6, 6, 6 }), mask(9, { 3, 3, 3, 7, 7, 7 })
t.near(say(dice, grown, cube), 2 * 27 / (125 + 27), 1e-15, "a grown cube")
-- Within 1 mm: the 26 voxels of the cube that touch its outside, and 6 · 9 outside it that touch a face.
t.near(say(border, grown, cube), 2 * 26 / (26 + 54 + 26), 1e-12, "near the border it is worse")

local nothing = mask(6)
for _, one in ipairs { dice, iou, precision, recall, touch, border } do
  t.is(say(one, nothing, nothing), 1.0, one:name() .. ": both empty")
  t.is(say(one, nothing, b), 0.0, one:name() .. ": nothing predicted")
  t.is(say(one, b, nothing), 0.0, one:name() .. ": nothing there")
end
for _, one in ipairs { far, near } do
  t.is(say(one, nothing, nothing), 0.0, one:name() .. ": both empty")
  t.is(say(one, nothing, b), nil, one:name() .. ": not defined without a prediction")
  t.is(say(one, b, nothing), nil, one:name() .. ": nor without a truth")
  t.is(say(one, b, b), 0.0, one:name() .. ": of equal masks")
end
t.is(say(volume, nothing, nothing), 0.0, "no volume, no error")
t.is(say(volume, b, nothing), nil, "relative to nothing it is not defined")

-- Voxels that are not valid count nowhere.
local valid = mask(6, { 1, 1, 1, 2, 6, 6 })
t.near(say(dice, a, b, { valid = valid }), 2 * 16 / (32 + 16), 1e-15, "Dice over valid voxels")
t.near(say(far, a, b, { valid = valid }), 1, 1e-12, "distances too")

local nan = engine.zeros({ 1, 1, 2, 2, 2 }, { layout = "image" }):fill(0 / 0)
t.is(say(dice, nan, mask(2, { 1, 1, 1, 2, 2, 2 })), 0.0, "NaN is no prediction")
t.raises(function() engine.surface(a, b, nil, { spacing_mm = { 1, 0, 1 } }) end, "spacing is 0 mm", "spacing of 0")
t.raises(function() engine.surface(a, b, nil, {}) end, "spacing_mm must be a list", "spacing missing")
t.raises(function() engine.surface(a, cube, nil, { spacing_mm = { 1, 1, 1 } }) end, "different shapes", "other shapes")
t.raises(function() hl.metric.hausdorff { percentile = 101 } end, "percentile", "a percentile above 100")
t.raises(function() hl.metric.border_dice { width_mm = 0 } end, "width_mm", "a band without width")
t.is(hl.metric.hausdorff { percentile = 95 }:name(), "hausdorff95_mm", "metrics have names")

-- ---- calibration ----

local prob = engine.from({ 0.05, 0.15, 0.95, 0.95 }, { dtype = "f64" })
local c = metric.calibration({ { prob, engine.from({ 0, 1, 1, 1 }, { dtype = "f64" }) } }, 10)
t.is(c.count[1], 1, "a bin")
t.near(c.mean[10], 0.95, 1e-6, "its mean probability")
t.near(c.share[10], 1, 0, "and how often that came true")
t.ok(c.count[5] == 0 and c.mean[5] == nil and c.share[5] == nil, "a bin with nothing in it")
t.near(metric.ece(c), (0.05 + 0.85 + 2 * 0.05) / 4, 1e-6, "expected calibration error")

do -- case by case
  local by_case, first = metric.calibrator(10), engine.from({ 0.05, 0.15 }, { dtype = "f64" })
  by_case:add(first, engine.from({ 0, 1 }, { dtype = "f64" }))
  by_case:add(engine.from({ 0.95, 0.95 }, { dtype = "f64" }), engine.from({ 1, 1 }, { dtype = "f64" }))
  t.same(by_case:result(), c, "case by case it is the same")
  t.is(metric.ece(metric.calibrator():result()), nil, "of nothing there is no error")
end

-- ---- free-response curves ----

local nodules = { { scan = "s1", centre_mm = { 0, 0, 0 }, diameter_mm = 10 },
  { scan = "s1", centre_mm = { 50, 0, 0 }, diameter_mm = 6, ignored = true },
  { scan = "s2", centre_mm = { 0, 0, 0 }, diameter_mm = 4 } }
local matched = froc.match({
  { scan = "s1", at_mm = { 0, 0, 4.9 }, score = 0.9 }, -- a hit
  { scan = "s1", at_mm = { 0, 0, 1 }, score = 0.5 }, -- of the same nodule: counts neither way
  { scan = "s1", at_mm = { 0, 0, 5 }, score = 0.8 }, -- exactly at half the diameter: not closer
  { scan = "s1", at_mm = { 51, 0, 0 }, score = 0.7 }, -- on a finding to be ignored
  { scan = "s3", at_mm = { 0, 0, 0 }, score = 0.2 }, -- a scan without nodules
}, nodules)
t.same(matched.hits, { 0.9, -math.huge }, "the best candidate of each nodule")
t.same(matched.false_positives, { 0.8, 0.2 }, "false positives")
local curve = froc.curve(matched.hits, matched.false_positives, 4)
t.near(froc.sensitivity_at(curve, 8), 0.5, 0, "half of the nodules are found")
t.near(froc.sensitivity_at(curve, 0), 0.5, 0, "without any false positive")
do -- its interval
  local one, all, wrong = {}, { hits = {}, false_positives = {}, scans = { "a", "b", "c" } }, {}
  for i = 1, 9 do -- three scans of the same lesions and candidates
    local scan, score = all.scans[i % 3 + 1], ({ 0.9, 0.4, -math.huge })[(i - 1) // 3 + 1]
    all.hits[i], one[i] = { scan = scan, score = score }, score
    score = ({ 0.7, 0.5, 0.2 })[(i - 1) // 3 + 1]
    all.false_positives[i], wrong[i] = { scan = scan, score = score }, score
  end
  local score, found = froc.score(froc.curve(one, wrong, 3)), froc.interval(all)
  t.near(found.low, score, 1e-12, "scans that are all alike leave nothing open")
  t.near(found.high, score, 1e-12, "and give the score itself")
  found = froc.interval { scans = { "a", "b" }, false_positives = {},
    hits = { { scan = "a", score = 1 }, { scan = "b", score = -math.huge } } }
  t.same(found, { low = 0.0, high = 1.0 }, "one scan of two with its lesion found: everything is open")
  t.is(froc.interval { scans = { "a" }, hits = {}, false_positives = {} }, nil, "one scan says nothing")
end
local score = froc.score(curve)
t.near(score, 0.5, 1e-15, "LUNA16's score")
t.near(froc.score(froc.curve({}, { 0.5 }, 1)), 0, 0, "without nodules there is nothing to find")

t.done()
