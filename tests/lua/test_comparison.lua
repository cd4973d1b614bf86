-- Results of runs and their comparison, on runs made by hand: means, strata, differences, methods of several seeds, and
-- everything that must not be compared.

local t = require "tap"
local comparison = require "hilum.comparison"
local results = require "hilum.results"

-- Ten cases of five patients that validate, one that trained; Dice is base + 0.01 · number.
local function run_of(name, base, o)
  o = o or {}
  local run = {
    name = name, seed = o.seed or 1, state = { finished = true }, data = { hash = ("a"):rep(64), protocol = "balls" },
    experiment = string.format('local hl = require "hilum"\nreturn hl.experiment { name = "%s", seed = %d, k = "%s" }',
      name, o.seed or 1, o.kind or name),
    split = { train = { "p9" }, validation = { "p1", "p2", "p3", "p4", "p5" } },
    metrics = { dice = { better = "higher" }, assd_mm = { better = "lower" }, volume_error = { better = "zero" } },
    cases = {},
  }
  for i = 1, 10 do
    run.cases[i] = { id = "c" .. i, patient = "p" .. (i + 1) // 2, role = "validation", diameter_mm = 2.0 * i,
      readers = 2 + i % 3, texture = i % 5 + 1.0, interreader = 0.8, dice = base + 0.01 * i + (o.step or 0) * i,
      assd_mm = 2 - base, volume_error = (i % 2 == 0 and 1 or -1) * (1 - base), truth_mm3 = 10.0,
      predicted_mm3 = i == 3 and 0.0 or 9.0 }
  end
  run.cases[11] = { id = "c11", patient = "p9", role = "train", dice = 0.0, diameter_mm = 3.0 }
  return run
end

local function archive(name, base, o) return { run = run_of(name, base, o), path = name .. ".h5" } end

-- ---- one run ----

