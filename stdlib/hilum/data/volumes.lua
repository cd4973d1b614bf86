-- From masks of several readers on a scan to nodules and their crops: the twin of the engine's nodules for those who
-- have masks instead of outlines.
--
-- A scan is { voxels, grid = { size, spacing_mm, origin_mm, z_mm }, masks = list of u8 or whole numbers [z,y,x] on its
-- grid }. A nodule is { readers = { [r] = mask of 0 and 1 on its box }, first, size, centre_mm, diameter_mm,
-- volume_mm3 }; boxes count from 1.

local engine = require "hilum.engine"
local grids = require "hilum.grid"
local votes = require "hilum.data.votes"

local volumes = {}

local MOST_LABELS = 1000

local op, position = engine.op, grids.position

local function count(mask)
  local n = 1
  for _, size in ipairs(mask.shape) do n = n * size end
  return math.floor(mask:stats().mean * n + 0.5)
end

-- 1 where a tensor is above a number; a new u8.
local function above(t, number)
  local real <close> = t:to "f32"
  local found <close> = op.greater(real, number)
  return found:to "u8"
end

local function both(a, b)
  local x <close> = a:to "f32"
  local y <close> = b:to "f32"
  local found <close> = op.mul(x, y)
  return found:to "u8"
end

-- 1 in any of the masks.
local function any_of(masks)
  local all = above(masks[1], 0)
  for i = 2, #masks do
    local one <close> = above(masks[i], 0)
    local x <close> = all:to "f32"
    local y <close> = one:to "f32"
    local found <close> = op.maximum(x, y)
    all:free()
    all = found:to "u8"
  end
  return all
end

local function box_of(t, first, size)
  local z <close> = t:slice(1, first[1], first[1] + size[1] - 1)
  local y <close> = z:slice(2, first[2], first[2] + size[2] - 1)
  local x <close> = y:slice(3, first[3], first[3] + size[3] - 1)
  return x:clone()
end

-- 1 where a tensor is a number.
local function equals(t, number)
  local real <close> = t:to "f32"
  local found <close> = op.equal(real, number)
  return found:to "u8"
end

-- ---- which voxels are one nodule ----

-- Connected parts of what any reader drew: { first, size, of(mask on the box, reader) }.
local function by_parts(scan, all)
  local labels, parts = engine.mask_parts(all, 26)
  local list = {}
  for k, part in ipairs(parts) do
    local number <close> = box_of(labels, part.first, part.size)
    local own = equals(number, k)
    list[k] = { first = part.first, size = part.size, masks = {} }
    for r, mask in ipairs(scan.masks) do
      local there <close> = box_of(mask, part.first, part.size)
      local drawn <close> = above(there, 0)
      list[k].masks[r] = both(drawn, own)
    end
    own:free()
  end
  labels:free()
  return list
end

-- The box around all parts of a mask.
local function bounds(mask)
  local labels, parts = engine.mask_parts(mask, 26)
  labels:free()
  if #parts == 0 then return nil end
  local first, last = { math.huge, math.huge, math.huge }, { 0, 0, 0 }
  for _, part in ipairs(parts) do
    for a = 1, 3 do
      first[a] = math.min(first[a], part.first[a])
      last[a] = math.max(last[a], part.first[a] + part.size[a] - 1)
    end
  end
  return first, { last[1] - first[1] + 1, last[2] - first[2] + 1, last[3] - first[3] + 1 }
end

