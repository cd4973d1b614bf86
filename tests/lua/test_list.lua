-- Own data: tables, NIfTI images and masks of several readers, a DICOM series with a mask; what they become, and what
-- is refused.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local csv = require "hilum.data.csv"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local nifti = require "nifti"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "wb"))
  file:write(text)
  file:close()
end

-- ---- tables ----

local rows, names = csv.parse('\239\187\191id, "a ""b"", c",x\r\n\n# note\n1,"two, three",\r\n', "t.csv")
t.same(names, { "id", 'a "b", c', "x" }, "names, quoted and with a mark of order before them")
t.same(rows, { { line = 4, id = "1", ['a "b", c'] = "two, three", x = "" } }, "cells and their line")
t.raises(function() csv.parse('a,b\n"1,2\n', "t.csv") end, "t%.csv:2: a quoted cell does not end", "an open quote")
t.raises(function() csv.parse('a,b\n"1"2,3\n', "t.csv") end, "t%.csv:2: expected a comma", "text behind a quote")
t.raises(function() csv.parse("a,b\n1\n", "t.csv") end, "t%.csv:2: has 1 cells, the first row 2", "a short row")
t.raises(function() csv.parse("a,a\n", "t.csv") end, "the column name 'a' is there twice", "a name twice")

-- ---- images made here: 20 × 24 × 28 voxels (z, y, x) of 2 × 1.5 × 1 mm ----

local SIZE, SPACING = { 20, 24, 28 }, { 2, 1.5, 1 }

