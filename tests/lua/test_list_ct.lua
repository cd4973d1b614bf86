-- A real CT as own data: with the consensus of its readers as a mask it gives the case that its reading gives.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local metric = require "hilum.metric"
local nifti = require "nifti"
local real = require "real"

local folder = real.unpacked "ct" .. "/LIDC-IDRI/LIDC-IDRI-0001"
local one = assert(engine.index(folder)).series[1]
local series, marks = assert(engine.read_series(one.files)), assert(engine.read_marks(one.xml))
local info = series:info()
local size = { info.slices, info.rows, info.columns }
local scan = engine.find_nodules(series, marks):whole(series:voxels(),
  { size = size, spacing_mm = info.spacing_mm, window_hu = { -1000, 400 } })

local scratch = os.tmpname()
os.remove(scratch)
assert(engine.mkdir(scratch))
local function write(name, text)
  local out = assert(io.open(scratch .. "/" .. name, "wb"))
  out:write(text)
  out:close()
end
write("mask.nii", nifti { code = 2, bits = 8, size = size, spacing_mm = info.spacing_mm, origin_mm = info.origin_mm }
  .. scan.truth:raw())
write("cases.csv", "id,patient,image,mask\nx,p," .. engine.real_path(folder) .. ",mask.nii\n")

local own = assert(dataset.list({ file = scratch .. "/cases.csv" }):open { cache = false })
local read = assert(dataset.lidc({ folder = folder }):open { cache = false })
t.is(#own.problems, 0, "the mask lies on the scan's grid")
t.is(#own.cases, #read.cases, "as many nodules")
t.near(own.cases[1].volume_mm3, read.cases[1].volume_mm3, 1e-6, "of the same volume")
for axis = 1, 3 do
  t.near(own.cases[1].centre_mm[axis], read.cases[1].centre_mm[axis], 1e-6, "centre along axis " .. axis)
end
local a, b = own:load(1), read:load(1)
t.ok(a.image:same(b.image), "the same image, bit for bit")
local dice = metric.dice_of(a.truth, b.truth, b.valid)
t.ok(dice > 0.99, string.format("the truth of votes on one grid or the other: Dice %.4f", dice))
os.execute(string.format("rm -r '%s'", scratch))
t.done()
