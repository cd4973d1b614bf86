-- A set of cases made of units: what every source's open() gives.
--
-- A unit is what is read at once: a scan, a patient's folder. unit.read() gives a part, or nil, a problem and more
-- problems: part = { line (its lines in the set's hash), cases, samples, problems, found, left_out }. A case is {
-- patient, readers, … }; the set names it. A set is { cases, problems, hash, protocol, found = what was counted on the
-- way, by name, left_out = nodules that the protocol does not take, by reason } with set:load(i) -> sample.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local sets = {}

local Set = {}
Set.__index = Set

--- The sample of case i: { image (f32), truth, valid (u8), readers = list (u8) }, all {1,1,z,y,x}.
function Set:load(i)
  return self.samples[i]
end

local function note(set, file, text, ...)
  set.problems[#set.problems + 1] = { code = "ok", file = file, message = string.format(text, ...) }
end

-- The problem list may name the file of `err` already: a series reports each of its bad files.
local function report(set, err, file)
  for _, known in ipairs(set.problems) do
    if err.message == known.file .. ": " .. known.message then return end
  end
  set.problems[#set.problems + 1] = { code = err.code, file = file, message = err.message }
end

local function add_case(set, case, sample)
  local n = (set.count[case.patient] or 0) + 1
  set.count[case.patient] = n
  case.id = string.format("%s-%s", case.patient, case.name or n)
  case.nodule = case.nodule or n
  if case.cut then note(set, case.id, "%s", case.cut) end
  case.cut, case.name = nil, nil
  set.cases[#set.cases + 1] = case
  set.samples[#set.cases] = sample
end

local function add_part(set, part)
  table.move(part.problems, 1, #part.problems, #set.problems + 1, set.problems)
  for i, case in ipairs(part.cases) do add_case(set, case, part.samples[i]) end
  for name, n in pairs(part.found) do set.found[name] = (set.found[name] or 0) + n end
  for reason, n in pairs(part.left_out or {}) do set.left_out[reason] = (set.left_out[reason] or 0) + n end
  set.lines[#set.lines + 1] = part.line
end

-- Returns true, or nil and a problem that ends it all.
local function add_unit(set, unit)
  local part, err, more = unit.read()
  if part then
    add_part(set, part)
    return true
  end
  if err.code == "cancelled" or err.code == "memory" then return nil, err end
  for _, one in ipairs(more or {}) do set.problems[#set.problems + 1] = one end
  report(set, err, unit.file)
  return true
end

local function nothing_usable(folder, set)
  local first = ""
  for _, one in ipairs(set.problems) do
    if one.code ~= "ok" then
      first = string.format("; first problem: %s: %s", one.file, one.message)
      break
    end
  end
  return nil, problem.new("data", string.format("%s: no nodule fits the experiment (%s)%s", folder,
    tostring(set.protocol), first))
end

--- Reads all units. o: { folder, units = list of { file, read }, protocol, problems, what = "reading scans",
--- progress = function(done, total, what) }. Returns a set, or nil and a problem.
function sets.open(o)
  local set = setmetatable({ cases = {}, samples = {}, problems = o.problems or {}, protocol = o.protocol,
    found = {}, left_out = {}, count = {}, lines = {} }, Set)
  for i, unit in ipairs(o.units) do
    o.progress(i - 1, #o.units, o.what)
    local fine, err = add_unit(set, unit)
    if fine and engine.cancelled() then fine, err = nil, problem.new("cancelled", "stopped while " .. o.what) end
    if not fine then return nil, err end
  end
  o.progress(#o.units, #o.units, o.what)
  if #set.cases == 0 then return nothing_usable(o.folder, set) end
  table.sort(set.lines)
  set.hash = engine.sha256(table.concat(set.lines))
  set.count, set.lines = nil, nil
  return set
end

return sets
