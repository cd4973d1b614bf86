-- What the cases of a run say together: means with intervals, strata, the readers' own agreement on the same cases.
--
-- A run is a table as archive.run_read gives it, and may be a stranger's: only what has the form it should have counts.
-- Cases of the role "validation" count, those that trained do not.

local froc = require "hilum.froc"
local loose = require "hilum.loose"
local statistics = require "hilum.statistics"

local fields, finite = loose.fields, loose.finite

local results = {}

results.finite = finite

--- The rows of the cases that count.
function results.rows(run)
  local rows = {}
  for _, row in ipairs(fields(run.cases)) do
    if type(row) == "table" and row.role == "validation" and type(row.id) == "string"
      and type(row.patient) == "string" then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local FIRST = { "dice", "slice_dice", "iou", "precision", "recall" }

local function place_of(name)
  for i, known in ipairs(FIRST) do
    if name == known then return i end
  end
  return #FIRST + 1
end

--- The metrics that a run says something of, { name, better, unit } in an order that does not depend on the run. A run
--- that does not say what is better has the Dice alone.
function results.metrics(run)
  local list = {}
  for name, one in pairs(fields(run.metrics)) do
    local better = type(one) == "table" and one.better
    if better == "higher" or better == "lower" or better == "zero" then
      list[#list + 1] = { name = name, better = better, unit = name:find "_mm$" and "mm" or nil }
    end
  end
  if #list == 0 then list[1] = { name = "dice", better = "higher" } end
  table.sort(list, function(a, b)
    local x, y = place_of(a.name), place_of(b.name)
    if x ~= y then return x < y end
    return a.name < b.name
  end)
  return list
end

-- { patient, value } of the rows that have it.
local function values_of(rows, name)
  local list = {}
  for _, row in ipairs(rows) do
    if finite(row[name]) then list[#list + 1] = { patient = row.patient, value = row[name] } end
  end
  return list
end

local function plain(list)
  local values = {}
  for i, one in ipairs(list) do values[i] = one.value end
  return values
end

--- What rows say of a column: { count, undefined, patients, mean, sd, median, q1, q3, min, max, interval (of the mean),
--- median_interval, patient_mean, readers = mean agreement of the readers on the same cases, readers_count }. Without a
--- value: count, undefined and patients alone. o: { median = true for its interval, seed }.
function results.describe(rows, name, o)
  o = o or {}
  local list = values_of(rows, name)
  local found = statistics.summary(plain(list)) or { count = 0 }
  found.undefined, found.patients = #rows - #list, 0
  if #list == 0 then return found end
  local of_patients = statistics.by_patient(list)
  found.patients, found.patient_mean = #of_patients, statistics.mean(of_patients)
  found.interval = statistics.interval(list, { seed = o.seed })
  if o.median then found.median_interval = statistics.interval(list, { of = "median", seed = o.seed }) end
  local same = {}
  for _, row in ipairs(rows) do
    if finite(row[name]) and finite(row.interreader) then same[#same + 1] = row.interreader end
  end
  found.readers, found.readers_count = statistics.mean(same), #same
  return found
end

--- How many of the rows have an empty truth, and an empty prediction.
function results.empty(rows)
  local truth, prediction = 0, 0
  for _, row in ipairs(rows) do
    if (row.truth_mm3 or row.truth_voxels) == 0 then truth = truth + 1 end
    if (row.predicted_mm3 or row.predicted_voxels) == 0 then prediction = prediction + 1 end
  end
  return { truth = truth, prediction = prediction }
end

-- ---- whole scans ----

-- Rows of a part of an archive that belong to cases that count.
local function of_cases(rows, list)
  local known, found = {}, {}
  for _, row in ipairs(rows) do known[row.id] = true end
  for _, one in ipairs(fields(list)) do
    if type(one) == "table" and known[one.case] and type(one.patient) == "string" then found[#found + 1] = one end
  end
  return found
end

-- Sensitivity at LUNA16's rates of false positives, and their mean.
local function add_curve(found, hits, wrong)
  local score, at = froc.score(froc.curve(hits, wrong, found.scans))
  found.score, found.sensitivities = score, {}
  for i, rate in ipairs(froc.LUNA16_RATES) do found.sensitivities[i] = { rate = rate, sensitivity = at[i] } end
end

local function score_interval(rows, hits, wrong)
  local scans = {}
  for i, row in ipairs(rows) do scans[i] = row.id end
  return froc.interval { scans = scans, hits = hits, false_positives = wrong, seed = statistics.SEED }
end

local function scores_of(list)
  local scores = {}
  for i, one in ipairs(list) do scores[i] = one.score end
  return scores
end

--- Lesions of whole scans: { scans, lesions, found, sensitivity, interval (over patients), dice = mean over all
--- lesions, those that are not found included, false_positives = what describe gives of their number in a scan, score
--- = mean sensitivity at LUNA16's rates, score_interval (over scans), sensitivities = list of { rate, sensitivity } };
--- nil where the run knows of none.
function results.lesions(run, rows)
  local list = of_cases(rows, run.lesions)
  if #list == 0 then return nil end
  local found, hits, wrong, hit_rows = { scans = #rows, lesions = #list, found = 0 }, {}, {}, {}
  for i, one in ipairs(list) do
    local hit = one.found == true and finite(one.score)
    if hit then found.found = found.found + 1 end
    hits[i] = { scan = one.case, score = hit and one.score or -math.huge }
    hit_rows[i] = { patient = one.patient, value = hit and 1 or 0 }
  end
  for _, one in ipairs(of_cases(rows, run.false_positives)) do
    if finite(one.score) then wrong[#wrong + 1] = { scan = one.case, score = one.score } end
  end
  found.sensitivity, found.interval = found.found / #list, statistics.interval(hit_rows)
  found.dice = statistics.mean(plain(values_of(list, "dice")))
  found.false_positives = results.describe(rows, "false_positives")
  add_curve(found, scores_of(hits), scores_of(wrong))
  found.score_interval = score_interval(rows, hits, wrong)
  return found
end

-- ---- strata ----

results.SIZES_MM = { 6, 10, 20 } -- edges between the bands of size

-- Bands between edges: a value that is an edge belongs to the band above it.
local function banded(edges, labels)
  return function(x)
    local k = 1
    while edges[k] and x >= edges[k] do k = k + 1 end
    return k, labels[k]
  end
end

local function number_label(x)
  return string.format("%g", x)
end

local function size_labels(edges, unit)
  local labels = { string.format("< %g %s", edges[1], unit) }
  for k = 1, #edges - 1 do labels[k + 1] = string.format("%g to < %g %s", edges[k], edges[k + 1], unit) end
  labels[#edges + 1] = string.format("≥ %g %s", edges[#edges], unit)
  return labels
end

-- Ratings of LIDC from 1 to 5; medians of several readers may lie half-way.
local function rating(low, middle, high)
  return banded({ 2.5, 4 }, { "1 to 2: " .. low, "2.5 to 3.5: " .. middle, "4 to 5: " .. high })
end

local STRATA = {
  { "diameter_mm", "diameter", banded(results.SIZES_MM, size_labels(results.SIZES_MM, "mm")) },
  { "readers", "readers who outlined it", function(x) return x, number_label(x) end },
  { "texture", "texture (median rating)", rating("non-solid", "part-solid", "solid") },
  { "margin", "margin (median rating)", rating("poorly defined", "between", "sharp") },
  { "malignancy", "malignancy (median rating)", rating("unlikely", "indeterminate", "suspicious") },
  { "spiculation", "spiculation (median rating)", rating("none or little", "some", "marked") },
  { "lobulation", "lobulation (median rating)", rating("none or little", "some", "marked") },
  { "subtlety", "subtlety (median rating)", rating("subtle", "between", "obvious") },
}

-- Thirds by a column, where nothing says what is small.
local function thirds(rows, name, title, unit)
  local values = plain(values_of(rows, name))
  if #values < 6 then return nil end
  local edges = { statistics.quantile(values, 1 / 3), statistics.quantile(values, 2 / 3) }
  if edges[1] >= edges[2] then return nil end
  for i, x in ipairs(edges) do edges[i] = math.floor(x + 0.5) end
  return { name, title, banded(edges, size_labels(edges, unit)) }
end

local function stratum(rows, one, metric, o)
  local column, title, band = one[1], one[2], one[3]
  local groups, order, unknown = {}, {}, 0
  for _, row in ipairs(rows) do
    if finite(row[column]) then
      local key, label = band(row[column])
      if not groups[key] then
        groups[key] = { key = key, label = label, rows = {} }
        order[#order + 1] = groups[key]
      end
      table.insert(groups[key].rows, row)
    else
      unknown = unknown + 1
    end
  end
  if #order == 0 then return nil end
  table.sort(order, function(a, b) return a.key < b.key end)
  local found = { column = column, title = title, unknown = unknown, bands = {} }
  for i, group in ipairs(order) do
    found.bands[i] = results.describe(group.rows, metric, o)
    found.bands[i].label = group.label
  end
  return found
end

--- A metric by size, readers and ratings: list of { column, title, unknown = cases without it, bands = list of what
--- describe gives and label }. What the cases know nothing of is left out; where no diameter is known, the voxels of
--- the truth stand in, in thirds.
function results.strata(rows, metric, o)
  local list = {}
  for _, one in ipairs(STRATA) do
    local found = stratum(rows, one, metric, o)
    if not found and one[1] == "diameter_mm" then
      local own = thirds(rows, "truth_voxels", "voxels of the truth (thirds)", "voxels")
      found = own and stratum(rows, own, metric, o)
    end
    list[#list + 1] = found
  end
  return list
end

return results
