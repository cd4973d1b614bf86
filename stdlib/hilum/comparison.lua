-- Several runs on the same cases: what each is worth, and how far it is from another, case by case.
--
-- The folds of one experiment are one run, in which each case is judged by the network that did not see its patient
-- (hilum.folds). Runs of one experiment with several seeds are one method: its value of a case is the mean over the
-- seeds. Differences are taken case by case; what is tested is one number for each patient, the mean over his cases.

local folds = require "hilum.folds"
local loose = require "hilum.loose"
local markup = require "hilum.report.markup"
local problem = require "hilum.problem"
local results = require "hilum.results"
local statistics = require "hilum.statistics"

local fields = loose.fields

local comparison = {}

-- Differences within it are a tie: of shares, and of distances in mm.
comparison.TOLERANCE, comparison.TOLERANCE_MM = 0.01, 0.1

-- ---- may they be compared? ----

-- What archives say may be anybody's: it commands no terminal.
local function refuse(text, ...)
  local safe = table.pack(...)
  for i = 1, safe.n do
    if type(safe[i]) == "string" then safe[i] = markup.line(safe[i]) end
  end
  return nil, problem.new("data", string.format(text, table.unpack(safe, 1, safe.n)))
end

-- An archive whose cases have results.
local function check_results(one)
  local run = one.run
  if run.measured then
    return refuse("%s: is a measurement of hilum itself: there are no cases to compare", one.path)
  elseif fields(run.state).finished ~= true then
    return refuse("%s: is not finished: its cases have no results yet (hilum run --resume)", one.path)
  elseif #results.rows(run) == 0 then
    return refuse("%s: holds no results of validation cases", one.path)
  end
  return true
end