local a = run_of("a", 0.5)
local rows = results.rows(a)
t.is(#rows, 10, "what trained does not count")
local d = results.describe(rows, "dice", { median = true })
t.near(d.mean, 0.555, 1e-12, "the mean")
t.near(d.median, 0.555, 1e-12, "the median")
t.is(d.patients, 5, "of five patients")
t.near(d.patient_mean, 0.555, 1e-12, "and theirs")
t.near(d.readers, 0.8, 1e-12, "with the readers' own")
t.ok(d.interval.low > 0.515 and d.interval.low < d.mean and d.interval.high < 0.595, "within an interval")
t.ok(d.median_interval.low <= d.median and d.median <= d.median_interval.high, "and one of the median")
t.same(results.empty(rows), { truth = 0, prediction = 1 }, "empty masks are counted")
rows[2].dice, rows[2].interreader = nil, nil
d = results.describe(rows, "dice")
t.ok(d.count == 9 and d.undefined == 1 and d.readers_count == 9, "what is not defined is counted")
t.same(results.describe(rows, "nothing"), { count = 0, undefined = 10, patients = 0 }, "nothing known")

local names = {}
for i, m in ipairs(results.metrics(a)) do names[i] = m.name .. ":" .. m.better .. ":" .. tostring(m.unit) end
t.same(names, { "dice:higher:nil", "assd_mm:lower:mm", "volume_error:zero:nil" }, "metrics, the Dice first")
t.same(results.metrics {}, { { name = "dice", better = "higher" } }, "a run that does not say: the Dice")

-- Diameters are 2, 4, 6, … 20: an edge belongs to the band above it.
local strata = {}
for _, s in ipairs(results.strata(results.rows(run_of("a", 0.5)), "dice")) do strata[s.column] = s end
local function bands(s)
  local list = {}
  for i, b in ipairs(s.bands) do list[i] = b.label .. ": " .. b.count end
  return list
end
t.same(bands(strata.diameter_mm), { "< 6 mm: 2", "6 to < 10 mm: 2", "10 to < 20 mm: 5", "≥ 20 mm: 1" }, "by size")
t.same(bands(strata.readers), { "2: 3", "3: 4", "4: 3" }, "by readers")
t.same(bands(strata.texture), { "1 to 2: non-solid: 4", "2.5 to 3.5: part-solid: 2", "4 to 5: solid: 4" }, "by texture")
t.is(strata.margin, nil, "what nobody rated is left out")
t.is(strata.diameter_mm.bands[4].interval, nil, "one patient has no interval")
t.near(strata.diameter_mm.bands[1].readers, 0.8, 1e-12, "the readers beside each")
do
  local without = run_of("a", 0.5)
  for i, row in ipairs(without.cases) do row.diameter_mm, row.truth_voxels = nil, 10 * i end
  t.same(bands(results.strata(results.rows(without), "dice")[1]), { "< 40 voxels: 3", "40 to < 70 voxels: 3",
    "≥ 70 voxels: 4" }, "without a diameter by thirds of the voxels")
end
do -- an archive may hold anything
  local odd = run_of("a", 0.5)
  odd.cases[1].dice, odd.cases[2].patient, odd.cases[3] = "0.9", nil, 7
  odd.cases[4].texture, odd.cases[5].dice = "solid", 0 / 0
  t.is(results.describe(results.rows(odd), "dice").count, 6, "only what has its form counts")
  t.ok(results.strata(results.rows(odd), "dice"), "and nothing breaks")
end

do -- whole scans: c1 … c10 are scans, one lesion in each; six are found, two candidates are none
  local whole = run_of("a", 0.5)
  whole.lesions, whole.false_positives = {}, { { case = "c1", patient = "p1", score = 0.7 },
    { case = "c2", patient = "p1", score = 0.9 }, { case = "c11", patient = "p9", score = 1.0 } }
  for i, row in ipairs(whole.cases) do
    row.false_positives = i <= 2 and 1 or 0
    whole.lesions[i] = { case = row.id, patient = row.patient, found = i <= 6, dice = i <= 6 and 0.5 or 0.0,
      score = i <= 6 and (i <= 3 and 0.95 or 0.8) or nil }
  end
  local l = results.lesions(whole, results.rows(whole))
  t.ok(l.scans == 10 and l.lesions == 10 and l.found == 6, "lesions of the scans that count")
  t.near(l.sensitivity, 0.6, 1e-12, "the share that is found")
  t.near(l.dice, 0.3, 1e-12, "the Dice of all, found or not")
  t.near(l.false_positives.mean, 0.2, 1e-12, "false positives in a scan")
  -- At no false positive 0.3 are found (scores above 0.9), at 0.1 a scan 0.6: between them the line at 1/8 is 0.6.
  t.near(l.score, 0.6, 1e-12, "the mean sensitivity at LUNA16's rates")
  t.ok(l.score_interval.low < 0.6 and l.score_interval.high > 0.6, "within an interval")
  t.is(results.lesions(run_of("a", 0.5), rows), nil, "crops know no lesions")
end

-- ---- two methods ----

local c = assert(comparison.of { archive("a", 0.5), archive("b", 0.6) })
t.is(#c.methods, 2, "two methods")
t.is(c.reference, "a", "the first is the reference")
t.is(c.cases, 10, "on the cases that validate")
local by = {}
for _, one in ipairs(c.differences) do by[one.metric] = one end
t.near(by.dice.mean, 0.1, 1e-12, "a difference")
t.is(by.dice.p, 2 / 2 ^ 5, "five patients of five")
t.near(by.dice.p_holm, 3 * 2 / 2 ^ 5, 1e-12, "corrected over three metrics")
t.is(by.dice.effect, 1.0, "the whole effect")
t.same({ by.dice.wins, by.dice.ties, by.dice.losses }, { 10, 0, 0 }, "and all wins")
t.near(by.assd_mm.mean, -0.1, 1e-12, "a distance that is lower")
t.is(by.assd_mm.effect, 1.0, "speaks for the method")
t.is(by.assd_mm.tolerance, 0.1, "its tolerance is in mm")
t.near(by.volume_error.mean, -0.1, 1e-12, "errors count by their size")
t.is(by.volume_error.wins, 10, "the smaller is better")
c = assert(comparison.of({ archive("a", 0.5), archive("b", 0.6) }, { reference = "best" }))
t.is(c.reference, "b", "or the best is the reference")
t.ok(c.differences[1].mean < 0 and c.differences[1].losses == 10, "to which the other loses")
local none, why = comparison.of({ archive("a", 0.5), archive("b", 0.6) }, { reference = "c" })
t.ok(none == nil and why.code == "usage", "a reference that is none")
t.like(why.message, "'c' is none of the methods: a, b", "is told the names")

do -- the same twice
  c = assert(comparison.of { archive("a", 0.5), archive("b", 0.5) })
  t.is(c.differences[1].p, 1.0, "no difference, no proof")
  t.same({ c.differences[1].wins, c.differences[1].ties }, { 0, 10 }, "all ties")
  t.is(c.differences[1].dz, nil, "and no effect in deviations")
end
do -- a case that one of them says nothing of
  local b = archive("b", 0.6)
  b.run.cases[1].assd_mm = nil
  c = assert(comparison.of { archive("a", 0.5), b })
  for _, one in ipairs(c.differences) do by[one.metric] = one end
  t.ok(by.assd_mm.count == 9 and by.assd_mm.left_out == 1, "is left out and counted")
  b.run.metrics.assd_mm = nil
  c = assert(comparison.of { archive("a", 0.5), b })
  t.is(#c.metrics, 2, "a metric that one of them lacks is not compared")
end

-- ---- several seeds ----

c = assert(comparison.of { archive("m_seed-1", 0.5, { seed = 1, kind = "m" }), archive("x", 0.55),
  archive("m_seed-2", 0.6, { seed = 2, kind = "m" }) })
t.is(#c.methods, 2, "seeds of one experiment are one method")
t.is(c.methods[1].label, "m", "named without the seed")
t.same(c.methods[1].seeds, { 1, 2 }, "it knows its seeds")
t.near(c.methods[1].metrics.dice.mean, 0.605, 1e-12, "a case's value is the mean of the seeds")
t.near(c.methods[1].metrics.dice.spread, 0.1 / math.sqrt(2), 1e-12, "with the spread between them")
t.is(c.methods[2].metrics.dice.spread, nil, "one seed has none")
c = assert(comparison.of { archive("m", 0.5, { kind = "x" }), archive("m", 0.6, { kind = "y" }) })
t.ok(c.methods[1].label ~= c.methods[2].label, "two methods of one name are told apart")

-- ---- folds ----

do
  -- Two folds of the same ten cases: the first five validate in one, the others in the other.
  local function fold(name, n, base)
    local one = archive(string.format("%s_fold-%d", name, n), base)
    one.run.experiment = string.format('name = "%s_fold-%d", k = "%s", split = { folds = 2, fold = %d }', name, n,
      name, n)
    for i, row in ipairs(one.run.cases) do row.role = i <= 10 and (i <= 5) == (n == 1) and "validation" or "train" end
    one.run.split = { train = { "p" .. n }, validation = { "p" .. 10 + n } }
    return one
  end
  c = assert(comparison.of { fold("k", 1, 0.5), fold("k", 2, 0.7), fold("l", 2, 0.8), fold("l", 1, 0.6) })
  t.is(#c.methods, 2, "the folds of an experiment are one run")
  t.is(c.methods[1].label, "k", "with its name")
  t.is(c.cases, 10, "of all cases that validate in any")
  t.near(c.methods[1].metrics.dice.mean, 0.055 + 0.6, 1e-12, "each judged by the network that did not see it")
  t.near(c.differences[1].mean, 0.1, 1e-12, "and compared case by case")
  t.same(c.list[1].run.folds, { count = 2, of = 2 }, "how many there are is known")
  local _
  local twice = fold("k", 2, 0.7)
  twice.run.cases[1].role = "validation"
  _, why = comparison.of { fold("k", 1, 0.5), twice }
  t.like(why and why.message, "k_fold%-1.h5 and k_fold%-2.h5: folds of one experiment, and c1 validates in both",
    "a case in two folds")
  _, why = comparison.of { fold("k", 1, 0.5), fold("l", 2, 0.7) }
  t.like(why and why.message, "divide the patients in different ways", "folds of different experiments")
  twice.run.data.hash = "other"
  _, why = comparison.of { fold("k", 1, 0.5), twice }
  t.like(why and why.message, "folds of one experiment, and of different data", "folds of different data")
end

-- ---- what is refused ----

local function refused(change, pattern, name)
  local b = archive("b", 0.6)
  change(b.run)
  local found, err = comparison.of { archive("a", 0.5), b }
  t.is(found, nil, name)
  t.like(err and err.message, pattern, "named")
end

refused(function(r) r.data.hash = ("b"):rep(64) end,
  "a.h5 and b.h5 are of different data: its hash is aaaaaaaaaaaaaaaa… and bbbbbbbbbbbbbbbb…", "other data")
refused(function(r) r.data.protocol = "cubes" end, "different protocols:\n  balls\n  cubes", "another protocol")
refused(function(r) r.split.validation[2] = "p7" end, "validation patient 2 is p2 and p7", "another split")
refused(function(r) r.split.train[2] = "p8" end, "train patient 2 is none and p8", "another training set")
refused(function(r) table.remove(r.cases, 3) end, "validation case 3 is c3 and c4", "other cases")
refused(function(r) r.state.finished = false end, "b.h5: is not finished", "a run that goes on")
refused(function(r) r.measured = {} end, "b.h5: is a measurement", "a measurement")
refused(function(r) r.cases = nil end, "b.h5: holds no results", "a run without cases")
refused(function(r) r.evaluation = {} end, "b.h5 is an evaluation and a.h5 a training run", "another kind")
refused(function(r) r.data = 7 end, "different data: its hash is a+… and none…", "an archive that holds anything")
refused(function(r) r.split.validation[2] = "\27[2Jp" end, "and ␛%[2Jp", "a name that commands a terminal")
do
  local x, y = archive("a", 0.5), archive("b", 0.6)
  x.run.evaluation, y.run.evaluation = { weights = "best" }, { weights = "best" }
  y.run.split.train = { "p8" }
  t.ok(comparison.of { x, y }, "networks trained on different patients may be compared on patients of neither")
end

t.done()
