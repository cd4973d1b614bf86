-- hilum data check: what is missing or damaged, and what to do about it.

local check = require "hilum.data.check"
local common = require "hilum.cli.common"
local json = require "hilum.json"
local options = require "hilum.cli.options"
local shared = require "hilum.cli.data.shared"

local SHOWN = 20 -- findings of one kind that a terminal gets to see

local command = {
  name = "data check",
  summary = "what is missing or damaged in a folder of LIDC-IDRI, and what to do about it",
  arguments = { { "DIR", "searched with all folders below it" } },
  options = {
    { "headers", nil, "reads headers alone: much faster, but damaged pixels are not found" },
    { "complete", nil, "expects the whole collection: patients that are not there are problems" },
    { "processes", "N", "series at once (default: all processors)" },
    { "json", nil, "one JSON object; docs/data.md says what each key means" },
  },
  notes = "Patients 0238 and 0585 never were.\n"
    .. "Exit codes: 0 complete and whole, 3 with problems (they are named), 1 nothing could be read, 130 interrupted.",
}

-- "1018" as "1,018"
local function grouped(n)
  local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

local function add_counts(add, r)
  for _, name in ipairs { "patients", "series", "slices" } do
    local whole = r.collection and string.format(" of the collection's %s", grouped(r.collection[name])) or ""
    local how = name == "slices" and (r.headers_only and ", headers read" or ", all decoded") or ""
    add("%-13s %s%s%s", name, grouped(r[name]), whole, how)
  end
  add("%-13s %s", "readings", grouped(r.readings))
end

local function add_findings(add, findings)
  add("problems      %d", #findings)
  local i = 1
  while i <= #findings do
    local kind, first = findings[i].kind, i
    while findings[i] and findings[i].kind == kind do i = i + 1 end
    add("%s: %d", kind, i - first)
    add("  to do: %s", check.ADVICE[kind])
    for k = first, math.min(i - 1, first + SHOWN - 1) do add("  %s: %s", findings[k].file, findings[k].message) end
    if i - first > SHOWN then add("  and %d more (--json names all)", i - first - SHOWN) end
  end
end

local function lines_of(report)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add_counts(add, report)
  add_findings(add, report.findings)
  return lines
end

function command.run(given)
  local processes = options.number(command, given, "processes", nil, 1)
  local bar, tell = shared.with_lines(given.json)
  local report = shared.stop_on_interrupt(check.of, given[1], { progress = tell, processes = processes,
    headers_only = given.headers, complete = given.complete })
  bar:clear()
  local n = #report.findings
  if given.json then
    for _, one in ipairs(report.findings) do one.advice = check.ADVICE[one.kind] end
    json.list(report.findings)
    common.emit(report)
  else
    print(table.concat(lines_of(report), "\n"))
  end
  return n > 0 and shared.WITH_PROBLEMS or 0
end

return command
