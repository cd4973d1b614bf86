-- How far readers agree: the ceiling of every score.
--
-- For each nodule that two readers or more outlined: the Dice of each two of them, and that of each reader against the
-- majority of the others. A voxel belongs to the majority if at least half of the others have it: with an even number
-- of others, a tie belongs to it. Readers who did not outline the nodule have no part in it.

local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local metric = require "hilum.metric"
local scans = require "hilum.data.scans"
local value = require "hilum.value"

local agreement = {}

local function pairs_of(masks)
  local values = {}
  for i = 1, #masks do
    for k = i + 1, #masks do values[#values + 1] = metric.dice_of(masks[i], masks[k]) end
  end
  return values
end

local function mean_of(values)
  local s = metric.summary(values)
  return s and s.mean
end

local function append(list, more)
  table.move(more, 1, #more, #list + 1, list)
end

-- Adds a case { id, patient, diameter_mm } with its readers' masks.
local function add(report, case, masks)
  local two, majority = pairs_of(masks), metric.interreader(masks)
  case.readers, case.between_two, case.against_majority = #masks, mean_of(two), mean_of(majority)
  report.cases[#report.cases + 1] = case
  report.readers[#masks] = (report.readers[#masks] or 0) + 1
  append(report.two, two)
  append(report.majority, majority)
end

local function new_report(kind)
  return { kind = kind, cases = {}, readers = {}, two = {}, majority = {}, problems = {} }
end

-- Counts by number of readers have text for keys, as JSON has them.
local function finish(report)
  report.between_two, report.against_majority = metric.summary(report.two), metric.summary(report.majority)
  report.two, report.majority = nil, nil
  local by = {}
  for n, count in pairs(report.readers) do by[tostring(n)] = count end
  report.readers = by
  return report
end

-- Masks on the scan's own voxels.
local function of_scans(folder, o)
  local report, count = new_report "scans", {}
  local found, err = scans.each {
    folder = folder, progress = o.progress, rule = { semantics = o.semantics, grouping = o.grouping, votes = 1 },
    visit = function(scan)
      for i, nodule in ipairs(scan.nodules:list()) do
        local patient, masks = scan.info.patient, {}
        for r = 1, nodule.readers do masks[r] = scan.nodules:mask(i, r) end
        count[patient] = (count[patient] or 0) + 1
        add(report, { id = string.format("%s-%d", patient, count[patient]), patient = patient,
          series = scan.info.uid, diameter_mm = nodule.diameter_mm }, masks)
      end
    end,
  }
  if not found then return nil, err end
  report.problems = found.problems
  return finish(report)
end

-- Masks on a crop that holds most nodules whole; of more pictures than that, the middle ones.
local SLICES = { min_readers = 1, consensus = { level = 0.01, of = "marks" }, crop = { 16, 128, 128 } }

local function of_slices(source, o)
  local set, err = source:open { progress = o.progress }
  if not set then return nil, err end
  local report = new_report "slices"
  for i, case in ipairs(set.cases) do
    local sample, failed = set:load(i)
    if not sample then return nil, failed end
    add(report, { id = case.id, patient = case.patient }, sample.readers)
  end
  report.cut, report.problems = 0, {}
  for _, one in ipairs(set.problems) do
    if one.code == "ok" and one.message:find "beyond the crop" then
      report.cut = report.cut + 1
    else
      report.problems[#report.problems + 1] = one
    end
  end
  return finish(report)
end

--- How far the readers of a folder agree. o: { semantics, grouping (of outlines), progress }. Returns { kind = "scans"
--- or "slices", cases = { { id, patient, series, diameter_mm, readers, between_two, against_majority (means; nil for
--- one reader) } … }, readers = { ["4"] = nodules with four readers, … }, between_two, against_majority = { mean,
--- median, count } over all pairs and all readings, cut (slices: nodules of which the middle 16 pictures are taken),
--- problems }, or nil and a problem.
function agreement.of(folder, o)
  o = o or {}
  if not engine.list_folder(folder) then return of_scans(folder, o) end -- which says why
  local source = dataset.source(folder, { lidc = {}, slices = SLICES })
  if value.constructor(source) == dataset.slices then return of_slices(source, o) end
  return of_scans(folder, o)
end

return agreement
