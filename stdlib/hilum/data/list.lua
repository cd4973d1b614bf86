-- Own data: a table of cases (CSV) that names an image and masks for each.
--
--   id,patient,image,mask                  id,patient,image,mask_1,mask_2
--   a1,anna,scans/anna.nii.gz,anna-m.nii   b1,bert,scans/bert/,b-ann.nii.gz,b-bob.nii.gz
--
-- image: a folder with one CT series (DICOM) or a NIfTI file; masks: NIfTI, above 0 is nodule, one for each reader.
-- Paths are relative to the table. docs/data.md describes it for users.

local csv = require "hilum.data.csv"
local engine = require "hilum.engine"
local files = require "hilum.data.files"
local problem = require "hilum.problem"
local scans = require "hilum.data.scan"
local sets = require "hilum.data.set"
local suggest = require "hilum.suggest"
local volumes = require "hilum.data.volumes"

local list = {}

local NEEDED = { "id", "patient", "image" }
local NODULES = 8 -- in a scan, to guess at the room they need

-- ---- the table ----

local function refuse(text, ...)
  error(problem.new("format", string.format(text, ...)), 0)
end

-- The names of the masks' columns in order: mask, or mask_1, mask_2, …
local function mask_columns(names, path)
  local known, columns = { "id", "patient", "image", "mask", "mask_1" }, {}
  for _, name in ipairs(names) do
    local number = name == "mask" and 0 or math.tointeger(name:match "^mask_(%d+)$")
    if number then
      columns[#columns + 1] = { name = name, number = number }
    elseif name ~= "id" and name ~= "patient" and name ~= "image" then
      refuse("%s: unknown column '%s'%s", path, name, suggest.hint(name, known))
    end
  end
  table.sort(columns, function(a, b) return a.number < b.number end)
  if #columns == 0 then refuse("%s: has no column mask, or mask_1, mask_2, … for several readers", path) end
  return columns
end

local function absolute(folder, path)
  return path:sub(1, 1) == "/" and path or folder .. "/" .. path
end

local function case_of(row, columns, folder, path)
  for _, name in ipairs(NEEDED) do
    if row[name] == "" then refuse("%s:%d: %s is empty", path, row.line, name) end
  end
  local case = { id = row.id, patient = row.patient, image = absolute(folder, row.image), masks = {} }
  for _, column in ipairs(columns) do
    local mask = row[column.name]
    if mask ~= "" then case.masks[#case.masks + 1] = absolute(folder, mask) end
  end
  if #case.masks == 0 then refuse("%s:%d: has no mask", path, row.line) end
  return case
end

-- The cases of a table; raises.
local function read_table(path)
  local file, why = io.open(path, "rb")
  local text = file and file:read "a"
  if file then file:close() end
  if not text then error(problem.new("io", tostring(why or path .. ": cannot be read")), 0) end
  local rows, names = csv.parse(text, path)
  local there, cases, seen = {}, {}, {}
  for _, name in ipairs(names) do there[name] = true end
  for _, name in ipairs(NEEDED) do
    if not there[name] then refuse("%s: has no column %s (expected id, patient, image, mask)", path, name) end
  end
  local columns, folder = mask_columns(names, path), path:match "^(.*)/[^/]*$" or "."
  for i, row in ipairs(rows) do
    if seen[row.id] then refuse("%s:%d: the id '%s' is there twice", path, row.line, row.id) end
    seen[row.id] = true
    cases[i] = case_of(row, columns, folder, path)
  end
  if #cases == 0 then refuse("%s: holds no case", path) end
  return cases
end

-- ---- images and masks ----

-- The image of a case with the hash of its content; or nil, a problem and more problems.
local function read_image(path)
  local image, err, more = scans.read(path, { processes = 1 })
  if not image then return nil, err, more end
  image.hash = image.series and image.series:hash() or engine.sha256_file(path)
  if image.series then image.series:free() end
  return image
end

-- Whether two grids are the same within a tenth of a voxel.
local function same_grid(a, b)
  for axis = 1, 3 do
    local slack, n = 0.1 * a.spacing_mm[axis], a.size[axis]
    if n ~= b.size[axis] then return false end
    local off = a.origin_mm[axis] - b.origin_mm[axis]
    if math.abs(off) > slack then return false end
    if math.abs(off + (n - 1) * (a.spacing_mm[axis] - b.spacing_mm[axis])) > slack then return false end
  end
  for k, z in ipairs(a.z_mm or {}) do
    if math.abs(z - b.origin_mm[1] - (k - 1) * b.spacing_mm[1]) > 0.1 * a.spacing_mm[1] then return false end
  end
  return true
end

-- A mask on the image's grid; notes go to problems.
local function read_mask(path, image)
  local voxels, grid = engine.nifti_read(path, image.signs)
  if not voxels then return nil, grid end
  if same_grid(image.grid, grid) then return voxels end
  local before = voxels:stats().max > 0
  local moved = engine.resample(voxels, { from = grid, to = image.grid, kind = "nearest", outside = 0 })
  voxels:free()
  local lost = before and moved:stats().max <= 0
  image.problems[#image.problems + 1] = { code = lost and "format" or "ok", file = path,
    message = lost and "the mask lies beside the image"
      or "lies on another grid than the image; brought onto it by the nearest voxel" }
  return moved
end

-- ---- cases ----

local function add(part, case, suffix, nodule, sample, readers, cut)
  if sample.truth:stats().max == 0 then
    part.problems[#part.problems + 1] = { code = "ok", file = case.image,
      message = string.format("a nodule of %.1f mm has no voxel left on the crop's grid; left out",
        nodule.diameter_mm) }
    return
  end
  local n = #part.cases + 1
  part.cases[n] = { id = case.id .. suffix, patient = case.patient, nodule = n, diameter_mm = nodule.diameter_mm,
    volume_mm3 = nodule.volume_mm3, centre_mm = nodule.centre_mm, readers = readers,
    cut = cut and string.format("the nodule of %.1f mm reaches beyond the crop", nodule.diameter_mm) or nil }
  part.samples[n] = sample
end

-- A scan with all of its nodules is named after the largest.
local function add_whole(part, case, scan, nodules, all, protocol)
  local largest, readers, volume = nil, 0, 0
  for _, nodule in ipairs(nodules) do
    if not largest or nodule.diameter_mm > largest.diameter_mm then largest = nodule end
    readers, volume = math.max(readers, #nodule.readers), volume + nodule.volume_mm3
  end
  if not largest then return end
  add(part, case, "", { diameter_mm = largest.diameter_mm, volume_mm3 = volume, centre_mm = largest.centre_mm },
    volumes.whole(scan, nodules, all, protocol), readers)
end

local function add_nodules(part, case, scan, nodules, all, protocol)
  for i, nodule in ipairs(nodules) do
    local sample, cut = volumes.crop(scan, nodule, all, protocol)
    add(part, case, "-" .. i, nodule, sample, #nodule.readers, cut)
  end
end

local function read_case(protocol, case)
  local image, err, more = read_image(case.image)
  if not image then return nil, err, more end
  local masks, line = {}, { case.patient, case.id, image.hash }
  for r, path in ipairs(case.masks) do
    masks[r], err = read_mask(path, image)
    if not masks[r] then return nil, err, image.problems end
    line[#line + 1] = engine.sha256_file(path)
  end
  local scan = { voxels = image.voxels, grid = image.grid, masks = masks }
  local nodules, left_out, all = volumes.nodules(scan, protocol)
  if not nodules then return nil, problem.new("format", case.masks[1] .. ": " .. left_out), image.problems end
  local part = { cases = {}, samples = {}, problems = image.problems, left_out = left_out,
    found = { scans = 1, nodules = #nodules }, line = table.concat(line, " ") .. "\n" }
  local add_all = protocol.extent == "scan" and add_whole or add_nodules
  add_all(part, case, scan, nodules, all, protocol)
  image.voxels:free()
  all:free()
  for _, mask in ipairs(masks) do mask:free() end
  return part
end

-- ---- the source ----

local Protocol = {}

function Protocol.__tostring(p)
  local function by(v, form) return string.format(form .. " × " .. form .. " × " .. form, v[1], v[2], v[3]) end
  local place = p.extent == "scan" and "over the whole scan"
    or string.format("of %s mm around the nodule", by(p.spacing_mm, "%g"))
  return string.format("%s voxels %s, %g to %g of the image's own values; nodules: %s of %g mm and more in masks of %d "
    .. "readers and more; truth: %g of the %s", by(p.crop, "%d"), place, p.window_hu[1], p.window_hu[2], p.nodules_from,
    p.min_diameter_mm, p.min_readers, p.consensus_level, p.consensus_of)
end

local function protocol_of(source)
  local function copy(t) return table.move(t, 1, #t, 1, {}) end
  return setmetatable({
    kind = "list", crop = copy(source.crop), extent = source.extent, spacing_mm = copy(source.spacing_mm),
    window_hu = copy(source.window_hu), nodules_from = source.nodules.from,
    min_diameter_mm = source.nodules.min_diameter_mm, min_readers = source.nodules.min_readers,
    consensus_level = source.consensus.level, consensus_of = source.consensus.of, other_findings = "not valid",
  }, Protocol)
end

local function identity_of(case)
  local parts = { case.id, case.patient, files.identity(case.image) }
  for _, mask in ipairs(case.masks) do parts[#parts + 1] = files.identity(mask) end
  return table.concat(parts, "\n")
end

--- The cases of a table. source: { file, nodules, consensus, spacing_mm, window_hu, crop, extent }; options: see
--- data/set.lua. Returns a set, or nil and a problem.
function list.open(source, options)
  local fine, cases = pcall(read_table, source.file)
  if not fine then
    if type(cases) ~= "table" then error(cases, 0) end
    return nil, cases
  end
  local protocol, units, crop = protocol_of(source), {}, source.crop
  local nodules = source.extent == "scan" and 1 or NODULES
  for i, case in ipairs(cases) do
    units[i] = { file = case.image, read = function() return read_case(protocol, case) end,
      identity = identity_of(case), bytes = nodules * crop[1] * crop[2] * crop[3] * 4 }
  end
  return sets.open({ folder = source.file:match "^(.*)/[^/]*$" or ".", units = units, protocol = protocol,
    what = "reading scans" }, options)
end

return list
