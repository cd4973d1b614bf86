-- What readers outlined in two real scans; pictures of slices as far as the collection is here.
local t = require "tap"
local data = require "hilum.data"
local engine = require "hilum.engine"
local real = require "real"

local folder = real.unpacked "ct" .. "/LIDC-IDRI"
local report = assert(data.agreement(folder))
t.is(#report.cases, 5, "two scans: five findings")
t.same(report.readers, { ["4"] = 4, ["1"] = 1 }, "four by all readers, one by one")
t.near(report.between_two.mean, 0.816, 5e-4, "Dice between two readers, mean")
t.near(report.against_majority.mean, 0.856, 5e-4, "against the majority of the others")

local found = assert(data.nodules(folder, { semantics = "pylidc", grouping = "pylidc" }))
local first = found.nodules[1]
t.is(first.patient, "LIDC-IDRI-0001", "the first scan")
local sum = 0
for _, reader in ipairs(first.by_reader) do sum = sum + reader.outline.volume_mm3 / 4 end
t.near(sum, 6989.67, 0.01, "its nodule's volume by its outlines, the mean of four readers")
t.near(first.mean_ratings.malignancy, 4.75, 1e-12, "its malignancy")

local scratch = assert(engine.scratch())
for _, case in ipairs { "LIDC-IDRI-0001", "LIDC-IDRI-0003" } do
  local drawn = assert(data.show { folder = folder, case = case,
    base = function(patient) return scratch:path() .. "/" .. patient end })
  local picture = io.open(drawn.files[2], "rb")
  t.ok(picture and #picture:read "a" > 20000, case .. " is drawn")
  if picture then picture:close() end
end
scratch:free()
t.done()
