-- A folder of LIDC-IDRI as a set of cases: one case for each nodule, or one for each scan with nodules.
--
-- Every series is read once, all of its crops are made, then its volume is let go.

local cache = require "hilum.cache"
local engine = require "hilum.engine"
local filters = require "hilum.data.filters"
local measures = require "hilum.data.measures"
local protocols = require "hilum.data.protocol"
local sets = require "hilum.data.set"
local statistics = require "hilum.statistics"

local lidc = {}

local function copy(list)
  return table.move(list, 1, #list, 1, {})
end

local function append(list, more)
  return table.move(more or {}, 1, #(more or {}), #list + 1, list)
end

-- A sample without truth is left out.
local function add_case(part, info, nodule, sample)
  if sample.truth:stats().max == 0 then
    part.problems[#part.problems + 1] = { code = "ok", file = info.uid,
      message = string.format("a nodule of %.1f mm has no voxel left on the crop's grid; left out",
        nodule.diameter_mm) }
    return
  end
  local n = #part.cases + 1
  part.cases[n] = {
    patient = info.patient, series = info.uid, diameter_mm = nodule.diameter_mm, volume_mm3 = nodule.volume_mm3,
    centre_mm = nodule.centre_mm, readers = nodule.readers,
    label = nodule.label, ratings = nodule.ratings,
    cut = sample.cut and string.format("the nodule of %.1f mm reaches beyond the crop", nodule.diameter_mm) or nil,
  }
  sample.cut = nil
  part.samples[n] = sample
end

-- All nodules of a scan on one grid over it. A scan without any is left out: it would train nothing.
local function add_whole(part, info, nodules, voxels, grid)
  local list, largest, readers, volume = nodules:list(), nil, 0, 0
  if #list == 0 then return end
  for _, nodule in ipairs(list) do
    if not largest or nodule.diameter_mm > largest.diameter_mm then largest = nodule end
    readers, volume = math.max(readers, nodule.readers), volume + nodule.volume_mm3
  end
  add_case(part, info, { diameter_mm = largest.diameter_mm, volume_mm3 = volume, centre_mm = largest.centre_mm,
    readers = readers }, nodules:whole(voxels, grid))
end

-- The median of what its readers rated, by name; missing where nobody did. Ratings of 0 stand for none.
local function medians_of(nodule, ratings)
  local found = {}
  for _, name in ipairs(measures.ratings) do
    local values = {}
    for _, mark in ipairs(nodule.marks) do
      local rating = ratings[mark] and ratings[mark][name]
      if rating and rating > 0 then values[#values + 1] = rating end
    end
    found[name] = statistics.median(values)
  end
  return found
end

local function add_nodules(part, info, nodules, ratings, voxels, grid, rule)
  for i, nodule in ipairs(nodules:list()) do
    nodule.label, nodule.ratings = filters.label(rule, nodule), medians_of(nodule, ratings)
    add_case(part, info, nodule, nodules:crop(i, voxels, grid))
  end
end

-- Cuts all nodules of one scan out, or lays the scan on its grid. Returns a part, or nil, a problem and more
-- problems.
local function read_scan(protocol, one)
  local marks, found = engine.read_marks(one.xml)
  if not marks then return nil, found end
  local series, err, more = engine.read_series(one.files)
  if not series then return nil, err, more end
  local info, problems = series:info(), append({}, err)
  local nodules, odd = engine.find_nodules(series, marks, protocols.rule(protocol, info.thickness_mm))
  if not nodules then return nil, odd, problems end
  local voxels <close> = series:voxels()
  local part = { cases = {}, samples = {}, problems = append(problems, odd),
    left_out = filters.apply(protocol.nodules, nodules, info) }
  part.found = { scans = 1, nodules = #nodules:list() }
  local grid = protocols.grid(protocol)
  if protocol.extent == "scan" then
    add_whole(part, info, nodules, voxels, grid)
  else
    add_nodules(part, info, nodules, marks:ratings(), voxels, grid, protocol.nodules)
  end
  part.line = string.format("%s %s %s\n", info.uid, series:hash(), marks:hash())
  nodules:free()
  marks:free()
  series:free()
  return part
end

-- Bytes of a scan's samples, at the most: each nodule has min_readers outlines, each voxel a number (of four bytes,
-- which shrink by a quarter) and masks (which shrink to little).
local function room_of(protocol, reading)
  local crop = protocol.crop
  local nodules = protocol.extent == "scan" and 1 or reading.outlines // protocol.min_readers
  return nodules * crop[1] * crop[2] * crop[3] * 4
end

-- A unit for each series that has a reading, and a note about the others.
local function units_of(index, protocol, folder, problems)
  local units, without, readings = {}, 0, {}
  for _, one in ipairs(index.xml) do readings[one.file] = one end
  for _, one in ipairs(index.series) do
    if one.xml then
      units[#units + 1] = { file = one.xml, read = function() return read_scan(protocol, one) end,
        identity = one.identity .. " " .. readings[one.xml].payload, bytes = room_of(protocol, readings[one.xml]) }
    else
      without = without + 1
    end
  end
  if without > 0 then
    problems[#problems + 1] = { code = "ok", file = folder,
      message = string.format("%d CT series without a reading; left out", without) }
  end
  return units
end

--- The cases below a folder. source: { folder, nodules, consensus, spacing_mm, resample, window_hu, crop, extent };
--- options: see data/set.lua. Returns a set, or nil and a problem.
function lidc.open(source, options)
  local index, err = cache.index(source.folder, options and options.progress, options and options.cache)
  if not index then return nil, err end
  local protocol, problems = protocols.of(source), copy(index.problems)
  local units = units_of(index, protocol, source.folder, problems)
  return sets.open({ folder = source.folder, units = units, protocol = protocol, problems = problems,
    what = "reading scans" }, options)
end

return lidc