-- value(z, y, x) as i16, from 0.
local function write_nifti(name, value, o)
  o = o or {}
  local size = o.size or SIZE
  local rows_ = {}
  for z = 0, size[1] - 1 do
    for y = 0, size[2] - 1 do
      local row = {}
      for x = 0, size[3] - 1 do row[x + 1] = string.pack("<i2", value(z, y, x)) end
      rows_[#rows_ + 1] = table.concat(row)
    end
  end
  write(name, nifti { code = 4, bits = 16, size = size, spacing_mm = o.spacing or SPACING,
    origin_mm = o.origin or { 0, 0, 0 } } .. table.concat(rows_))
end

local function block(low, high, inside)
  return function(z, y, x)
    for a, v in ipairs { z, y, x } do
      if v < low[a] or v > high[a] then return 0 end
    end
    return inside or 1
  end
end

local function sum(...)
  local list = { ... }
  return function(z, y, x)
    local all = 0
    for _, f in ipairs(list) do all = all + f(z, y, x) end
    return all
  end
end

local big, small = { { 5, 6, 6 }, { 9, 11, 13 } }, { { 15, 16, 20 }, { 16, 17, 22 } }
write_nifti("image.nii", function(z, y, x)
  return -1000 + 1000 * block(big[1], big[2])(z, y, x) + 700 * block(small[1], small[2])(z, y, x)
end)
write_nifti("one.nii", sum(block(big[1], big[2]), block(small[1], small[2])))
write_nifti("two.nii", sum(block(big[1], { 9, 11, 12 }), block({ 0, 0, 0 }, { 0, 0, 0 })))
write_nifti("labels.nii", sum(block(big[1], big[2], 2), block(small[1], small[2], 2),
  block({ 0, 20, 0 }, { 3, 23, 3 })))
write_nifti("empty.nii", function() return 0 end)

local CROP = { crop = { 8, 8, 8 }, spacing_mm = SPACING, window_hu = { -1000, 0 } }

local function open(text, change, options)
  write("cases.csv", text)
  local raw = { file = folder .. "/cases.csv" }
  for key, part in pairs(CROP) do raw[key] = part end
  for key, part in pairs(change or {}) do raw[key] = part end
  return dataset.list(raw):open(options or { cache = folder .. "/cache" })
end

local function count(mask) return math.tointeger(math.floor(mask:stats().mean * #mask:raw() + 0.5)) end
local function voxel(tensor, ...) return tensor:get(1, 1, ...) end

-- ---- one reader ----

local set = assert(open "id,patient,image,mask\na,anna,image.nii,one.nii\n")
t.is(#set.cases, 2, "two parts are two nodules")
t.same({ set.cases[1].id, set.cases[2].id }, { "a-1", "a-2" }, "named after their case")
t.is(set.cases[1].patient, "anna", "of its patient")
local volume = 5 * 6 * 8 * 3
t.near(set.cases[1].volume_mm3, volume, 1e-9, "with the volume of its voxels")
t.near(set.cases[1].diameter_mm, (6 * volume / math.pi) ^ (1 / 3), 1e-9, "the diameter of a sphere of that volume")
t.near(set.cases[1].centre_mm[1], 7 * 2, 1e-9, "its centre along z")
t.near(set.cases[1].centre_mm[2], 8.5 * 1.5, 1e-9, "along y")
t.near(set.cases[1].centre_mm[3], 9.5, 1e-9, "along x")
t.is(#set.problems, 0, "without a problem")
local sample = set:load(1)
t.same(sample.image.shape, { 1, 1, 8, 8, 8 }, "a crop on the grid asked for")
t.is(count(sample.truth), 6 * 6 * 8, "its voxels: the planes lie between those of the scan, half a plane counts")
t.is(sample.image:stats().max, 1.0, "bright where it is")
t.is(count(sample.valid), 8 * 8 * 8, "all of it in the scan")

-- ---- two readers ----

local two = "id,patient,image,mask_1,mask_2\na,anna,image.nii,one.nii,two.nii\n"
set = assert(open(two, { nodules = { min_readers = 2 } }))
t.is(#set.cases, 1, "drawn by both: one")
t.is(set.cases[1].readers, 2, "with both of them")
t.same(set.left_out, { few_readers = 2 }, "the others are counted")
set = assert(open(two, { consensus = { level = 1 } }))
t.is(#set.cases, 1, "agreed by all: one")
t.same(set.left_out, { disputed = 2 }, "the others are disputed")
t.near(set.cases[1].volume_mm3, 5 * 6 * 7 * 3, 1e-9, "as large as both drew it")
set = assert(open("id,patient,image,mask_1,mask_2\na,anna,image.nii,one.nii,\n", { consensus = { level = 1 } }))
t.is(#set.cases, 2, "an empty cell: a reader who did not look")
set = assert(open("id,patient,image,mask_1,mask_2\na,anna,image.nii,one.nii,empty.nii\n", {}))
t.is(#set.cases, 2, "an empty mask: a reader who found nothing; half of two are one")

-- ---- labels, whole scans, other findings ----

set = assert(open("id,patient,image,mask\na,anna,image.nii,labels.nii\n", { nodules = { from = "labels" } }))
t.is(#set.cases, 2, "two labels are two nodules")
t.near(set.cases[2].volume_mm3, volume + 2 * 2 * 3 * 3, 1e-9, "however many parts one has")
set = assert(open("id,patient,image,mask\na,anna,image.nii,one.nii\n", { crop = SIZE, extent = "scan",
  nodules = { min_diameter_mm = 5 } }))
t.is(#set.cases, 1, "a whole scan is one case")
t.is(set.cases[1].id, "a", "of its own name")
sample = set:load(1)
t.is(count(sample.truth), 5 * 6 * 8, "its truth all nodules that count")
t.is(voxel(sample.truth, 6, 7, 7), 1.0, "where they are")
t.is(count(sample.valid), 20 * 24 * 28 - 2 * 2 * 3, "what does not count is not valid")
t.is(voxel(sample.valid, 16, 17, 21), 0.0, "where it is")
set = assert(open("id,patient,image,mask\na,anna,image.nii,one.nii\n", { crop = { 20, 24, 28 },
  nodules = { min_diameter_mm = 5 } }))
t.is(voxel(set:load(1).valid, 1, 1, 1), 0.0, "nor is what lies outside the scan")

-- ---- other grids ----

write_nifti("fine.nii", block({ 10, 18, 12 }, { 19, 35, 27 }), { size = { 40, 72, 56 }, spacing = { 1, 0.5, 0.5 },
  origin = { -0.5, -0.5, -0.25 } })
set = assert(open "id,patient,image,mask\na,anna,image.nii,fine.nii\n")
t.is(#set.cases, 1, "a finer mask is brought onto the image's grid")
t.near(set.cases[1].volume_mm3, volume, 1e-9, "by the nearest voxel")
t.like(set.problems[1].message, "lies on another grid than the image", "with a note")
write_nifti("far.nii", block(big[1], big[2]), { origin = { 500, 0, 0 } })
local none, err = open "id,patient,image,mask\na,anna,image.nii,far.nii\n"
t.is(none, nil, "a mask elsewhere")
t.like(tostring(err), "first problem: .*far%.nii: the mask lies beside the image", "is a problem")

-- ---- a DICOM series ----

assert(engine.write_phantom(folder .. "/chests", { cases = 2, nodules = 1, seed = 4 }))
local chests = assert(engine.index(folder .. "/chests"))
local rest = { "id,patient,image,mask" }
for i, one in ipairs(chests.series) do
  local series = engine.read_series(one.files)
  local info, bright = series:info(), {}
  local raw = series:voxels():raw()
  local rows_, columns = info.rows, info.columns
  write_nifti("bright" .. i .. ".nii", function(z, y, x)
    local hu = string.unpack("<i2", raw, 1 + 2 * ((z * rows_ + y) * columns + x))
    bright[#bright + 1] = hu
    return hu > 0 and 1 or 0
  end, { size = { info.slices, info.rows, info.columns }, spacing = info.spacing_mm, origin = info.origin_mm })
  rest[#rest + 1] = string.format("c%d,%s,%s,bright%d.nii", i, one.patient, one.files[1]:match "^(.*)/", i)
end
set = assert(open(table.concat(rest, "\n"), { crop = { 24, 48, 48 }, extent = "scan", window_hu = { -1000, 1000 } }))
t.is(#set.cases, 2, "folders of DICOM files are images")
t.is(#set.problems, 0, "on the same grid as their masks")
for i = 1, 2 do
  sample = set:load(i)
  local inside = engine.op.sum(engine.op.mul(sample.image, sample.truth:to "f32"), { axes = "nczyx" }):table()[1]
    / count(sample.truth)
  local outside = engine.op.sum(engine.op.mul(sample.image, engine.op.affine(sample.truth:to "f32",
    { scale = -1, shift = 1 })), { axes = "nczyx" }):table()[1] / (24 * 48 * 48 - count(sample.truth))
  t.ok(inside > 0.5 and outside < 0.45,
    string.format("masks lie where it is bright: %.3f against %.3f", inside, outside))
end

-- ---- the cache, and choosing the source ----

local before = open(two)
t.is(open(two).prepared.made, 0, "what was prepared is found again")
engine.touch(folder .. "/two.nii")
local after = open(two)
t.is(after.prepared.made, 1, "a changed mask is prepared anew")
t.is(after.hash, before.hash, "the hash is that of the content")
t.is(open(two, {}, { cache = false }).hash, before.hash, "without a cache, too")
local chosen = dataset.source(folder .. "/cases.csv", { list = { crop = 8 } })
t.is(require("hilum.value").constructor(chosen), dataset.list, "a .csv file is a list")

-- ---- refusals ----

local function refused(text, pattern, what, change)
  local found, why = open(text, change)
  local said = found and "" or tostring(why)
  for _, one in ipairs(found and found.problems or {}) do said = said .. one.file .. ": " .. one.message .. "\n" end
  t.like(said, pattern, what)
end

refused("id,patient,image\na,b,c\n", "cases%.csv: has no column mask", "no masks")
refused("id,image,mask\na,b,c\n", "has no column patient", "no patients")
refused("id,patient,image,masks\na,b,c,d\n", "unknown column 'masks' %(did you mean 'mask'%?%)", "a wrong name")
refused("id,patient,image,mask\n", "cases%.csv: holds no case", "no rows")
refused("id,patient,image,mask\na,p,i,m\na,p,i,m\n", "cases%.csv:3: the id 'a' is there twice", "an id twice")
refused("id,patient,image,mask\na,,i,m\n", "cases%.csv:2: patient is empty", "no patient")
refused("id,patient,image,mask\na,p,i,\n", "cases%.csv:2: has no mask", "no mask")
refused("id,patient,image,mask\na,p,lost.nii,one.nii\n", "lost%.nii: No such file", "an image that is not there")
refused("id,patient,image,mask\na,p,image.nii,lost.nii\n", "lost%.nii: cannot be opened", "a mask that is not there")
refused("id,patient,image,mask\na,p,cases.csv,one.nii\n", "cases%.csv: is no NIfTI", "no image")
refused("id,patient,image,mask\na,p,chests,one.nii\n", "chests: holds 2 CT series, expected one", "two series")
refused("id,patient,image,mask\na,p,image.nii,image.nii\n", "no nodule fits", "a mask without anything above 0")
write_nifti("wild.nii", block(big[1], big[2], 20000))
refused("id,patient,image,mask\na,p,image.nii,wild.nii\n", "the label 20000; labels are 1 to 1000", "a wild label",
  { nodules = { from = "labels" } })
none, err = dataset.list({ file = folder .. "/none.csv" }):open {}
t.is(none, nil, "a table that is not there")
t.like(tostring(err), "none%.csv: No such file", "is named")

os.execute(string.format("rm -r '%s'", folder))
t.done()
