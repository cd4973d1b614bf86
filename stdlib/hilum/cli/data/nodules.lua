-- hilum data nodules: what every nodule measures.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local engine = require "hilum.engine"
local json = require "hilum.json"
local problem = require "hilum.problem"
local shared = require "hilum.cli.data.shared"

local nodules = {
  name = "data nodules",
  summary = "measures every outlined nodule: size, shape, Hounsfield units, ratings",
  arguments = { { "DIR", "a folder of LIDC-IDRI" } },
  options = {
    { "csv", "FILE", "writes one line for each nodule" },
    { "json", nil, "one JSON object, with each reader's measures" },
    { "semantics", "NAME", "what an outline holds: interior (default), closed, pylidc" },
    { "grouping", "NAME", "which marks mean one nodule: mm (default), pylidc" },
    { "level", "SHARE", "of the readers who outlined it that make a voxel nodule (default: 0.5)" },
  },
  notes = "docs/data.md has units and formulas.\n"
    .. "Exit codes: 0 all files understood, 3 done, with problems (they are named), 1 nothing could be read.",
}

local function line_of(row)
  return string.format("  %-20s %2d  %d reader%s %6.1f mm %9.0f mm³ %8.0f mm²  sphericity %.2f  %5.0f ± %-4.0f HU  "
    .. "malignancy %s", row.patient, row.nodule, row.readers, row.readers == 1 and " " or "s", row.diameter_mm,
    row.volume_mm3, row.surface_mm2, row.sphericity, row.hu.mean, row.hu.sd,
    row.mean_ratings.malignancy and string.format("%.2g", row.mean_ratings.malignancy) or "-")
end

local function lines_of(report)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("nodules       %d", #report.nodules)
  for _, row in ipairs(report.nodules) do lines[#lines + 1] = line_of(row) end
  if report.left_out > 0 then add("left out      %d without a voxel of consensus", report.left_out) end
  shared.add_problems(add, report.problems)
  return lines
end

local function one_of(given, name, words)
  if not given[name] then return nil end
  for _, word in ipairs(words) do
    if given[name] == word then return word end
  end
  error(problem.new("usage", string.format("hilum data nodules: --%s is '%s', expected %s", name, given[name],
    table.concat(words, ", "))), 0)
end

local function level_of(given)
  local level = tonumber(given.level or 0.5)
  if level and level > 0 and level <= 1 then return level end
  error(problem.new("usage", string.format("hilum data nodules: --level is '%s', expected more than 0 and at most 1",
    given.level)), 0)
end

function nodules.run(given)
  local o = { semantics = one_of(given, "semantics", { "interior", "closed", "pylidc" }),
    grouping = one_of(given, "grouping", { "mm", "pylidc" }), level = level_of(given) }
  local bar, tell = shared.with_bar(given.json)
  o.progress = tell
  local report = shared.stop_on_interrupt(data.nodules, given[1], o)
  bar:clear()
  if given.csv then
    common.folder_for(given.csv)
    local fine, err = engine.write_file(given.csv, data.nodules_csv(report))
    if not fine then error(problem.of(err), 0) end
  end
  if given.json then
    report.nodules, report.problems = json.list(report.nodules), json.list(report.problems)
    common.emit(report)
  else
    print(table.concat(lines_of(report), "\n"))
  end
  return #common.problems(report.problems) > 0 and shared.WITH_PROBLEMS or 0
end

return nodules
