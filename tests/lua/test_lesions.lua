-- Lesions of a scan: boxes whose overlap is known.

local t = require "tap"
local engine = require "hilum.engine"
local lesions = require "hilum.lesions"

-- 12³ voxels with boxes { value, first z, y, x, last z, y, x }.
local function volume(...)
  local v = engine.zeros({ 1, 1, 12, 12, 12 }, { dtype = "f32", layout = "image" })
  for _, b in ipairs { ... } do
    for z = b[2], b[5] do
      for y = b[3], b[6] do
        for x = b[4], b[7] do v:set(1, 1, z, y, x, b[1]) end
      end
    end
  end
  return v
end

local function of(probability, truth, valid) return lesions.of(probability, truth, valid, 0.5) end

-- Two lesions of 2³; one found exactly, and a candidate far away.
local truth = volume({ 1, 2, 2, 2, 3, 3, 3 }, { 1, 8, 8, 8, 9, 9, 9 })
local found = of(volume({ 0.75, 2, 2, 2, 3, 3, 3 }, { 0.625, 11, 2, 2, 12, 2, 2 }), truth)
t.same(found.lesions, { { voxels = 8, found = true, iou = 1.0, dice = 1.0, score = 0.75 },
  { voxels = 8, found = false, iou = 0.0, dice = 0.0 } }, "one lesion is found, one is not")
t.same(found.false_positives, { { voxels = 2, score = 0.625 } }, "and one candidate is none")

-- A candidate of 4·4·5 = 80 voxels around a lesion of 8: the overlap over union is exactly one tenth.
local one = volume { 1, 5, 5, 5, 6, 6, 6 }
found = of(volume { 0.9, 4, 4, 4, 7, 7, 8 }, one)
t.ok(found.lesions[1].found and #found.false_positives == 0, "an overlap of 0.1 is a hit")
t.near(found.lesions[1].dice, 2 * 8 / 88, 1e-12, "with the Dice of both")
found = of(volume { 0.9, 4, 4, 4, 7, 7, 9 }, one)
t.ok(not found.lesions[1].found and #found.false_positives == 1, "less is none, and a false positive")

-- A fragment of one voxel within a lesion of 27.
found = of(volume { 0.9, 5, 5, 5, 5, 5, 5 }, volume { 1, 4, 4, 4, 6, 6, 6 })
t.ok(not found.lesions[1].found and #found.false_positives == 0, "a fragment is neither hit nor false")

-- Two fragments that both hit: the better score counts, the Dice is that of both together.
found = of(volume({ 0.6, 4, 4, 4, 4, 6, 6 }, { 0.8, 6, 4, 4, 6, 6, 6 }), volume { 1, 4, 4, 4, 6, 6, 6 })
t.near(found.lesions[1].score, 0.8, 1e-6, "of two hits the better scored")
t.near(found.lesions[1].dice, 2 * 18 / (27 + 18), 1e-12, "and both make the Dice")

-- One candidate over two lesions hits both.
found = of(volume { 0.9, 5, 5, 3, 6, 6, 8 }, volume({ 1, 5, 5, 3, 6, 6, 4 }, { 1, 5, 5, 7, 6, 6, 8 }))
t.ok(found.lesions[1].found and found.lesions[2].found and #found.false_positives == 0, "one candidate, two lesions")

t.same(of(volume(), volume()), { lesions = {}, false_positives = {} }, "nothing there, nothing found")
found = of(volume(), one)
t.ok(#found.lesions == 1 and not found.lesions[1].found and found.lesions[1].dice == 0, "nothing predicted")
found = of(volume { 0.9, 1, 1, 1, 2, 2, 2 }, one, volume { 1, 5, 1, 1, 12, 12, 12 })
t.same(found.false_positives, {}, "what is not valid is no false positive")

t.done()
