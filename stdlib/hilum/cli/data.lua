-- hilum data: looking at folders of images, making the phantom.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local engine = require "hilum.engine"
local json = require "hilum.json"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local progress = require "hilum.progress"

local WITH_PROBLEMS = 3 -- exit code

local function stop_on_interrupt(fn, ...)
  engine.on_interrupt("flag")
  local result, err = fn(...)
  engine.on_interrupt("default")
  if not result then error(problem.of(err), 0) end
  return result
end

local function with_bar(silent)
  local bar = progress.new { bar = not silent }
  return bar, function(done, total, what) bar:update(what, done, total) end
end

-- ---- scan ----

local function series_line(s)
  return string.format("  %-24s %4d slices %d × %d, %.3g × %.3g × %.3g mm, %s", s.patient, s.slices, s.rows,
    s.columns, s.spacing_mm[1], s.spacing_mm[2], s.spacing_mm[3], s.xml and "with marks" or "without marks")
end

local function add_problems(add, problems)
  add("problems      %d", #common.problems(problems))
  for _, one in ipairs(problems) do
    add("  %s%s: %s", one.code == "ok" and "note: " or "", one.file, one.message)
  end
end

local function scan_lines(index)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("files         %d: %d CT slices, %d other DICOM, %d readings of CT, %d of radiographs, %d others",
    index.files, index.ct_files, index.dicom_files - index.ct_files, index.ct_xml, index.radiograph_xml,
    index.other_files)
  add("marks         %d outlined, %d points, %d non-nodules", index.outlines, index.points, index.non_nodules)
  add("series        %d", #index.series)
  for _, s in ipairs(index.series) do lines[#lines + 1] = series_line(s) end
  add_problems(add, index.problems)
  return lines
end

local scan = {
  name = "data scan",
  summary = "what a folder of LIDC-IDRI holds, and what is wrong with it",
  arguments = { { "DIR", "searched with all folders below it" } },
  options = { { "json", nil, "one JSON object" } },
  notes = "Exit codes: 0 all files understood, 3 some were not (they are named), 1 nothing could be read.",
  run = function(given)
    local bar, tell = with_bar(given.json)
    local index = stop_on_interrupt(data.scan, given[1], tell)
    bar:clear()
    if given.json then
      index.series, index.problems = json.list(index.series), json.list(index.problems)
      common.emit(index)
    else
      print(table.concat(scan_lines(index), "\n"))
    end
    return #common.problems(index.problems) > 0 and WITH_PROBLEMS or 0
  end,
}

-- ---- audit ----

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
  add_problems(add, a.problems)
  return lines
end

local audit = {
  name = "data audit",
  summary = "counts what readers marked in all LIDC XML files of a folder, and names everything odd",
  arguments = { { "DIR", "searched with all folders below it; DICOM files are not read" } },
  options = { { "json", nil, "one JSON object; docs/data.md says what each key means" } },
  notes = "Of several files of one series the one with the latest DateService and TimeService counts, among\n"
    .. "equals the one whose path sorts first. Others with the same payload are noted, others that differ are\n"
    .. "problems.\n"
    .. "Exit codes: 0 all files understood, 3 done, with problems (they are named), 1 nothing could be read.",
  run = function(given)
    local bar, tell = with_bar(given.json)
    local report = stop_on_interrupt(data.audit, given[1], tell)
    bar:clear()
    if given.json then
      for _, name in ipairs { "several_files", "oddities", "problems" } do json.list(report[name]) end
      common.emit(report)
    else
      print(table.concat(audit_lines(report), "\n"))
    end
    return #common.problems(report.problems) > 0 and WITH_PROBLEMS or 0
  end,
}

-- ---- phantom ----

local defaults = engine.phantom_defaults()

local phantom = {
  name = "data phantom",
  summary = "writes the phantom: synthetic chests as LIDC folders (DICOM and XML)",
  arguments = { { "DIR", "a new or empty folder; a complete phantom of the same kind is left as it is" } },
  options = {
    { "cases", "N", string.format("patients (default: %d)", defaults.cases) },
    { "nodules", "N", string.format("nodules in each (default: %d)", defaults.nodules) },
    { "seed", "S", string.format("another phantom for another number (default: %d)", defaults.seed) },
  },
}

function phantom.run(given)
  local what = {
    cases = options.number(phantom, given, "cases", defaults.cases, 1),
    nodules = options.number(phantom, given, "nodules", defaults.nodules, 1),
    seed = options.number(phantom, given, "seed", defaults.seed, 0),
  }
  local bar, tell = with_bar(false)
  stop_on_interrupt(engine.write_phantom, given[1], what, tell)
  bar:clear()
  print(string.format("%s: %d cases", given[1], what.cases))
end

return {
  name = "data",
  summary = "looks at folders of images, makes the phantom",
  commands = { scan, audit, phantom },
}
