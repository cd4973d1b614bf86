-- One scan after another below a folder, with everything that readers outlined: what is looked at, not trained on.

local cache = require "hilum.cache"
local engine = require "hilum.engine"
local problem = require "hilum.problem"

local scans = {}

-- Every outlined finding is a nodule, and has a consensus as far as somebody outlined it.
local ALL = { min_readers = 1, min_diameter_mm = 0 }

--- The engine's rule for all findings: { semantics, grouping, level, of, … } on top of "by any reader, of any size".
function scans.rule(more)
  local rule = {}
  for key, value in pairs(ALL) do rule[key] = value end
  for key, value in pairs(more or {}) do rule[key] = value end
  return rule
end

local function append(list, more)
  table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

-- A scan, or nil and a problem.
local function read(one, o, problems)
  local marks, found = engine.read_marks(one.xml)
  if not marks then return nil, found end
  append(problems, found)
  local series, err, more = engine.read_series(one.files, { header_only = not o.voxels })
  if not series then
    append(problems, more)
    return nil, err
  end
  append(problems, err)
  local info = series:info()
  local rule = scans.rule(o.rule)
  rule.thickness_mm = info.thickness_mm
  local nodules, odd = engine.find_nodules(series, marks, rule)
  if not nodules then return nil, odd end
  append(problems, odd)
  return { info = info, series = series, marks = marks, nodules = nodules, xml = one.xml }
end

local function close(scan)
  scan.nodules:free()
  scan.marks:free()
  scan.series:free()
end

--- The entries of an index that have a reading and, if `wanted` is given, belong to it: a patient or a series UID.
function scans.chosen(index, wanted)
  local list = {}
  for _, one in ipairs(index.series) do
    if one.xml and (not wanted or one.patient == wanted or one.uid == wanted) then list[#list + 1] = one end
  end
  return list
end

local function all(o, index)
  local problems, list = {}, scans.chosen(index, o.case)
  append(problems, index.problems)
  local tell = o.progress or function() end
  for i, one in ipairs(list) do
    tell(i - 1, #list, "reading scans")
    if engine.cancelled() then return nil, problem.new("cancelled", "stopped while reading scans") end
    local scan, err = read(one, o, problems)
    if scan then
      o.visit(scan)
      close(scan)
    elseif err.code == "cancelled" or err.code == "memory" then
      return nil, err
    else
      problems[#problems + 1] = { code = err.code, file = one.xml, message = err.message }
    end
  end
  tell(#list, #list, "reading scans")
  return { scans = #list, problems = problems }
end

--- Calls o.visit(scan) for each scan that has a reading; a scan { info, series, marks, nodules, xml } lives as long as
--- the call. o: { folder, index (of it, where there is one already), case = patient or series UID (default: all), rule,
--- voxels = true to read images, progress, visit }. Returns { scans = how many, problems }, or nil and a problem.
function scans.each(o)
  local index, err = o.index, nil
  if not index then index, err = cache.index(o.folder, o.progress) end
  if not index then return nil, err end
  local report
  report, err = all(o, index)
  if not report then return nil, err end
  if report.scans == 0 then
    return nil, problem.new("data", string.format("%s: no CT series with a reading%s", o.folder,
      o.case and string.format(" of the patient or series '%s'", o.case) or ""))
  end
  return report
end

return scans
