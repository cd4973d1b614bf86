-- LIDC-IDRI-slices: PATIENT/nodule-K/images/slice-I.png and mask-R/slice-I.png for each reader, as stacks.
--
-- The pictures have grey values of 8 bits, no Hounsfield units and no spacing, and as many slices as the nodule has:
-- its extent in z is given away. What is measured on them is in voxels.
--
-- Where the CT is there too, it shows what a picture is: 128 × 128 voxels of one slice, one to one, stretched between
-- their own darkest and brightest to 0 … 255 and rounded. (All 17 pictures of LIDC-IDRI-0001's and 0003's first nodules
-- come out of the CT to the bit this way.)

local engine = require "hilum.engine"
local identity = require("hilum.data.files").identity
local problem = require "hilum.problem"
local sets = require "hilum.data.set"
local votes = require "hilum.data.votes"

local op = engine.op
local slices = {}

local IMAGE = { dtype = "f32", layout = "image", category = "data" }
local MASK = { dtype = "u8", layout = "image", category = "data" }

local Protocol = {}

function Protocol.__tostring(p)
  return string.format(
    "stacks of 8-bit pictures cut to %d × %d × %d voxels, spacing and HU unknown, extent in z as given; nodules by "
      .. "%d readers and more; truth: %g of the %s", p.crop[1], p.crop[2], p.crop[3], p.min_readers,
    p.consensus_level, p.consensus_of)
end

local function protocol_of(source)
  return setmetatable({
    kind = "slices", crop = table.move(source.crop, 1, 3, 1, {}), min_readers = source.min_readers,
    consensus_level = source.consensus.level, consensus_of = source.consensus.of, spacing = "unknown",
    intensity = "8-bit grey values, scaled to 0…1",
  }, Protocol)
end

-- ---- what lies where ----

