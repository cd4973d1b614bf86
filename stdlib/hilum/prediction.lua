-- What becomes of a network's probabilities: the mean over mirrored images, a threshold, the connected parts that are
-- kept. One home for the end of a training, `hilum evaluate` and `hilum predict`.
--
-- The parts are those of what lies above the threshold on the network's own grid, whether a voxel is valid or not
-- (what is valid is known from the readers, a prediction knows none), voxels that touch by a corner together. Those
-- that are not kept get the probability 0; below the threshold nothing changes.

local engine = require "hilum.engine"
local map = require "hilum.augment.map"
local problem = require "hilum.problem"
local schema = require "hilum.schema"

local op = engine.op
local prediction = {}

local CONNECTIVITY = 26

--- The field `predict` of an experiment.
function prediction.schema()
  return schema.record {
    doc = "how probabilities become a mask, in the evaluation at the end of a training and in predictions",
    default = {},
    fields = {
      threshold = schema.number { default = 0.5, above = 0, below = 1, doc = "a voxel is predicted above it" },
      keep = schema.one_of { "all", "largest", "central", default = "all",
        doc = "connected parts: the largest, or the one at the middle of the image or nearest to it" },
      flips = schema.any_of { schema.axes {}, schema.one_of { "" }, default = "",
        doc = "axes along which the image is mirrored too; the mean over all combinations counts" },
    },
  }
end

-- ---- the mean over mirrored images ----

-- t { 1, 1, z, y, x } mirrored along each of the axes.
local function mirrored(t, axes)
  if axes == "" then return t end
  local mirror = map.identity()
  for axis in axes:gmatch "." do
    local i = ("zyx"):find(axis, 1, true)
    mirror.matrix[4 * i - 3], mirror.offset[i] = -1, t.shape[2 + i] - 1
  end
  return engine.warp({ mirror }, { { t, "linear" } })[1] -- voxels are copied as they are
end

--- All combinations of some axes, "" first: "zx" -> { "", "z", "x", "zx" }.
function prediction.combinations(axes)
  local list = { "" }
  for axis in axes:gmatch "." do
    for i = 1, #list do list[#list + 1] = list[i] .. axis end
  end
  return list
end

