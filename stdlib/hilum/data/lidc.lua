-- A folder of LIDC-IDRI as a set of cases: one case for each nodule, or one for each scan with nodules.
--
-- Every series is read once, all of its crops are made, then its volume is let go; the crops stay in memory.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local lidc = {}

local Set = {}
Set.__index = Set

--- The sample of case i: { image (f32), truth, valid (u8), readers = list (u8) }, all {1,1,z,y,x}.
function Set:load(i)
  return self.samples[i]
end

-- A table of plain values that prints as one line.
local Protocol = {}

function Protocol.__tostring(p)
  local function by(v, form)
    return string.format(form .. " × " .. form .. " × " .. form, v[1], v[2], v[3])
  end
  local place = p.extent == "scan" and "over the whole scan"
    or string.format("of %s mm around the nodule", by(p.spacing_mm, "%g"))
  return string.format(
    "%s voxels %s, %g to %g HU; nodules of %g mm and more by %d readers and more; truth: %g of the %s (%s)",
    by(p.crop, "%d"), place, p.window_hu[1], p.window_hu[2], p.min_diameter_mm, p.min_readers,
    p.consensus_level, p.consensus_of, p.semantics)
end

local function copy(list)
  return table.move(list, 1, #list, 1, {})
end

local function protocol_of(source)
  return setmetatable({
    crop = copy(source.crop), extent = source.extent or "nodule", spacing_mm = copy(source.spacing_mm),
    window_hu = copy(source.window_hu),
    min_diameter_mm = source.nodules.min_diameter_mm, min_readers = source.nodules.min_readers,
    consensus_level = source.consensus.level, consensus_of = source.consensus.of,
    semantics = "interior", gap_mm = 3, other_findings = "not valid",
  }, Protocol)
end

local function rule_of(protocol)
  return {
    semantics = protocol.semantics, gap_mm = protocol.gap_mm, min_readers = protocol.min_readers,
    min_diameter_mm = protocol.min_diameter_mm, level = protocol.consensus_level, of = protocol.consensus_of,
  }
end

local function add_problems(set, list)
  table.move(list or {}, 1, #list, #set.problems + 1, set.problems)
end

-- True if the sample was kept.
local function add_case(set, info, nodule, sample)
  local n = (set.count[info.patient] or 0) + 1
  local id = string.format("%s-%d", info.patient, n)
  if sample.truth:stats().max == 0 then
    set.problems[#set.problems + 1] = { code = "ok", file = info.uid,
      message = string.format("a nodule of %.1f mm has no voxel left on the crop's grid; left out",
        nodule.diameter_mm) }
    return
  end
  if sample.cut then
    set.problems[#set.problems + 1] = { code = "ok", file = id,
      message = string.format("the nodule of %.1f mm reaches beyond the crop", nodule.diameter_mm) }
  end
  sample.cut = nil
  set.count[info.patient] = n
  set.cases[#set.cases + 1] = {
    id = id, patient = info.patient, series = info.uid, nodule = n, diameter_mm = nodule.diameter_mm,
    volume_mm3 = nodule.volume_mm3, centre_mm = nodule.centre_mm, readers = nodule.readers,
  }
  set.samples[#set.cases] = sample
end

-- All nodules of a scan on one grid over it. A scan without any is left out: it would train nothing.
local function add_whole(set, info, nodules, voxels, grid)
  local list, largest, readers, volume = nodules:list(), nil, 0, 0
  if #list == 0 then return end
  for _, nodule in ipairs(list) do
    if not largest or nodule.diameter_mm > largest.diameter_mm then largest = nodule end
    readers, volume = math.max(readers, nodule.readers), volume + nodule.volume_mm3
  end
  add_case(set, info, { diameter_mm = largest.diameter_mm, volume_mm3 = volume, centre_mm = largest.centre_mm,
    readers = readers }, nodules:whole(voxels, grid))
end

local function add_nodules(set, info, nodules, voxels, grid)
  for i, nodule in ipairs(nodules:list()) do add_case(set, info, nodule, nodules:crop(i, voxels, grid)) end
end

-- Cuts all nodules of one scan out, or lays the scan on its grid. Returns its line for the set's hash, or nil
-- and a problem.
local function add_scan(set, one)
  local marks, found = engine.read_marks(one.xml)
  if not marks then return nil, found end
  local series, err, more = engine.read_series(one.files)
  if not series then
    add_problems(set, more or {})
    return nil, err
  end
  add_problems(set, err)
  local protocol, info = set.protocol, series:info()
  local nodules, odd = engine.find_nodules(series, marks, rule_of(protocol))
  if not nodules then return nil, odd end
  add_problems(set, odd)
  local voxels <close> = series:voxels()
  local add = protocol.extent == "scan" and add_whole or add_nodules
  add(set, info, nodules, voxels,
    { size = protocol.crop, spacing_mm = protocol.spacing_mm, window_hu = protocol.window_hu })
  local line = string.format("%s %s %s\n", info.uid, series:hash(), marks:hash())
  nodules:free()
  marks:free()
  series:free()
  return line
end

-- The problem list may name the file of `err` already: a series reports each of its bad files.
local function report(set, err, file)
  for _, known in ipairs(set.problems) do
    if err.message == known.file .. ": " .. known.message then return end
  end
  set.problems[#set.problems + 1] = { code = err.code, file = file, message = err.message }
end

local function without_marks(series)
  local n = 0
  for _, one in ipairs(series) do n = n + (one.xml and 0 or 1) end
  return n
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

-- Reads all scans that have a reading. Returns the lines of the hash, or nil and a problem.
local function add_scans(set, scans, progress)
  local lines = {}
  for i, one in ipairs(scans) do
    progress(i - 1, #scans, "reading scans")
    local line, err = add_scan(set, one)
    if not line and (err.code == "cancelled" or err.code == "memory") then return nil, err end
    if line then
      lines[#lines + 1] = line
    else
      report(set, err, one.xml)
    end
  end
  progress(#scans, #scans, "reading scans")
  return lines
end

--- The cases below a folder. source: { folder, nodules, consensus, spacing_mm, window_hu, crop, extent };
--- options: { progress = function(done, total, what) }. Returns a set, or nil and a problem.
function lidc.open(source, options)
  local progress = options and options.progress or function() end
  local index, err = engine.index(source.folder, progress)
  if not index then return nil, err end
  local set = setmetatable({ cases = {}, samples = {}, problems = copy(index.problems), count = {},
    protocol = protocol_of(source) }, Set)
  local scans = {}
  for _, one in ipairs(index.series) do
    if one.xml then scans[#scans + 1] = one end
  end
  local lines
  lines, err = add_scans(set, scans, progress)
  if not lines then return nil, err end
  local n = without_marks(index.series)
  if n > 0 then
    set.problems[#set.problems + 1] = { code = "ok", file = source.folder,
      message = string.format("%d CT series without a reading; left out", n) }
  end
  if #set.cases == 0 then return nothing_usable(source.folder, set) end
  table.sort(lines)
  set.hash = engine.sha256(table.concat(lines))
  set.count = nil
  return set
end

return lidc