local function first_difference(a, b)
  a, b = fields(a), fields(b)
  for i = 1, math.max(#a, #b) do
    if a[i] ~= b[i] then return i, tostring(a[i] or "none"), tostring(b[i] or "none") end
  end
end

local function short(x)
  return tostring(x or "none"):sub(1, 16)
end

local function same_data(a, b)
  local x, y = fields(a.run.data), fields(b.run.data)
  if x.hash ~= y.hash then
    return refuse("%s and %s are of different data: its hash is %s… and %s…", a.path, b.path, short(x.hash),
      short(y.hash))
  elseif x.protocol ~= y.protocol then
    return refuse("%s and %s are of different protocols:\n  %s\n  %s", a.path, b.path, tostring(x.protocol),
      tostring(y.protocol))
  end
  return true
end

local function same_split(a, b)
  for _, side in ipairs { "validation", "train" } do
    local i, x, y = first_difference(fields(a.run.split)[side], fields(b.run.split)[side])
    if i and not (side == "train" and a.run.evaluation) then
      return refuse("%s and %s divide the patients in different ways: %s patient %d is %s and %s (experiments of "
        .. "several seeds share a split that is given by split.validation or split.validation_file)", a.path, b.path,
        side, i, x, y)
    end
  end
  return true
end

local function same_cases(a, b)
  local x, y = results.rows(a.run), results.rows(b.run)
  for i = 1, math.max(#x, #y) do
    local p, q = x[i] and x[i].id, y[i] and y[i].id
    if p ~= q then
      return refuse("%s and %s have different cases: validation case %d is %s and %s", a.path, b.path, i,
        tostring(p or "none"), tostring(q or "none"))
    end
  end
  return true
end

local function same_kind(a, b)
  if (a.run.evaluation == nil) == (b.run.evaluation == nil) then return true end
  local first, second = a, b
  if b.run.evaluation then first, second = b, a end
  return refuse("%s is an evaluation and %s a training run: compare evaluations with evaluations (hilum evaluate)",
    first.path, second.path)
end

--- Whether archives { { run, path }, … } may be compared: true, or nil and a problem that names the first difference.
function comparison.check(list)
  for _, one in ipairs(list) do
    local fine, err = check_results(one)
    if not fine then return nil, err end
  end
  for i = 2, #list do
    for _, same in ipairs { same_kind, same_data, same_split, same_cases } do
      local fine, err = same(list[1], list[i])
      if not fine then return nil, err end
    end
  end
  return true
end

-- ---- methods ----

-- The experiment without its name and its seed; of an evaluation, which weights it was of.
local function key_of(run)
  local text = tostring(run.experiment):gsub('%f[%w]name = "[^"]*"', "name", 1):gsub("%f[%w]seed = %d+", "seed", 1)
  if run.folds then text = text:gsub("%f[%w]fold = %d+", "fold") end
  return text .. tostring(fields(run.evaluation).weights)
end

local function label_of(run, several)
  local name = type(run.name) == "string" and run.name or "run"
  if several then
    local without = name:gsub("_?seed%-%d+", ""):gsub("^_", "")
    if without ~= "" then name = without end
  end
  return name
end

local function distinct(methods)
  local count, seen = {}, {}
  for _, m in ipairs(methods) do count[m.label] = (count[m.label] or 0) + 1 end
  for _, m in ipairs(methods) do
    local base = m.label
    if count[base] > 1 then
      seen[base] = (seen[base] or 0) + 1
      local weights = fields(m.runs[1].evaluation).weights
      m.label = string.format("%s (%s)", base, weights and tostring(weights) or seen[base])
    end
  end
  local known = {}
  for i, m in ipairs(methods) do
    if known[m.label] then m.label = string.format("%s #%d", m.label, i) end
    known[m.label] = true
  end
  return methods
end

--- Archives { { run, path }, … } as methods in the order of their first run: { label, runs, paths, seeds }.
function comparison.methods(list)
  local methods, by_key = {}, {}
  for _, one in ipairs(list) do
    local key = key_of(one.run)
    local m = by_key[key]
    if not m then
      m = { runs = {}, paths = {}, seeds = {} }
      by_key[key], methods[#methods + 1] = m, m
    end
    table.insert(m.runs, one.run)
    table.insert(m.paths, one.path)
    table.insert(m.seeds, one.run.seed)
  end
  for _, m in ipairs(methods) do m.label = label_of(m.runs[1], #m.runs > 1) end
  return distinct(methods)
end

-- Rows like those of one run, whose metrics are the means over a method's runs (where all have one).
local function mean_rows(method, metrics)
  local rows, all = {}, {}
  for r, run in ipairs(method.runs) do all[r] = results.rows(run) end
  for i, row in ipairs(all[1]) do
    local copy = {}
    for name, x in pairs(row) do copy[name] = x end
    for _, metric in ipairs(metrics) do
      local values = {}
      for r = 1, #all do
        local x = all[r][i][metric.name]
        if results.finite(x) then values[#values + 1] = metric.better == "zero" and math.abs(x) or x end
      end
      copy[metric.name] = #values == #all and statistics.mean(values) or nil
    end
    rows[i] = copy
  end
  return rows
end

-- Those that every run says something of.
local function common_metrics(list)
  local shared = {}
  for i, one in ipairs(list) do
    local here = {}
    for _, metric in ipairs(results.metrics(one.run)) do here[metric.name] = metric end
    if i == 1 then
      shared = results.metrics(one.run)
    else
      local kept = {}
      for _, metric in ipairs(shared) do
        local other = here[metric.name]
        if other and other.better == metric.better then kept[#kept + 1] = metric end
      end
      shared = kept
    end
  end
  return shared
end

-- Spread between the seeds' means; nil for one seed.
local function spread_of(method, metric)
  local means = {}
  for _, run in ipairs(method.runs) do means[#means + 1] = results.describe(results.rows(run), metric.name).mean end
  return statistics.sd(means)
end

local function tolerance_of(metric)
  return metric.unit == "mm" and comparison.TOLERANCE_MM or comparison.TOLERANCE
end

-- A method against another in one metric. Differences are method less reference; what is better counts as a win.
local function difference(method, reference, metric)
  local rows, gains, left_out = {}, {}, 0
  local sign = metric.better == "higher" and 1 or -1
  for i, row in ipairs(method.rows) do
    local a, b = row[metric.name], reference.rows[i][metric.name]
    if a and b then
      rows[#rows + 1] = { patient = row.patient, value = a - b }
      gains[#gains + 1] = sign * (a - b)
    else
      left_out = left_out + 1
    end
  end
  if #rows == 0 then return nil end
  local of_patients = statistics.by_patient(rows)
  for i, x in ipairs(of_patients) do of_patients[i] = sign * x end
  local test, found = statistics.wilcoxon(of_patients), statistics.wins(gains, tolerance_of(metric))
  local sum = 0
  for _, row in ipairs(rows) do sum = sum + row.value end
  found.method, found.reference, found.metric = method.label, reference.label, metric.name
  found.count, found.left_out, found.patients, found.mean = #rows, left_out, #of_patients, sum / #rows
  found.interval, found.tolerance = statistics.interval(rows), tolerance_of(metric)
  found.p, found.test, found.effect, found.dz = test.p, test.method, test.effect, statistics.cohen_dz(of_patients)
  return found
end

local function best_of(methods)
  local best
  for _, m in ipairs(methods) do
    local mean = m.metrics.dice and m.metrics.dice.mean
    if mean and (not best or mean > best.metrics.dice.mean) then best = m end
  end
  return best or methods[1]
end

local function reference_of(methods, wanted)
  if not wanted then return methods[1] end
  if wanted == "best" then return best_of(methods) end
  local names = {}
  for i, m in ipairs(methods) do
    if m.label == wanted then return m end
    names[i] = m.label
  end
  return nil, problem.new("usage", string.format("'%s' is none of the methods: %s", wanted, table.concat(names, ", ")))
end

--- Compares archives { { run, path }, … } that comparison.check lets pass. o: { reference = label of a method, "best"
--- by Dice, or nil for the first }. Returns { list = the archives, folds as one, metrics = list, methods = { { label,
--- seeds, paths, runs, rows, metrics = { [name] = what results.describe gives, and spread between seeds } }, … },
--- reference = label, differences = list of { method, metric, mean, interval, p, p_holm, effect, dz, wins, ties,
--- losses, tolerance, count, left_out, patients, test }, cases, patients, readers, readers_count }, or nil and a
--- problem. The p values of all differences are one family.
function comparison.of(list, o)
  local fine, err
  list, err = folds.pooled(list)
  if not list then return nil, err end
  fine, err = comparison.check(list)
  if not fine then return nil, err end
  local metrics, methods = common_metrics(list), comparison.methods(list)
  for _, m in ipairs(methods) do
    m.rows, m.metrics = mean_rows(m, metrics), {}
    for _, metric in ipairs(metrics) do
      m.metrics[metric.name] = results.describe(m.rows, metric.name, { median = true })
      m.metrics[metric.name].spread = spread_of(m, metric)
    end
  end
  local reference
  reference, err = reference_of(methods, o and o.reference)
  if not reference then return nil, err end
  local differences, p = {}, {}
  for _, metric in ipairs(metrics) do
    for _, m in ipairs(methods) do
      local d = m ~= reference and difference(m, reference, metric)
      if d then differences[#differences + 1], p[#p + 1] = d, d.p end
    end
  end
  for i, adjusted in ipairs(statistics.holm(p)) do differences[i].p_holm = adjusted end
  local dice = results.describe(methods[1].rows, "dice")
  return { list = list, metrics = metrics, methods = methods, reference = reference.label, differences = differences,
    cases = #methods[1].rows, patients = dice.patients, readers = dice.readers, readers_count = dice.readers_count }
end

return comparison