--- The mean of predict(image) over the image { 1, 1, z, y, x } mirrored along all combinations of the axes, each
--- mirrored back. predict returns a new probability tensor, or nil and a problem. each, optional, is called with
--- how many are done and how many there are.
function prediction.averaged(image, axes, predict, each)
  local list, sum = prediction.combinations(axes), nil
  for i, some in ipairs(list) do
    local input = mirrored(image, some)
    local found, err = predict(input)
    if not found then return nil, err end
    local back = mirrored(found, some)
    if sum then sum = op.add(sum, back) else sum = back end
    if each then each(i, #list) end
  end
  if #list == 1 then return sum end
  return (op.affine(sum, { scale = 1 / #list }))
end

-- ---- connected parts ----

-- Distance in mm of an index from the middle, { z, y, x } from 1.
local function distance(index, middle, spacing)
  local sum = 0
  for a = 1, 3 do sum = sum + ((index[a] - middle[a]) * spacing[a]) ^ 2 end
  return math.sqrt(sum)
end

-- No voxel of a part is nearer than the nearest of its box.
local function box_distance(part, middle, spacing)
  local nearest = {}
  for a = 1, 3 do
    nearest[a] = math.max(part.first[a], math.min(part.first[a] + part.size[a] - 1, middle[a]))
  end
  return distance(nearest, middle, spacing)
end

-- Of the nearest voxel of part k.
local function part_distance(labels, k, part, middle, spacing)
  local box = labels
  for a = 1, 3 do box = box:slice(a, part.first[a], part.first[a] + part.size[a] - 1) end
  local numbers, i, best = box:clone():table(), 0, math.huge
  for z = part.first[1], part.first[1] + part.size[1] - 1 do
    for y = part.first[2], part.first[2] + part.size[2] - 1 do
      for x = part.first[3], part.first[3] + part.size[3] - 1 do
        i = i + 1
        if numbers[i] == k then best = math.min(best, distance({ z, y, x }, middle, spacing)) end
      end
    end
  end
  return best
end

-- The part with the voxel nearest to the middle; of several at one distance the larger.
local function central(labels, parts, middle, spacing)
  local order, bound = {}, {}
  for k, part in ipairs(parts) do order[k], bound[k] = k, box_distance(part, middle, spacing) end
  table.sort(order, function(a, b)
    if bound[a] ~= bound[b] then return bound[a] < bound[b] end
    return a < b
  end)
  local best, least = nil, math.huge
  for _, k in ipairs(order) do
    if bound[k] > least then break end
    local d = part_distance(labels, k, parts[k], middle, spacing)
    if d < least or d == least and parts[k].voxels > parts[best].voxels then best, least = k, d end
  end
  return best
end

-- The one with most voxels, the first of equals.
local function largest(parts)
  local best = 1
  for k, part in ipairs(parts) do
    if part.voxels > parts[best].voxels then best = k end
  end
  return best
end

local function middle_of(shape)
  return { (shape[1] + 1) / 2, (shape[2] + 1) / 2, (shape[3] + 1) / 2 }
end

--- A mask (u8 of 0 and 1) of the voxels above a threshold; plain [z,y,x], whatever axes of size 1 come before.
function prediction.mask(probability, threshold)
  local s = probability.shape
  local plain = probability:to("f32"):dense("plain"):reshape { s[#s - 2], s[#s - 1], s[#s] }
  local level <close> = engine.zeros(plain.shape, { dtype = "f32" })
  level:fill(threshold)
  local above <close> = op.greater(plain, level)
  return above:to "u8"
end

--- Probabilities { 1, 1, z, y, x } with those of parts that are not kept set to 0. o: { threshold, keep }; place,
--- optional: { spacing_mm (default 1 mm), middle (index from 1; default: the middle of the image) }.
function prediction.kept(probability, o, place)
  if o.keep == "all" then return probability end
  local mask <close> = prediction.mask(probability, o.threshold)
  local labels <close>, parts = engine.mask_parts(mask, CONNECTIVITY)
  if #parts < 2 then return probability end
  place = place or {}
  local chosen = o.keep == "largest" and largest(parts)
    or central(labels, parts, place.middle or middle_of(mask.shape), place.spacing_mm or { 1, 1, 1 })
  local number <close> = labels:to "f64"
  local none <close> = engine.zeros(labels.shape, { dtype = "f64" })
  local wanted <close> = engine.zeros(labels.shape, { dtype = "f64" })
  wanted:fill(chosen)
  local other <close> = op.mul(op.not_equal(number, wanted), op.not_equal(number, none))
  local rest = op.affine(other, { scale = -1, shift = 1 }):to(probability.dtype)
  return (op.mul(probability, rest:reshape(probability.shape):dense(probability.layout)))
end

-- ---- all of it ----

--- nil, or a problem that says what is wrong with probabilities of `what`.
function prediction.wrong(probability, what)
  local stats = probability:stats()
  local bad = stats.nan + stats.infinite
  if bad == 0 then return nil end
  return problem.new("nan", string.format("%s: the prediction holds %d numbers that are none (of %d voxels)", what, bad,
    #probability))
end

--- What a network predicts for an image { 1, 1, z, y, x }. o: the experiment's `predict`; predict(image) -> new
--- probabilities, or nil and a problem; place as for kept, and { what = its name for messages, each }. Returns
--- probabilities after flips, and the same after the parts; or nil and a problem.
function prediction.of(image, o, predict, place)
  place = place or {}
  local probability, err = prediction.averaged(image, o.flips, predict, place.each)
  if not probability then return nil, err end
  local wrong = prediction.wrong(probability, place.what or "image")
  if wrong then return nil, wrong end
  return probability, prediction.kept(probability, o, place)
end

return prediction
