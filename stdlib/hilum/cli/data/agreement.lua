-- hilum data agreement: how far readers agree.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local json = require "hilum.json"
local shared = require "hilum.cli.data.shared"

local function number(x)
  return x and string.format("%.3f", x) or "    -"
end

local function case_line(case)
  local size = case.diameter_mm and string.format("%5.1f mm  ", case.diameter_mm) or ""
  return string.format("  %-24s %s%d reader%s  between two %s  against the others %s", case.id, size, case.readers,
    case.readers == 1 and " " or "s", number(case.between_two), number(case.against_majority))
end

local function summary_line(name, s, what)
  if not s then return string.format("%-17s no nodule was outlined by two readers", name) end
  return string.format("%-17s Dice %.3f mean, %.3f median, of %d %s", name, s.mean, s.median, s.count, what)
end

local function lines_of(report)
  local lines, counts = {}, {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  for n = 16, 1, -1 do
    local count = report.readers[tostring(n)]
    if count then counts[#counts + 1] = string.format("%d by %d", count, n) end
  end
  add("nodules           %d: %s", #report.cases, table.concat(counts, ", "))
  for _, case in ipairs(report.cases) do lines[#lines + 1] = case_line(case) end
  lines[#lines + 1] = summary_line("between two", report.between_two, "pairs")
  lines[#lines + 1] = summary_line("against the others", report.against_majority, "readings")
  if report.cut and report.cut > 0 then
    add("cut               %d nodules of more than 16 pictures: the middle ones", report.cut)
  end
  shared.add_problems(add, report.problems)
  return lines
end

return {
  name = "data agreement",
  summary = "how far readers agree on each nodule, and over all of them",
  arguments = { { "DIR", "a folder of LIDC-IDRI or of LIDC-IDRI-slices" } },
  options = { { "json", nil, "one JSON object; docs/data.md says what each key means" } },
  notes = "Between two: the Dice of each two readers who outlined the nodule. Against the others: of each reader and\n"
    .. "the majority (at least half, so a tie counts) of the others who did.\n"
    .. "Exit codes: 0 all files understood, 3 done, with problems (they are named), 1 nothing could be read.",
  run = function(given)
    local bar, tell = shared.with_bar(given.json)
    local report = shared.stop_on_interrupt(data.agreement, given[1], { progress = tell })
    bar:clear()
    if given.json then
      report.cases, report.problems = json.list(report.cases), json.list(report.problems)
      common.emit(report)
    else
      print(table.concat(lines_of(report), "\n"))
    end
    return #common.problems(report.problems) > 0 and shared.WITH_PROBLEMS or 0
  end,
}
