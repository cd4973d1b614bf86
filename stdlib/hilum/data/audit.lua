-- What all LIDC readings below a folder hold, counted, and everything odd about them with its file.

local engine = require "hilum.engine"

local audit = {}

-- Sums over all CT files: the key of the report and what makes it of the counts of one file.
local SUMS = {
  { "rois_included", function(c) return c.rois_included end },
  { "rois_excluded", function(c) return c.rois_excluded end },
  { "rois_without_points", function(c) return c.rois_without_points end },
  { "rois_without_sop_uid", function(c) return c.rois_without_sop_uid end },
  { "rois_without_z", function(c) return c.rois_without_z end },
  { "z_with_blanks", function(c) return c.z_with_blanks end },
  { "outlines_closed", function(c) return c.outlines_closed end },
  { "outlines_open", function(c) return c.outlines_open end },
  { "outlines_connected", function(c) return c.outlines_closed + c.outlines_open - c.outlines_with_gaps end },
  { "outlines_with_gaps", function(c) return c.outlines_with_gaps end },
  { "nodules_with_several_outlines_on_one_slice", function(c) return c.several_on_slice end },
  { "nodules_with_one_slice_at_several_z", function(c) return c.z_disagrees end },
  { "empty_characteristics", function(c) return c.empty_characteristics end },
  { "ratings_out_of_range", function(c) return c.ratings_out_of_range end },
}

-- The same over distinct series.
local MARKS = {
  { "outlines_rated", function(c) return c.rated_outlines end },
  { "outlines_unrated", function(c) return c.outlines - c.rated_outlines end },
  { "points", function(c) return c.points - c.rated_points end },
  { "points_rated", function(c) return c.rated_points end },
  { "non_nodules", function(c) return c.non_nodules end },
}

local USUAL_SESSIONS = 4

-- What is odd about a file if there is any of it, and how it is said.
local ODDITIES = {
  { "sessions", "reading sessions, usually 4",
    function(c) return c.sessions ~= USUAL_SESSIONS and c.sessions or nil end },
  { "outlines_unrated", "outlined nodules without ratings", MARKS[2][2] },
  { "points_rated", "single points with ratings", MARKS[4][2] },
  { "empty_characteristics", "nodules with characteristics that hold no rating" },
  { "ratings_out_of_range", "ratings off their scale, kept as they are" },
  { "rois_without_points", "rois or non-nodules without a point" },
  { "rois_without_sop_uid", "rois or non-nodules without imageSOP_UID" },
  { "rois_without_z", "rois or non-nodules without imageZposition" },
  { "z_with_blanks", "values of imageZposition with blanks around the number" },
  { "outlines_open", "outlines whose last point is not their first" },
  { "outlines_with_gaps", "outlines with points that are no neighbours" },
  { "nodules_with_several_outlines_on_one_slice", "nodules with several rois on one slice" },
  { "nodules_with_one_slice_at_several_z", "nodules with rois of one imageSOP_UID at several z" },
}

local of_sum = {}
for _, entry in ipairs(SUMS) do of_sum[entry[1]] = entry[2] end

local function add(report, entries, counts)
  for _, entry in ipairs(entries) do
    local name, of = entry[1], entry[2]
    report[name] = (report[name] or 0) + (counts and of(counts) or 0)
  end
end

-- Keys are text, as JSON has them.
local function bump(histogram, value, by)
  local key = tostring(value)
  histogram[key] = (histogram[key] or 0) + by
end

local function add_oddities(list, one)
  for _, entry in ipairs(ODDITIES) do
    local kind, message = entry[1], entry[2]
    local count = (entry[3] or of_sum[kind])(one)
    if count and (count > 0 or kind == "sessions") then
      list[#list + 1] = { kind = kind, file = one.file, count = count, message = message }
    end
  end
end

local function by_series(xml)
  local groups, order = {}, {}
  for _, one in ipairs(xml) do
    local group = groups[one.series_uid]
    if not group then
      group = {}
      groups[one.series_uid] = group
      order[#order + 1] = group
    end
    group[#group + 1] = one
  end
  return order
end

local function several(group)
  local entry = { series_uid = group[1].series_uid, same_payload = true, files = {} }
  for i, one in ipairs(group) do
    entry.files[i] = one.file
    if one.payload ~= group[1].payload then entry.same_payload = false end
    if not one.superseded then entry.used = one.file end
  end
  return entry
end

local function new_report(index)
  local report = {
    files = index.xml_files, ct_files = index.ct_xml, radiograph_files = index.radiograph_xml,
    damaged_files = index.xml_files - index.ct_xml - index.radiograph_xml,
    other_files = index.files - index.xml_files, dicom_files = index.dicom_files,
    series = 0, series_with_several_files = 0, marks = 0, sessions = {}, malignancy = {},
    all_files = { outlines = 0, points = 0, non_nodules = 0 },
    several_files = {}, oddities = {}, problems = index.problems,
  }
  add(report, SUMS)
  add(report, MARKS)
  for value = 0, 5 do bump(report.malignancy, value, 0) end
  return report
end

local function add_file(report, one)
  add(report, SUMS, one)
  if not one.superseded then add(report, MARKS, one) end
  bump(report.sessions, one.sessions, 1)
  for i, n in ipairs(one.malignancy) do bump(report.malignancy, i - 1, n) end
  for name in pairs(report.all_files) do report.all_files[name] = report.all_files[name] + one[name] end
  add_oddities(report.oddities, one)
end

--- Counts and oddities of all readings below a folder; docs/data.md says what each key means. DICOM files are
--- counted, not read.
function audit.of(folder, progress)
  local index, err = engine.index(folder, progress, { readings_only = true })
  if not index then return nil, err end
  local report = new_report(index)
  for _, one in ipairs(index.xml) do add_file(report, one) end
  for _, entry in ipairs(MARKS) do report.marks = report.marks + report[entry[1]] end
  for _, group in ipairs(by_series(index.xml)) do
    report.series = report.series + 1
    if #group > 1 then report.several_files[#report.several_files + 1] = several(group) end
  end
  report.series_with_several_files = #report.several_files
  return report
end

return audit
