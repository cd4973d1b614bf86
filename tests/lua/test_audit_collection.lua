-- The audit of the collection's own XML files, number by number.
local t = require "tap"
local data = require "hilum.data"
local engine = require "hilum.engine"
local real = require "real"

local folder = real.unpacked "xml" .. "/tcia-lidc-xml"
local begin = engine.clock()
local report = assert(data.audit(folder))
t.diag(string.format("%d files in %.2f s", report.files, engine.clock() - begin))

local expected = {
  { "files", 881 }, { "ct_files", 667 }, { "radiograph_files", 214 }, { "damaged_files", 0 }, { "other_files", 0 },
  { "series", 658 }, { "series_with_several_files", 4 },
  { "marks", 27390 }, { "outlines_rated", 4491 }, { "outlines_unrated", 1 }, { "points", 8782 },
  { "points_rated", 1 }, { "non_nodules", 14115 },
  { "empty_characteristics", 16 }, { "ratings_out_of_range", 0 },
  { "rois_included", 34695 }, { "rois_excluded", 531 }, { "rois_without_sop_uid", 0 }, { "rois_without_z", 0 },
  { "rois_without_points", 0 }, { "z_with_blanks", 5048 },
  { "nodules_with_several_outlines_on_one_slice", 226 }, { "nodules_with_one_slice_at_several_z", 1 },
  { "outlines_closed", 26299 }, { "outlines_open", 47 },
  { "outlines_connected", 26082 }, { "outlines_with_gaps", 264 },
}
for _, one in ipairs(expected) do t.is(report[one[1]], one[2], one[1]) end
t.same(report.sessions, { ["4"] = 667 }, "four sessions in every file")
t.same(report.all_files, { outlines = 4518, points = 8832, non_nodules = 14201 }, "marks over all files")
-- the 0 is the single point with ratings; the outline without ratings has none
t.same(report.malignancy, { ["0"] = 1, ["1"] = 693, ["2"] = 1074, ["3"] = 1723, ["4"] = 608, ["5"] = 419 },
  "malignancy")

local sizes = {}
for i, one in ipairs(report.several_files) do
  sizes[i] = #one.files
  t.ok(one.same_payload, "files of one series say the same: " .. one.series_uid)
end
table.sort(sizes)
t.same(sizes, { 2, 3, 3, 5 }, "files of these series")

local sums, named = {}, true
for _, one in ipairs(report.oddities) do
  sums[one.kind] = (sums[one.kind] or 0) + one.count
  named = named and one.file:sub(1, #folder) == folder
end
t.ok(named, "every oddity names its file")
for _, kind in ipairs { "empty_characteristics", "outlines_open", "outlines_with_gaps", "z_with_blanks",
  "nodules_with_several_outlines_on_one_slice" } do
  t.is(sums[kind], report[kind], "oddities account for all " .. kind)
end
t.is(#report.problems, 9, "nine files repeat another")
t.done()
