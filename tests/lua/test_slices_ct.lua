-- What a picture of LIDC-IDRI-slices is: the CT of the same patient gives it back, to the bit.
local t = require "tap"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local real = require "real"
local scan = require "hilum.data.scan"
local slices = require "hilum.data.slices"

-- The voxels around which the pictures of a patient's first nodule lie: slice, row, column, from 1.
local PLACES = {
  { patient = "LIDC-IDRI-0001", series = "1.3.6.1.4.1.14519.5.2.1.6279.6001.179049373636438705059720603192",
    at = { 91, 367, 317 } },
  { patient = "LIDC-IDRI-0003", series = "1.3.6.1.4.1.14519.5.2.1.6279.6001.170706757615202213033480003264",
    at = { 67, 347, 369 } },
}

local ct, pictures = real.unpacked "ct", real.unpacked "slices" .. "/LIDC-IDRI-slices"
local folder <close> = assert(engine.scratch())
local crop = { 8, 64, 64 }
for _, one in ipairs(PLACES) do
  -- A folder of this patient alone, through a link: 300 are not needed.
  local place = folder:path() .. "/" .. one.patient
  assert(engine.mkdir(place))
  assert(os.execute(string.format("ln -s '%s/%s' '%s/%s'", pictures, one.patient, place, one.patient)))
  local set = assert(dataset.slices { folder = place, crop = crop, min_readers = 1, consensus = { level = 0.25 } }
    :open { cache = false })
  local image = assert(scan.read(ct, { series = one.series }))
  local seen, inside = slices.seen(image.voxels, one.at, crop)
  local sample = assert(set:load(1))
  t.is(set.cases[1].patient, one.patient, one.patient)
  t.ok(seen:same(sample.image), "its CT gives the pictures of its first nodule")
  t.is(inside:stats().min, 1.0, "which lie inside of it")
  image.series:free()
end
t.done()
