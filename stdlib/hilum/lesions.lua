-- Whole scans by lesion: which of them are found, and what is found besides.
--
-- A lesion is a connected part of the truth (voxels that touch by a corner together), a candidate one of the
-- prediction above the threshold, both over valid voxels. A candidate hits a lesion if their intersection over union
-- is at least 0.1 (the rule of nnDetection: Baumgartner and others, MICCAI 2021). A candidate that hits none and lies
-- in lesions with less than half of its voxels is a false positive; a fragment within a lesion is neither. Its score
-- is its highest probability.

local engine = require "hilum.engine"
local prediction = require "hilum.prediction"

local op = engine.op
local lesions = {}

lesions.LEAST_IOU, lesions.INSIDE = 0.1, 0.5

local CONNECTIVITY = 26

local function plain(t)
  local s = t.shape
  return t:to("f32"):dense("plain"):reshape { s[#s - 2], s[#s - 1], s[#s] }
end

-- The parts of a mask where it is valid.
local function parts_of(t, valid, threshold)
  local mask <close> = prediction.mask(t, threshold)
  if not valid then return engine.mask_parts(mask, CONNECTIVITY) end
  local real <close> = mask:to "f32"
  local there <close> = plain(valid)
  local both <close> = op.mul(real, there)
  local counted <close> = both:to "u8"
  return engine.mask_parts(counted, CONNECTIVITY)
end

-- The box of a part, dense, as numbers.
local function box(t, part)
  for a = 1, 3 do t = t:slice(a, part.first[a], part.first[a] + part.size[a] - 1) end
  return t:clone()
end

-- Voxels that lesion k shares with each candidate: { [candidate] = count }.
local function shared_voxels(truth, candidates, k, part)
  local own, other, count = box(truth, part):table(), box(candidates, part):table(), {}
  for i, number in ipairs(own) do
    local c = math.tointeger(other[i])
    if number == k and c and c > 0 then count[c] = (count[c] or 0) + 1 end
  end
  return count
end

local function score_of(probability, labels, c, part)
  local numbers <close> = box(labels, part):to "f32"
  local own <close> = op.equal(numbers, c)
  local values <close> = box(probability, part)
  local inside <close> = op.mul(values, own)
  return inside:stats().max
end

-- Of one lesion: the best candidate that hits it, and the Dice with all that touch it together.
local function judge(lesion, count, parts, scores, hit)
  local inside, all = 0, 0
  for c, n in pairs(count) do
    local iou = n / (lesion.voxels + parts[c].voxels - n)
    inside, all = inside + n, all + parts[c].voxels
    if iou >= lesions.LEAST_IOU then
      hit[c] = true
      lesion.found, lesion.iou = true, math.max(lesion.iou, iou)
      lesion.score = math.max(lesion.score or scores[c], scores[c])
    end
  end
  lesion.dice = 2 * inside / (lesion.voxels + all)
end

--- Lesions and false positives of a scan: tensors { 1, 1, z, y, x } of probabilities, truth and validity (or nil).
--- Returns { lesions = list of { voxels, found, iou (0 where it is not found), dice, score (nil where it is not found)
--- }, false_positives = list of { voxels, score } }.
function lesions.of(probability, truth, valid, threshold)
  local truths <close>, wanted = parts_of(truth, valid, 0.5)
  local labels <close>, parts = parts_of(probability, valid, threshold)
  local values <close> = plain(probability)
  local found, hit, touched, scores = { lesions = {}, false_positives = {} }, {}, {}, {}
  for c, part in ipairs(parts) do scores[c] = score_of(values, labels, c, part) end
  for k, part in ipairs(wanted) do
    local lesion, count = { voxels = part.voxels, found = false, iou = 0.0 }, shared_voxels(truths, labels, k, part)
    for c, n in pairs(count) do touched[c] = (touched[c] or 0) + n end
    judge(lesion, count, parts, scores, hit)
    found.lesions[k] = lesion
  end
  for c, part in ipairs(parts) do
    if not hit[c] and (touched[c] or 0) < lesions.INSIDE * part.voxels then
      table.insert(found.false_positives, { voxels = part.voxels, score = scores[c] })
    end
  end
  return found
end

return lesions
