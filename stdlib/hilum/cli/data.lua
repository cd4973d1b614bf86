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

local function scan_lines(index)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("files         %d: %d CT slices, %d other DICOM, %d readings of CT, %d of radiographs, %d others",
    index.files, index.ct_files, index.dicom_files - index.ct_files, index.ct_xml, index.radiograph_xml,
    index.other_files)
  add("marks         %d outlined, %d points, %d non-nodules", index.outlines, index.points, index.non_nodules)
  add("series        %d", #index.series)
  for _, s in ipairs(index.series) do lines[#lines + 1] = series_line(s) end
  add("problems      %d", #common.problems(index.problems))
  for _, one in ipairs(index.problems) do
    add("  %s%s: %s", one.code == "ok" and "note: " or "", one.file, one.message)
  end
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
  commands = { scan, phantom },
}