-- The names in a folder that have the form PREFIX…NUMBER…SUFFIX, in the order of their numbers.
local function numbered(folder, pattern)
  local names, err = engine.list_folder(folder)
  if not names then return nil, err end
  local found = {}
  for _, name in ipairs(names) do
    local number = name:match(pattern)
    if number then found[#found + 1] = { name = name, number = math.tointeger(number) } end
  end
  table.sort(found, function(a, b) return a.number < b.number end)
  return found
end

local function refuse(where, text, ...)
  return nil, problem.new("format", where .. ": " .. string.format(text, ...))
end

-- The slices' file names, without a gap.
local function slice_names(folder)
  local found, err = numbered(folder, "^slice%-(%d+)%.png$")
  if not found then return nil, err end
  if #found == 0 then return refuse(folder, "holds no slice-0.png, slice-1.png, …") end
  local names = {}
  for i, one in ipairs(found) do
    if one.number ~= found[1].number + i - 1 then
      return refuse(folder, "slice-%d.png is missing", found[1].number + i - 1)
    end
    names[i] = one.name
  end
  return names
end

-- { images, masks = { folder … }, names }, or nil and a problem.
local function nodule_files(folder)
  local names, err = slice_names(folder .. "/images")
  if not names then return nil, err end
  local readers
  readers, err = numbered(folder, "^mask%-(%d+)$")
  if not readers then return nil, err end
  if #readers == 0 then return refuse(folder, "holds no mask-0, mask-1, …") end
  local files = { images = folder .. "/images", masks = {}, names = names }
  for i, one in ipairs(readers) do
    local masked
    masked, err = slice_names(folder .. "/" .. one.name)
    if not masked then return nil, err end
    if #masked ~= #names or masked[1] ~= names[1] then
      return refuse(folder .. "/" .. one.name, "has %d slices from %s on, but there are %d images from %s on", #masked,
        masked[1], #names, names[1])
    end
    files.masks[i] = folder .. "/" .. one.name
  end
  return files
end

-- ---- stacks ----

-- All pictures of a folder as one u8 tensor [z,y,x].
local function read_stack(folder, names, size)
  local stack
  for i, name in ipairs(names) do
    local plane <close>, err = engine.png_read(folder .. "/" .. name, { grey = true })
    if not plane then return nil, err end
    local y, x = plane.shape[1], plane.shape[2]
    size = size or { y, x }
    if y ~= size[1] or x ~= size[2] then
      return refuse(folder .. "/" .. name, "has %d × %d pixels, the slices before %d × %d", y, x, size[1], size[2])
    end
    stack = stack or engine.zeros({ #names, y, x }, { dtype = "u8" })
    local place <close> = stack:slice(1, i):reshape { y, x }
    place:copy_(plane)
  end
  return stack, size
end

-- Where n voxels lie in a crop of m, both around the same middle: first in the stack, first in the crop, how many.
local function overlap(n, m)
  if n >= m then return (n - m) // 2 + 1, 1, m end
  return 1, (m - n) // 2 + 1, n
end

-- The middle of a stack (any type) as { 1, 1, z, y, x } of `like`; `valid`, if given, becomes 1 where the stack is.
local function cut(stack, size, like, valid)
  local out = engine.zeros({ 1, 1, size[1], size[2], size[3] }, like)
  local from, to, count = stack, out, {}
  for axis = 1, 3 do
    local a, b, n = overlap(stack.shape[axis], size[axis])
    from, to, count[axis] = from:slice(axis, a, a + n - 1), to:slice(axis + 2, b, b + n - 1), n
    valid = valid and valid:slice(axis + 2, b, b + n - 1)
  end
  to:copy_(from:reshape { 1, 1, count[1], count[2], count[3] })
  if valid then valid:fill(1) end
  return out
end

-- ---- cases ----

-- Reads the masks of those readers who marked the nodule at all. Returns masks as stacks of 0 and 1, or nil and a
-- problem.
local function read_masks(files, size, hash)
  local masks = {}
  for _, folder in ipairs(files.masks) do
    local stack, err = read_stack(folder, files.names, size)
    if not stack then return nil, err end
    hash[#hash + 1] = engine.sha256(stack:raw())
    if stack:stats().max > 0 then
      masks[#masks + 1] = op.clamp(stack:to "f32", { low = 0, high = 1 }):to "u8"
    end
    stack:free()
  end
  return masks
end

-- How many voxels of a mask are 1.
local function count(mask)
  local n = 1
  for _, size in ipairs(mask.shape) do n = n * size end
  return math.floor(mask:stats().mean * n + 0.5)
end

-- Images, validity, readers and truth on the crop's grid; and whether it cuts something off.
local function sample_of(stack, masks, agreed, crop)
  local valid, whole = engine.zeros({ 1, 1, crop[1], crop[2], crop[3] }, MASK), true
  local sample = { image = op.affine(cut(stack, crop, IMAGE, valid), { scale = 1 / 255 }), valid = valid,
    truth = cut(agreed, crop, MASK), readers = {} }
  for i, mask in ipairs(masks) do
    sample.readers[i] = cut(mask, crop, MASK)
    whole = whole and count(mask) == count(sample.readers[i])
  end
  return sample, whole
end

local function add_case(part, protocol, nodule, stack, masks, agreed)
  local sample, whole = sample_of(stack, masks, agreed, protocol.crop)
  if count(sample.truth) == 0 then
    part.problems[#part.problems + 1] = { code = "ok", file = nodule.folder,
      message = "its truth lies outside the crop around the middle of its slices; left out" }
    return
  end
  local n = #part.cases + 1
  part.cases[n] = { patient = nodule.patient, name = nodule.number, nodule = nodule.number, readers = #masks,
    cut = not whole and "the nodule reaches beyond the crop" or nil }
  part.samples[n] = sample
end

-- What the folder holds, whatever becomes a case of it: nodules by the number of their readers, and those with a
-- voxel of consensus.
local function tally(found, readers, agreed)
  local by = "readers_" .. readers
  found.nodules, found[by] = (found.nodules or 0) + 1, (found[by] or 0) + 1
  found.agreed = (found.agreed or 0) + (agreed and 1 or 0)
end

-- Adds a nodule { patient, name, number, folder } to a part. Returns its line for the hash, or nil and a problem.
local function add_nodule(part, protocol, nodule)
  local files, err = nodule_files(nodule.folder)
  if not files then return nil, err end
  local stack, size = read_stack(files.images, files.names)
  if not stack then return nil, size end
  local hash = { engine.sha256(stack:raw()) }
  local masks
  masks, err = read_masks(files, size, hash)
  if not masks then return nil, err end
  local agreed = #masks > 0 and votes.consensus(masks, #files.masks, protocol)
  local any = agreed and count(agreed) > 0
  tally(part.found, #masks, any)
  if any and #masks >= protocol.min_readers then add_case(part, protocol, nodule, stack, masks, agreed) end
  return string.format("%s %s %s\n", nodule.patient, nodule.name, engine.sha256(table.concat(hash)))
end

-- All nodules of a patient.
local function read_patient(protocol, folder, patient, nodules)
  local part, lines = { cases = {}, samples = {}, problems = {}, found = { patients = 1 } }, {}
  for _, one in ipairs(nodules) do
    if engine.cancelled() then return nil, problem.new("cancelled", "stopped while reading pictures") end
    local nodule = { patient = patient, name = one.name, number = one.number, folder = folder .. "/" .. one.name }
    local line, err = add_nodule(part, protocol, nodule)
    lines[#lines + 1] = line
    if not line then
      part.problems[#part.problems + 1] = { code = err.code, file = nodule.folder, message = err.message }
    end
  end
  part.line = table.concat(lines)
  return part
end

-- ---- the way from a CT ----

local SIDE = 128 -- of a picture

-- 0 … 255 between the extremes of some voxels, halves upwards: u8.
local function stretched(voxels)
  local stats = voxels:stats()
  local scale = stats.max > stats.min and 255 / (stats.max - stats.min) or 0
  local above <close> = op.affine(voxels, { shift = -stats.min }) -- two steps, whose roundings count
  local grey <close> = op.affine(above, { scale = scale })
  local even <close> = grey:to("u8"):to "f64" -- halves to the even
  local rest <close> = op.sub(grey, even)
  local half <close> = engine.zeros(rest.shape, { dtype = "f64" })
  half:fill(0.5)
  return op.add(even, op.greater_equal(rest, half)):to "u8"
end

-- Slice k of a scan as a picture whose first row and column are y0 and x0 of the scan: into the u8 views `picture` and
-- `inside` of SIDE × SIDE.
local function draw(voxels, k, y0, x0, picture, inside)
  local rows, columns = voxels.shape[2], voxels.shape[3]
  local y1, y2 = math.max(1, y0), math.min(rows, y0 + SIDE - 1)
  local x1, x2 = math.max(1, x0), math.min(columns, x0 + SIDE - 1)
  if y1 > y2 or x1 > x2 then return end
  local part <close> = voxels:slice(1, k):slice(2, y1, y2):slice(3, x1, x2):to("f64"):dense("plain"):clone()
  local function place(t) return t:slice(2, y1 - y0 + 1, y2 - y0 + 1):slice(3, x1 - x0 + 1, x2 - x0 + 1) end
  place(picture):copy_(stretched(part))
  place(inside):fill(1)
end

--- What a set of pictures would hold of a CT (voxels [z,y,x]) around an index (from 1): image and validity on the crop,
--- and the index of the crop's first voxel in the scan (which may lie outside).
function slices.seen(voxels, index, crop)
  local first, size = {}, { crop[1], SIDE, SIDE }
  for a = 1, 3 do first[a] = math.floor(index[a]) - size[a] // 2 end
  local stack <close> = engine.zeros(size, { dtype = "u8" })
  local inside <close> = engine.zeros(size, { dtype = "u8" })
  for i = 1, crop[1] do
    local k = first[1] + i - 1
    if k >= 1 and k <= voxels.shape[1] then
      draw(voxels, k, first[2], first[3], stack:slice(1, i), inside:slice(1, i))
    end
  end
  for a = 2, 3 do
    local from, to = overlap(SIDE, crop[a])
    first[a] = first[a] + from - to
  end
  return op.affine(cut(stack, crop, IMAGE), { scale = 1 / 255 }), cut(inside, crop, MASK), first
end

--- The cases below a folder. source: { folder, min_readers, consensus, crop }; options: see data/set.lua. Returns a
--- set, or nil and a problem.
function slices.open(source, options)
  local patients, err = engine.list_folder(source.folder)
  if not patients then return nil, err end
  local protocol, units, crop = protocol_of(source), {}, source.crop
  for _, patient in ipairs(patients) do
    local folder = source.folder .. "/" .. patient
    local nodules = numbered(folder, "^nodule%-(%d+)$")
    if nodules and #nodules > 0 then
      local function read() return read_patient(protocol, folder, patient, nodules) end
      units[#units + 1] = { file = folder, read = read, identity = identity(folder),
        bytes = #nodules * crop[1] * crop[2] * crop[3] * 2 }
    end
  end
  return sets.open({ folder = source.folder, units = units, protocol = protocol, what = "reading pictures" },
    options)
end

return slices
