-- hilum data audit: every mark counted, every oddity named.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local json = require "hilum.json"
local shared = require "hilum.cli.data.shared"

local function histogram(counts)
  local keys, parts = {}, {}
  for key in pairs(counts) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tonumber(a) < tonumber(b) end)
  for i, key in ipairs(keys) do parts[i] = string.format("%s ×%d", key, counts[key]) end
  return table.concat(parts, ", ")
end

local function add_oddities(add, oddities)
  local kinds, by_kind = {}, {}
  for _, one in ipairs(oddities) do
    local list = by_kind[one.kind]
    if not list then
      list = {}
      by_kind[one.kind] = list
      kinds[#kinds + 1] = one.kind
    end
    list[#list + 1] = one
  end
  table.sort(kinds)
  for _, kind in ipairs(kinds) do
    local list = by_kind[kind]
    add("oddity        %s: %s, in %d files", kind, list[1].message, #list)
    for _, one in ipairs(list) do add("  %s: %d", one.file, one.count) end
  end
end

local function add_counts(add, a)
  add("files         %d: %d of CT, %d of radiographs, %d damaged; besides %d others (%d of them DICOM)", a.files,
    a.ct_files, a.radiograph_files, a.damaged_files, a.other_files, a.dicom_files)
  add("series        %d, %d of them with several files", a.series, a.series_with_several_files)
  add("sessions      %s", histogram(a.sessions))
  add("marks         %d over distinct series", a.marks)
  add("  outlines    %d with ratings, %d without", a.outlines_rated, a.outlines_unrated)
  add("  points      %d without ratings, %d with", a.points, a.points_rated)
  add("  non-nodules %d", a.non_nodules)
  add("all files     %d outlines, %d points, %d non-nodules", a.all_files.outlines, a.all_files.points,
    a.all_files.non_nodules)
  add("rois          %d inclusions, %d exclusions", a.rois_included, a.rois_excluded)
  add("  places      %d without points, %d without SOP UID, %d without z, %d with blanks around z",
    a.rois_without_points, a.rois_without_sop_uid, a.rois_without_z, a.z_with_blanks)
  add("  outlines    %d closed, %d open; %d connected, %d with gaps", a.outlines_closed, a.outlines_open,
    a.outlines_connected, a.outlines_with_gaps)
  add("  nodules     %d with several rois on one slice, %d with one slice at several z",
    a.nodules_with_several_outlines_on_one_slice, a.nodules_with_one_slice_at_several_z)
  add("ratings       %d empty characteristics, %d values out of range", a.empty_characteristics,
    a.ratings_out_of_range)
  add("malignancy    %s", histogram(a.malignancy))
end

local function audit_lines(a)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add_counts(add, a)
  add_oddities(add, a.oddities)
  for _, one in ipairs(a.several_files) do
    add("several files of series %s, %s: %s is used", one.series_uid,
      one.same_payload and "the same payload" or "different payloads", one.used)
  end
  shared.add_problems(add, a.problems)
  return lines
end

return {
  name = "data audit",
  summary = "counts what readers marked in all LIDC XML files of a folder, and names everything odd",
  arguments = { { "DIR", "searched with all folders below it; DICOM files are not read" } },
  options = { { "json", nil, "one JSON object; docs/data.md says what each key means" } },
  notes = "Of several files of one series the one with the latest DateService and TimeService counts, among\n"
    .. "equals the one whose path sorts first. Others with the same payload are noted, others that differ are\n"
    .. "problems.\n"
    .. "Exit codes: 0 all files understood, 3 done, with problems (they are named), 1 nothing could be read.",
  run = function(given)
    local bar, tell = shared.with_bar(given.json)
    local report = shared.stop_on_interrupt(data.audit, given[1], tell)
    bar:clear()
    if given.json then
      for _, name in ipairs { "several_files", "oddities", "problems" } do json.list(report[name]) end
      common.emit(report)
    else
      print(table.concat(audit_lines(report), "\n"))
    end
    return #common.problems(report.problems) > 0 and shared.WITH_PROBLEMS or 0
  end,
}
