-- summary.lua JUNIT.xml TAPDIR: what a run of CTest came to, counted check by check.
-- Exit status 0 only if at least one check was made and nothing failed.

local junit_path, tap_dir = arg[1], arg[2]

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

local function unescape(xml)
  local entity = { lt = "<", gt = ">", quot = '"', apos = "'", amp = "&" }
  return (xml:gsub("&(%a+);", entity))
end

-- The tests CTest ran: names in order, and their status ("run", "fail", "notrun", …).
local function programs()
  local text = assert(read(junit_path), junit_path .. ": CTest left no report")
  local list = {}
  for attributes in text:gmatch "<testcase%s([^>]*)>" do
    list[#list + 1] = {
      name = unescape(attributes:match 'name="([^"]*)"'),
      status = attributes:match 'status="([^"]*)"',
    }
  end
  return list
end

-- Adds one program's checks to the totals.
local function count(name, totals)
  local text = read(tap_dir .. "/" .. name .. ".tap") or ""
  for line in text:gmatch "[^\n]+" do
    local reason = line:match "^1%.%.0 # SKIP%s*(.*)" or line:match "^ok.* # SKIP%s*(.*)"
      or line:match "^not ok.* # todo%s*(.*)"
    if reason then
      totals.skipped = totals.skipped + 1
      local key = name .. ": " .. reason:gsub("\\#", "#")
      if not totals.reasons[key] then
        totals.reasons[key] = 0
        table.insert(totals.reasons, key)
      end
      totals.reasons[key] = totals.reasons[key] + 1
    elseif line:find "^not ok" then
      totals.failed = totals.failed + 1
      table.insert(totals.failures, name .. ": " .. line)
    elseif line:find "^ok" then
      totals.passed = totals.passed + 1
    end
  end
end

local totals = { passed = 0, failed = 0, skipped = 0, reasons = {}, failures = {} }
local good, bad, left_out = 0, {}, 0
for _, program in ipairs(programs()) do
  count(program.name, totals)
  local whole_skip = (read(tap_dir .. "/" .. program.name .. ".tap") or ""):find "^1%.%.0 # SKIP"
  if program.status == "run" then
    good = good + 1
  elseif whole_skip and program.status ~= "fail" then
    left_out = left_out + 1
  else
    bad[#bad + 1] = string.format("%s (%s)", program.name, program.status)
  end
end

local function list(title, lines)
  if #lines == 0 then return end
  print(title)
  for _, line in ipairs(lines) do print("  " .. line) end
end

for i, key in ipairs(totals.reasons) do
  totals.reasons[i] = totals.reasons[key] == 1 and key
    or string.format("%s (%d checks)", key, totals.reasons[key])
end
print ""
list("Skipped, or known to be missing:", totals.reasons)
list("Failed checks:", totals.failures)
list("Failed tests:", bad)
print(string.format("Tests:  %d passed, %d failed, %d skipped", good, #bad, left_out))
print(string.format("Checks: %d passed, %d failed, %d skipped", totals.passed, totals.failed, totals.skipped))
os.exit(#bad == 0 and totals.failed == 0 and totals.passed > 0)
