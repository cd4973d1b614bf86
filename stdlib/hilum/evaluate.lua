-- What the network predicts for whole cases: Dice, the readers' agreement, slices for the panel.

local engine = require "hilum.engine"
local lesions = require "hilum.lesions"
local metric = require "hilum.metric"
local prediction = require "hilum.prediction"
local problem = require "hilum.problem"
local statistics = require "hilum.statistics"

local evaluate = {}

local PANEL = 6 -- columns of the panel

-- What the metrics say of one case, by their names; nothing where one is not defined or needs a spacing that the
-- images do not have. Its volumes, at the threshold: in mm³, or in voxels where there is no spacing.
local function measures(o, batch, mask)
  local spacing = o.spacing_mm
  local m, found = metric.case { prediction = mask, truth = batch.truth, valid = batch.valid,
    spacing_mm = spacing, threshold = o.threshold }, {}
  for _, one in ipairs(o.metrics) do
    if spacing or not one.in_mm then found[one:name()] = one:measure(m) end
  end
  local counts, unit = m:overlap(o.threshold), spacing and "_mm3" or "_voxels"
  local voxel = spacing and spacing[1] * spacing[2] * spacing[3] or 1
  found["truth" .. unit], found["predicted" .. unit] = counts.truth * voxel, counts.predicted * voxel
  return found
end

-- The loss of a batch, its probabilities, and those after post-processing: the same where o.predict is not given.
local function predicted(o, batch, what)
  local loss
  local function run(image)
    local found, err = o.evaluator:run { image = image, truth = batch.truth, valid = batch.valid }
    if not found then return nil, err end
    loss = loss or found.loss -- of the image as it is, which comes first
    return found.probability
  end
  if not o.predict then
    local raw, err = run(batch.image)
    return loss, raw or err, raw
  end
  local raw, kept = prediction.of(batch.image, o.predict, run, { spacing_mm = o.spacing_mm, what = what })
  if not raw then return nil, kept end
  return loss, raw, kept
end

-- A whole scan by lesion: its counts among its measures, its lesions and false positives in lists of all.
local function add_lesions(result, o, case, batch, kept)
  local found, row = lesions.of(kept, batch.truth, batch.valid, o.threshold), result.measured[case]
  local counted = { case = o.feed.set.cases[case].id, patient = o.feed.set.cases[case].patient }
  row.lesions, row.lesions_found, row.false_positives = #found.lesions, 0, #found.false_positives
  for kind, list in pairs(found) do
    for _, one in ipairs(list) do
      one.case, one.patient = counted.case, counted.patient
      if one.found then row.lesions_found = row.lesions_found + 1 end
      table.insert(result[kind], one)
    end
  end
end

