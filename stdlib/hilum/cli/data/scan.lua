-- hilum data scan: what a folder of LIDC-IDRI holds.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local json = require "hilum.json"
local shared = require "hilum.cli.data.shared"

local function series_line(s)
  return string.format("  %-24s %4d slices %d × %d, %.3g × %.3g × %.3g mm, %s", s.patient, s.slices, s.rows,
    s.columns, s.spacing_mm[1], s.spacing_mm[2], s.spacing_mm[3], s.xml and "with marks" or "without marks")
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
  shared.add_problems(add, index.problems)
  return lines
end

return {
  name = "data scan",
  summary = "what a folder of LIDC-IDRI holds, and what is wrong with it",
  arguments = { { "DIR", "searched with all folders below it" } },
  options = { { "json", nil, "one JSON object" } },
  notes = "Exit codes: 0 all files understood, 3 some were not (they are named), 1 nothing could be read.",
  run = function(given)
    local bar, tell = shared.with_bar(given.json)
    local index = shared.stop_on_interrupt(data.scan, given[1], tell)
    bar:clear()
    if given.json then
      index.series, index.problems = json.list(index.series), json.list(index.problems)
      common.emit(index)
    else
      print(table.concat(scan_lines(index), "\n"))
    end
    return #common.problems(index.problems) > 0 and shared.WITH_PROBLEMS or 0
  end,
}
