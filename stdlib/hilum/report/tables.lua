-- The tables of reports and comparisons, as text cells: { title, head, rows, note }. Columns behind the first `words`
-- (default 1) hold numbers.

local numbers = require "hilum.report.numbers"
local results = require "hilum.results"

local tables = {}

local value, interval = numbers.value, numbers.interval

local INTERVALS = "Intervals: 95 %, bootstrap over patients (2000 replicates, seeded, percentile method), so that "
  .. "nodules of one patient stay together."

local function seeds_text(method)
  return #method.seeds > 1 and string.format("%s (mean of %d seeds)", method.label, #method.seeds) or method.label
end

-- ---- one run ----

local function metric_row(title, d)
  return { title, value(d.mean), interval(d.interval), value(d.median), interval(d.median_interval),
    d.q1 and value(d.q1) .. ", " .. value(d.q3) or "–", value(d.patient_mean), value(d.count), value(d.undefined) }
end

-- The network's Dice less the readers' own of the same case.
local function less_readers(rows)
  local list = {}
  for i, row in ipairs(rows) do
    local both = results.finite(row.dice) and results.finite(row.interreader)
    list[i] = { patient = row.patient, less = both and row.dice - row.interreader or nil }
  end
  return results.describe(list, "less", { median = true })
end

--- Every metric of the cases that count, the readers' own agreement last. rows: results.rows(run).
function tables.metrics(run, rows)
  local t = { title = "Results", head = { "metric", "mean", "95 % interval", "median", "95 % interval", "quartiles",
    "per patient", "cases", "not defined" }, rows = {} }
  for _, metric in ipairs(results.metrics(run)) do
    t.rows[#t.rows + 1] = metric_row(metric.name, results.describe(rows, metric.name, { median = true }))
  end
  local agreement = results.describe(rows, "interreader", { median = true })
  t.note = INTERVALS .. " Per patient: the mean of the patients' means. Not defined: cases where one mask is empty."
  if agreement.count > 0 then
    t.rows[#t.rows + 1] = metric_row("readers' Dice", agreement)
    t.rows[#t.rows + 1] = metric_row("dice less readers' Dice", less_readers(rows))
    t.note = t.note .. " Readers' Dice: each reader against the majority of the others, the mean of each case; not "
      .. "defined where fewer than two outlined it."
  end
  return t
end

--- Lesions of whole scans; nil where the run knows of none.
function tables.lesions(run, rows)
  local l = results.lesions(run, rows)
  if not l then return nil end
  local t = { title = "Lesions", head = { "", "", "95 % interval" }, rows = {
    { "scans", value(l.scans), "" }, { "lesions", value(l.lesions), "" },
    { "found (share)", value(l.sensitivity), interval(l.interval) },
    { "false positives in a scan", value(l.false_positives.mean), interval(l.false_positives.interval) },
    { "Dice by lesion", value(l.dice), "" },
  } }
  for _, one in ipairs(l.sensitivities) do
    t.rows[#t.rows + 1] = { string.format("sensitivity at %g false positives in a scan", one.rate),
      value(one.sensitivity), "" }
  end
  t.rows[#t.rows + 1] = { "mean of these sensitivities", value(l.score), interval(l.score_interval) }
  t.note = "A lesion is a connected part of the truth. It is found by a connected part of the prediction whose "
    .. "intersection over union with it is 0.1 or more; what hits none and lies in lesions with less than half of its "
    .. "voxels is a false positive; the score is its highest probability. These are LUNA16's rates, but its rule of "
    .. "hits is by distance: the mean is not that challenge's score. Its interval comes from a bootstrap over scans."
  return t
end

--- The Dice of strata, as one table.
function tables.strata(rows)
  local t = { title = "Dice by size, readers and ratings", words = 2, head = { "by", "band", "cases", "patients",
    "mean", "95 % interval", "median", "readers", "less readers" }, rows = {} }
  local missing = {}
  for _, s in ipairs(results.strata(rows, "dice")) do
    for i, band in ipairs(s.bands) do
      t.rows[#t.rows + 1] = { i == 1 and s.title or "", band.label, value(band.count), value(band.patients),
        value(band.mean), interval(band.interval), value(band.median), value(band.readers),
        band.readers and numbers.signed(band.mean - band.readers) or "–" }
    end
    if s.unknown > 0 then missing[#missing + 1] = string.format("%s of %d cases", s.title, s.unknown) end
  end
  t.note = "Readers: mean agreement of the readers on the same cases. Ratings are medians over a nodule's readers."
    .. (#missing > 0 and " Not known: " .. table.concat(missing, "; ") .. "." or "")
  return #t.rows > 0 and t or nil
end

local CASES = { "diameter_mm", "readers", "interreader" }

--- Every case that counts, the worst Dice first.
function tables.cases(run, rows)
  local t = { title = "Cases", words = 2, head = { "case", "patient" }, rows = {} }
  local columns = {}
  for _, name in ipairs(CASES) do
    for _, row in ipairs(rows) do
      if results.finite(row[name]) then
        columns[#columns + 1] = name
        break
      end
    end
  end
  for _, metric in ipairs(results.metrics(run)) do columns[#columns + 1] = metric.name end
  table.move(columns, 1, #columns, 3, t.head)
  local order = table.move(rows, 1, #rows, 1, {})
  table.sort(order, function(a, b)
    local x, y = results.finite(a.dice) and a.dice or 2, results.finite(b.dice) and b.dice or 2
    if x ~= y then return x < y end
    return a.id < b.id
  end)
  for i, row in ipairs(order) do
    t.rows[i] = { row.id, row.patient }
    for k, name in ipairs(columns) do t.rows[i][k + 2] = value(row[name]) end
  end
  return t
end

-- ---- several ----

--- Every metric of every method of a comparison.
function tables.methods(c)
  local t = { title = "Methods", words = 2, head = { "metric", "method", "mean", "95 % interval", "median",
    "95 % interval", "cases", "between seeds" }, rows = {} }
  for _, metric in ipairs(c.metrics) do
    for i, m in ipairs(c.methods) do
      local d = m.metrics[metric.name]
      t.rows[#t.rows + 1] = { i == 1 and metric.name or "", seeds_text(m), value(d.mean), interval(d.interval),
        value(d.median), interval(d.median_interval), value(d.count), value(d.spread) }
    end
  end
  t.note = INTERVALS .. " Between seeds: standard deviation of the seeds' means, where a method has several."
  return t
end

local function wins_text(d)
  return string.format("%d / %d / %d", d.wins, d.ties, d.losses)
end

--- Every method against the reference.
function tables.differences(c)
  local t = { title = "Differences to " .. c.reference, words = 2, head = { "metric", "method", "difference",
    "95 % interval", "p (Holm)", "rank-biserial", "d_z", "win / tie / loss", "cases", "patients" }, rows = {} }
  local last
  for _, d in ipairs(c.differences) do
    t.rows[#t.rows + 1] = { d.metric ~= last and d.metric or "", d.method, numbers.signed(d.mean), interval(d.interval),
      numbers.p(d.p_holm), numbers.signed(d.effect), numbers.signed(d.dz), wins_text(d), value(d.count),
      value(d.patients) }
    last = d.metric
  end
  t.note = string.format("Differences of the same cases, method less reference. p: Wilcoxon's signed-rank test, "
    .. "two-sided, on the patients' means, corrected by Holm over all %d tests of this table. Positive effect sizes "
    .. "and wins speak for the method, whichever way the metric counts. A nodule is a tie within %g (shares) or %g mm.",
    #c.differences, require("hilum.comparison").TOLERANCE, require("hilum.comparison").TOLERANCE_MM)
  return #t.rows > 0 and t or nil
end

--- Dice of every method by size, readers and ratings.
function tables.method_strata(c)
  local t = { title = "Dice by size, readers and ratings", words = 2, head = { "by", "band", "cases", "readers" },
    rows = {} }
  local all = {}
  for k, m in ipairs(c.methods) do
    all[k], t.head[k + 4] = results.strata(m.rows, "dice"), m.label
  end
  for s, one in ipairs(all[1]) do
    for b, band in ipairs(one.bands) do
      local row = { b == 1 and one.title or "", band.label, value(band.count), value(band.readers) }
      for k = 1, #all do
        local d = all[k][s].bands[b]
        row[k + 4] = d.interval and string.format("%s (%s)", value(d.mean), interval(d.interval)) or value(d.mean)
      end
      t.rows[#t.rows + 1] = row
    end
  end
  t.note = "Mean and its 95 % interval. Readers: mean agreement of the readers on the same cases."
  return #t.rows > 0 and t or nil
end

return tables
