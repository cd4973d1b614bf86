-- LIDC-IDRI-slices: stacks of pictures made here, whole and damaged.
local t = require "tap"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"

local folder = os.tmpname()
os.remove(folder)

local function write(path, size, value_at)
  local image = engine.zeros(size, { dtype = "u8" })
  for y = 1, size[1] do
    for x = 1, size[2] do image:set(y, x, value_at(y, x)) end
  end
  assert(engine.mkdir(path:match "^(.*)/"))
  assert(engine.png_write(path, image))
end

-- A square of 255 with these corners, both included.
local function square(low, high)
  return function(y, x) return y >= low and y <= high and x >= low and x <= high and 255 or 0 end
end

-- n pictures of 12 × 12; slice i shines with 10·i; readers[r] is a square (or nil), drawn on slice 0 alone.
local function write_nodule(where, n, readers, drawn_on)
  for i = 0, n - 1 do
    local name = string.format("/slice-%d.png", i)
    write(where .. "/images" .. name, { 12, 12 }, function() return 10 * (i + 1) end)
    for r = 1, 4 do
      local mask = readers[r] and (drawn_on or i) == i and readers[r] or function() return 0 end
      write(string.format("%s/mask-%d%s", where, r - 1, name), { 12, 12 }, mask)
    end
  end
end

write_nodule(folder .. "/P-01/nodule-0", 3, { square(5, 8), square(5, 8), square(6, 8) })
write_nodule(folder .. "/P-01/nodule-10", 2, { square(5, 8) })
write_nodule(folder .. "/P-01/nodule-2", 11, { square(5, 8), nil, square(5, 8), square(5, 8) })
write_nodule(folder .. "/P-02/nodule-0", 4, { square(1, 3), square(10, 12) }) -- they agree nowhere
write_nodule(folder .. "/P-02/nodule-1", 4, { square(1, 2), square(1, 2) }) -- beside the crop

local function open(change)
  local raw = { folder = folder, crop = { 8, 6, 6 } }
  for key, part in pairs(change or {}) do raw[key] = part end
  return dataset.slices(raw):open {}
end

local set = assert(open())
t.same(set.found, { patients = 2, nodules = 5, readers_1 = 1, readers_2 = 2, readers_3 = 2, agreed = 3 },
  "everything is counted")
t.is(#set.cases, 2, "two are cases")
t.is(set.cases[1].id, "P-01-0", "named by patient and folder")
t.is(set.cases[2].id, "P-01-2", "in the order of their numbers")
t.is(set.cases[2].patient, "P-01", "of a patient")
t.is(set.cases[1].readers, 3, "with those readers who drew")
t.is(set.cases[1].diameter_mm, nil, "and no millimetres, which nobody knows")
t.ok(tostring(set.protocol):find("spacing and HU unknown", 1, true), "the protocol says so")
t.is(set.protocol.spacing, "unknown", "in its parts, too")

local function voxel(tensor, ...) return math.tointeger(tensor:get(1, 1, ...)) end

-- 3 slices in 8: two empty ones before, three after
local sample = set:load(1)
t.same(sample.image.shape, { 1, 1, 8, 6, 6 }, "a sample has the crop's size")
for z = 1, 8 do
  local inside = z >= 3 and z <= 5
  t.near(sample.image:get(1, 1, z, 1, 1), inside and 10 * (z - 2) / 255 or 0, 1e-7, "grey of slice " .. z)
  t.is(voxel(sample.valid, z, 6, 6), inside and 1 or 0, "validity of slice " .. z)
end
-- the middle 6 of 12 begin with pixel 4: 5…8 become 2…5
t.is(voxel(sample.truth, 3, 2, 2), 1, "two of four agree on a corner")
t.is(voxel(sample.truth, 3, 1, 1), 0, "nobody drew outside")
t.is(voxel(sample.truth, 2, 3, 3), 0, "nor beyond the slices")
t.is(#sample.readers, 3, "each reader's mask is there")
t.is(voxel(sample.readers[3], 3, 2, 2), 0, "as that reader drew it")
t.is(voxel(sample.readers[3], 3, 3, 3), 1, "on the same grid")

-- 11 slices in 8: the middle ones, from the second on
local long = set:load(2)
t.near(long.image:get(1, 1, 1, 1, 1), 20 / 255, 1e-7, "a long stack is cut around its middle")
t.is(long.valid:stats().min, 1.0, "and valid all over")

local function notes(s, pattern)
  local n = 0
  for _, one in ipairs(s.problems) do
    if one.code == "ok" and (one.file .. ": " .. one.message):find(pattern) then n = n + 1 end
  end
  return n
end
t.is(notes(set, "P%-01%-2: the nodule reaches beyond the crop"), 1, "what is cut off is noted")
t.is(notes(set, "P%-02/nodule%-1: its truth lies outside"), 1, "so is a truth beside the crop")

-- ---- rules ----

local three = open { consensus = { level = 0.75 } }
t.is(voxel(three:load(1).truth, 3, 2, 2), 0, "three of four: not in the corner")
t.is(voxel(three:load(1).truth, 3, 3, 3), 1, "but where the third one drew")
local of_marks = open { min_readers = 1, consensus = { level = 1, of = "marks" } }
t.is(#of_marks.cases, 3, "one reader of one who drew")
t.is(of_marks.cases[3].id, "P-01-10", "is enough if so asked")
t.is(of_marks.hash, set.hash, "the hash is of the data, not of the protocol")
local padded = open { crop = { 3, 16, 16 } }
t.is(voxel(padded:load(1).valid, 1, 2, 2), 0, "a crop larger than the pictures")
t.is(voxel(padded:load(1).valid, 1, 3, 14), 1, "holds all of them")
t.is(voxel(padded:load(1).truth, 1, 7, 7), 1, "in its middle")

local chosen = dataset.source(folder, { slices = { crop = { 8, 6, 6 } } })
t.is(require("hilum.value").constructor(chosen), dataset.slices, "the folder is recognised")
t.raises(function() dataset.source(folder, { lidc = {} }) end, "not prepared for the source 'slices'",
  "an experiment that is not prepared for it says so")

-- ---- damage ----

local function refused(pattern, what)
  local again, err = open()
  local text = again and "" or tostring(err)
  for _, one in ipairs(again and again.problems or {}) do
    if one.code ~= "ok" then text = text .. one.message .. "\n" end
  end
  t.like(text, pattern, what)
  return again
end

local first = folder .. "/P-01/nodule-0"
os.remove(first .. "/images/slice-1.png")
local rest = refused("nodule%-0/images: slice%-1.png is missing", "a gap in the images")
t.is(rest and #rest.cases, 1, "costs that nodule")
write(first .. "/images/slice-1.png", { 10, 12 }, function() return 7 end)
refused("slice%-1.png: has 10 × 12 pixels, the slices before 12 × 12", "pictures of two sizes")
local file = assert(io.open(first .. "/images/slice-1.png", "wb"))
file:write "no picture"
file:close()
refused("nodule%-0/images/slice%-1.png: .*PNG", "no picture")
write(first .. "/images/slice-1.png", { 12, 12 }, function() return 20 end)
os.remove(first .. "/mask-2/slice-2.png")
refused("nodule%-0/mask%-2: has 2 slices from slice%-0.png on, but there are 3 images", "a mask that ends early")
t.is(open({ min_readers = 4 }), nil, "nobody was marked by four readers")
local _, err = open { min_readers = 4 }
t.like(tostring(err), "no nodule fits the experiment .*first problem: .*mask%-2", "said with the first problem")

os.execute(string.format("rm -r '%s'", folder))
t.done()