--- Dice and loss of each of the cases (indices), one by one and without augmentation. o: { feed, evaluator
--- (of batches of one), threshold; optional: predict = the experiment's flips and post-processing (nothing of them
--- without it), visit = function(case, batch, prediction, dice), step = function(i, n), metrics = list, spacing_mm,
--- calibrated = { [case] = true }, lesions = true for whole scans (with metrics), lost = function(case, batch,
--- { loss }), which gives the problem where a loss is not finite }. Returns { dice = { [case] = number }, measured =
--- { [case] = { [metric's name] = number } }, mean, median, loss = mean, empty = number of cases without truth,
--- calibration = of the calibrated cases together (before post-processing), as metric.calibration gives it, lesions and
--- false_positives of all cases (see hilum.lesions) }; or nil and a problem.
function evaluate.cases(cases, o)
  local result, values, loss = { dice = {}, measured = {}, empty = 0, lesions = {}, false_positives = {} }, {}, 0
  local calibration = o.calibrated and metric.calibrator()
  o.feed:expect(cases)
  for i, case in ipairs(cases) do
    if engine.cancelled() then return nil, problem.new("cancelled", "interrupted") end
    local batch, err = o.feed:fill { case }
    if not batch then return nil, err end
    local one, raw, kept = predicted(o, batch, "case " .. o.feed.set.cases[case].id)
    if not one then return nil, raw end
    if o.lost and one - one ~= 0 then return nil, o.lost(case, batch, { loss = one }) end
    local dice, empty = metric.dice_of(kept, batch.truth, batch.valid, o.threshold)
    result.dice[case], values[i], loss = dice, dice, loss + one
    if o.metrics then result.measured[case] = measures(o, batch, kept) end
    if o.lesions then add_lesions(result, o, case, batch, kept) end
    if calibration and o.calibrated[case] then calibration:add(raw, batch.truth, batch.valid) end
    if empty then result.empty = result.empty + 1 end
    if o.visit then o.visit(case, batch, kept, dice) end
    if o.step then o.step(i, #cases) end
    raw:free()
    if kept ~= raw then kept:free() end
  end
  local summary = metric.summary(values)
  result.calibration = calibration and calibration:result()
  result.mean, result.median, result.loss = summary.mean, summary.median, loss / #cases
  return result
end

--- What the metrics say of the validation cases together: { [name] = { mean, median, count, undefined, better =
--- "higher", "lower" or "zero" } }. Cases where a metric is not defined are counted and left out. in_mm: whether the
--- images have a spacing.
function evaluate.summary(rows, metrics, in_mm)
  local found = {}
  for _, one in ipairs(metrics) do
    if in_mm or not one.in_mm then
      local name, values, undefined = one:name(), {}, 0
      for _, row in ipairs(rows) do
        if row.role == "validation" then
          if row[name] then values[#values + 1] = row[name] else undefined = undefined + 1 end
        end
      end
      local summary = metric.summary(values) or { count = 0 }
      summary.undefined, summary.better = undefined, one:better()
      found[name] = summary
    end
  end
  return found
end

--- Agreement of the readers of these cases: { mean, median, count (over all readings; mean and median are missing where
--- no case has two readers), by_case = { [case] = mean over its readers } }; nil and a problem where a case cannot be
--- read.
function evaluate.interreader(cases, feed)
  local all, by_case = {}, {}
  for _, case in ipairs(cases) do
    local sample, err = feed:sample(case)
    if not sample then return nil, err end
    local values = metric.interreader(sample.readers or {}, sample.valid)
    by_case[case] = statistics.mean(values)
    table.move(values, 1, #values, #all + 1, all)
  end
  local summary = metric.summary(all) or { count = 0 }
  summary.by_case = by_case
  return summary
end

--- A row for each case of a set: its name, patient and role (role(i), "train" or "validation"), and what its readers
--- found: diameter, how many outlined it, the medians of their ratings.
function evaluate.rows(set, role)
  local rows = {}
  for i, case in ipairs(set.cases) do
    rows[i] = { id = case.id, patient = case.patient, role = role(i), diameter_mm = case.diameter_mm,
      readers = case.readers }
    for name, x in pairs(case.ratings or {}) do rows[i][name] = x end
  end
  return rows
end

--- The slice with most truth ({ 1, 1, z, y, x }, numbers), 1-based; the middle one if there is no truth.
function evaluate.fullest(truth)
  local counts = engine.op.sum(truth, { axes = "ncyx" }):table()
  local best = (#counts + 1) // 2
  for z, count in ipairs(counts) do
    if count > counts[best] then best = z end
  end
  return best
end

local function slice(t, z)
  local shape = t.shape
  return t:slice(3, z):reshape({ shape[4], shape[5] }):clone()
end

--- One column of the panel.
function evaluate.column(case, batch, probability, dice)
  local z = evaluate.fullest(batch.truth)
  return { id = case.id, dice = dice, image = slice(batch.image, z), truth = slice(batch.truth, z),
    prediction = slice(probability, z) }
end

--- Which cases the panel shows: evenly spread from the worst to the best by Dice, so that it shows the
--- range and not a choice.
function evaluate.panel_cases(cases, dice)
  local order = table.move(cases, 1, #cases, 1, {})
  table.sort(order, function(a, b)
    if dice[a] ~= dice[b] then return dice[a] < dice[b] end
    return a < b
  end)
  local n, chosen = math.min(PANEL, #order), {}
  for i = 1, n do
    chosen[i] = order[n == 1 and 1 or 1 + (i - 1) * (#order - 1) // (n - 1)]
  end
  return chosen
end

--- Puts into the table of a run what its network says of every case, whose rows are there: every metric, calibration,
--- the panel. o: { set, validation = indices of the cases that count, spec, spacing_mm, measure = function(what, cases,
--- visit, options) that calls evaluate.cases }. Returns true, or nil and a problem.
function evaluate.complete(run, o)
  local all, unknown = {}, {}
  for i = 1, #o.set.cases do all[i] = i end
  for _, i in ipairs(o.validation) do unknown[i] = true end
  local whole = o.spec.data.extent == "scan"
  local result, err = o.measure("final evaluation", all, nil, { metrics = o.spec.evaluate, calibrated = unknown,
    predict = o.spec.predict, lesions = whole })
  if not result then return nil, err end
  for i, row in ipairs(run.cases) do
    for name, x in pairs(result.measured[i]) do row[name] = x end
    row.dice = result.dice[i]
  end
  run.metrics = evaluate.summary(run.cases, o.spec.evaluate, o.spacing_mm ~= nil)
  run.state.empty_truths, run.calibration = result.empty, result.calibration
  if whole then run.lesions, run.false_positives = result.lesions, result.false_positives end
  local chosen = evaluate.panel_cases(o.validation, result.dice)
  return o.measure("panel", chosen, function(case, batch, probability, dice)
    local column = evaluate.column(o.set.cases[case], batch, probability, dice)
    column.threshold = o.spec.predict.threshold
    column.spacing_mm = o.spacing_mm and { o.spacing_mm[2], o.spacing_mm[3] } or nil -- of the scale bar
    run.panel[#run.panel + 1] = column
  end, { predict = o.spec.predict })
end

return evaluate