-- Voxels of one number are one nodule, in all readers' masks.
local function by_labels(scan)
  local highest, list = 0, {}
  for _, mask in ipairs(scan.masks) do highest = math.max(highest, math.floor(mask:stats().max)) end
  if highest > MOST_LABELS then
    return nil, string.format("a mask has the label %d; labels are 1 to %d", highest, MOST_LABELS)
  end
  for k = 1, highest do
    local drawn = {}
    for r, mask in ipairs(scan.masks) do drawn[r] = equals(mask, k) end
    local all <close> = any_of(drawn)
    local first, size = bounds(all)
    if first then
      local one = { first = first, size = size, masks = {} }
      for r, mask in ipairs(drawn) do one.masks[r] = box_of(mask, first, size) end
      list[#list + 1] = one
    end
    for _, mask in ipairs(drawn) do mask:free() end
  end
  return list
end

-- ---- where it lies ----

-- Mean index of a mask's voxels along an axis, from 1, by the sums over its planes.
local function mean_index(mask, axis)
  local over = ({ { 2, 3 }, { 1, 3 }, { 1, 2 } })[axis]
  local shape = mask.shape
  local image <close> = mask:to("f32"):reshape { 1, 1, shape[1], shape[2], shape[3] }
  local names = { "z", "y", "x" }
  local planes = op.sum(image, { axes = "nc" .. names[over[1]] .. names[over[2]] }):table()
  local sum, n = 0, 0
  for i, voxels in ipairs(planes) do sum, n = sum + i * voxels, n + voxels end
  return sum / n
end

local function measure(nodule, agreed, grid)
  local spacing, n = grid.spacing_mm, count(agreed)
  nodule.volume_mm3 = n * spacing[1] * spacing[2] * spacing[3]
  nodule.diameter_mm = (6 * nodule.volume_mm3 / math.pi) ^ (1 / 3)
  nodule.centre_mm = {}
  for a = 1, 3 do nodule.centre_mm[a] = position(grid, a, nodule.first[a] + mean_index(agreed, a) - 1) end
end

--- The nodules of a scan by a protocol { nodules_from = "components" | "labels", consensus_level, consensus_of,
--- min_readers, min_diameter_mm }; then what is left out, counted by reason; then the union of all masks. Or nil and a
--- sentence.
function volumes.nodules(scan, protocol)
  local all = any_of(scan.masks)
  local found, why = (protocol.nodules_from == "labels" and by_labels or by_parts)(scan, all)
  if not found then return nil, why end
  local list, left_out = {}, {}
  local function leave_out(reason) left_out[reason] = (left_out[reason] or 0) + 1 end
  for _, one in ipairs(found) do
    local drawn = {}
    for _, mask in ipairs(one.masks) do
      if count(mask) > 0 then drawn[#drawn + 1] = mask end
    end
    local nodule = { first = one.first, size = one.size, readers = drawn }
    local agreed <close> = votes.consensus(drawn, #scan.masks, protocol)
    if #drawn < protocol.min_readers then
      leave_out "few_readers"
    elseif count(agreed) == 0 then
      leave_out "disputed"
    else
      measure(nodule, agreed, scan.grid)
      if nodule.diameter_mm < protocol.min_diameter_mm then leave_out "small" else list[#list + 1] = nodule end
    end
  end
  return list, left_out, all
end

-- ---- onto another grid ----

-- A mask on its box with a margin of one voxel, and the grid of that.
local function with_margin(mask, first, grid)
  local size = mask.shape
  local wide = engine.zeros({ size[1] + 2, size[2] + 2, size[3] + 2 }, { dtype = "u8" })
  local z <close> = wide:slice(1, 2, size[1] + 1)
  local y <close> = z:slice(2, 2, size[2] + 1)
  local x <close> = y:slice(3, 2, size[3] + 1)
  x:copy_(mask)
  local at = { spacing_mm = grid.spacing_mm, origin_mm = {} }
  for a = 1, 3 do at.origin_mm[a] = position(grid, a, first[a] - 1) end
  if grid.z_mm then
    at.z_mm = {}
    for i = 1, size[1] + 2 do at.z_mm[i] = position(grid, 1, first[1] + i - 2) end
  end
  return wide, at
end

local function as_image(t, dtype)
  local s = t.shape
  return t:reshape({ 1, 1, s[1], s[2], s[3] }):to(dtype):dense "image"
end

-- 1 where the trilinear resampling of a mask is at least one half, as for outlines.
local function resampled(mask, from, to)
  local share <close> = engine.resample(mask, { from = from, to = to, kind = "linear", outside = 0 })
  local found <close> = op.greater_equal(share, 0.5)
  return as_image(found, "u8")
end

-- The image, windowed to 0 … 1, and where it lies inside the scan.
local function image_on(scan, to, window_hu)
  return engine.seen(scan.voxels, { from = scan.grid, to = to, window = window_hu })
end

-- What is left of `valid` where other findings lie that are not truth.
local function without_others(valid, others, truth)
  local v <close> = valid:to "f32"
  local o <close> = others:to "f32"
  local t <close> = truth:to "f32"
  local strange <close> = op.greater(o, t)
  local rest <close> = op.greater(v, strange)
  return rest:to "u8"
end

local function readers_on(nodule, grid, to)
  local readers = {}
  for r, mask in ipairs(nodule.readers) do
    local wide <close>, from = with_margin(mask, nodule.first, grid)
    readers[r] = resampled(wide, from, to)
  end
  return readers
end

-- 1 where any of the readers of a nodule drew.
local function drawn_of(readers)
  local all = readers[1]:clone()
  for i = 2, #readers do
    local x <close> = all:to "f32"
    local y <close> = readers[i]:to "f32"
    local found <close> = op.maximum(x, y)
    all:free()
    all = found:to "u8"
  end
  return all
end

--- The sample of a nodule on a grid of protocol.crop voxels of protocol.spacing_mm around it. `all`: the union that
--- volumes.nodules gave. Returns the sample, and whether the crop cuts the nodule.
function volumes.crop(scan, nodule, all, protocol)
  local to, cut = grids.around(nodule.centre_mm, protocol.crop, protocol.spacing_mm), false
  for a = 1, 3 do
    local half = (protocol.crop[a] - 1) / 2 * protocol.spacing_mm[a]
    local low = position(scan.grid, a, nodule.first[a] - 0.5) - nodule.centre_mm[a]
    local high = position(scan.grid, a, nodule.first[a] + nodule.size[a] - 0.5) - nodule.centre_mm[a]
    local edge = half + protocol.spacing_mm[a] / 2 + 1e-6
    cut = cut or -low > edge or high > edge
  end
  local image, inside = image_on(scan, to, protocol.window_hu)
  local readers = readers_on(nodule, scan.grid, to)
  local truth = votes.consensus(readers, #scan.masks, protocol)
  local findings <close> = resampled(all, scan.grid, to)
  local own <close> = drawn_of(readers)
  local others <close> = without_others(findings, own, truth)
  local valid = without_others(inside, others, truth)
  inside:free()
  return { image = image, truth = truth, valid = valid, readers = readers }, cut
end

--- The whole scan from edge to edge on protocol.crop voxels, its truth all of its nodules; findings that are none are
--- not valid.
function volumes.whole(scan, nodules, all, protocol)
  local grid, to = scan.grid, grids.over(scan.grid, protocol.crop)
  local image, inside = image_on(scan, to, protocol.window_hu)
  local s = inside.shape
  local truth, own = engine.zeros(s, { dtype = "u8", layout = "image" }), engine.zeros(s, { dtype = "u8",
    layout = "image" })
  for _, nodule in ipairs(nodules) do
    local readers = readers_on(nodule, grid, to)
    local agreed = votes.consensus(readers, #scan.masks, protocol)
    truth, own = drawn_of { truth, agreed }, drawn_of { own, table.unpack(readers) }
  end
  local findings <close> = resampled(all, grid, to)
  local others <close> = without_others(findings, own, truth)
  local valid = without_others(inside, others, truth)
  inside:free()
  return { image = image, truth = truth, valid = valid, readers = {} }
end

return volumes
