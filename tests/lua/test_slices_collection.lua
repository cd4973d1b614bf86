-- The 300 patients of LIDC-IDRI-slices, counted.
local t = require "tap"
local dataset = require "hilum.dataset"
local real = require "real"

local source = dataset.source(real.unpacked "slices" .. "/LIDC-IDRI-slices", { slices = {} })
local set = assert(source:open {})
t.same(set.found, { patients = 300, nodules = 924, readers_4 = 294, readers_3 = 164, readers_2 = 175, readers_1 = 291,
  agreed = 632 }, "patients, nodules, readers, and nodules with a voxel that two readers agree on")
t.is(#set.cases, 628, "three have their agreement outside the middle 64 × 64 pixels, one outside the middle 8 slices")
local problems = 0
for _, one in ipairs(set.problems) do problems = problems + (one.code == "ok" and 0 or 1) end
t.is(problems, 0, "and nothing is damaged")
t.is(set.cases[1].patient, "LIDC-IDRI-0001", "in the order of the patients")
local stacks = assert(dataset.source(real.unpacked "slices" .. "/LIDC-IDRI-slices", { slices = { crop = { 36,
  64, 64 } } }):open {})
t.is(#stacks.cases, 629, "with all slices, only the three beside the middle 64 × 64 pixels are lost")
t.done()
