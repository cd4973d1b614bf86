-- Statistics against scipy 1.17.1 (numbers in `reference`, made by the calls beside them) and against cases whose
-- answer is known.

local t = require "tap"
local engine = require "hilum.engine"
local statistics = require "hilum.statistics"

-- ---- describing ----

t.is(statistics.mean {}, nil, "no mean of nothing")
t.is(statistics.median { 3, 1, 2 }, 2.0, "median of three")
t.is(statistics.median { 4, 1, 2, 3 }, 2.5, "median of four")
t.is(statistics.quantile({ 7 }, 0.9), 7.0, "a quantile of one value")
t.is(statistics.sd { 5 }, nil, "one value has no spread")
t.near(statistics.sd { 2, 4, 4, 4, 5, 5, 7, 9 }, math.sqrt(32 / 7), 1e-15, "standard deviation with n - 1")
local s = statistics.summary { 1, 2, 3, 4, 5 }
t.same(s, { count = 5, mean = 3.0, sd = math.sqrt(2.5), min = 1, q1 = 2.0, median = 3.0, q3 = 4.0, max = 5 },
  "a summary")
t.is(statistics.summary {}, nil, "no summary of nothing")

-- ---- against scipy ----

local short = { 0.002, 0.0802, 0.0898, 0.0359, 0.0407, -0.0045, -0.0257, -0.025, -0.0299, 0.0665, 0.0172, 0.0264 }
local tied = { 0.01, 0.02, 0.02, -0.02, 0.03, -0.01, 0, 0, 0.04, 0.04, -0.04, 0.05 }
local forty = { 0.149, 0.0444, 0.1047, 0.0417, -0.0319, -0.0835, 0.0449, 0.0744, 0.1535, -0.0034, 0.0545, 0.0242,
  -0.0884, 0.0487, 0.0139, -0.0338, 0.1144, -0.0009, 0.0534, 0.0167, -0.0058, 0.0216, 0.0697, -0.0045, -0.0526, 0.1198,
  0.052, -0.018, 0.0254, -0.0482, 0.0267, 0.073, -0.0666, 0.0734, 0.0704, 0.0164, 0.0351, 0.0133, 0.0077, -0.0631 }
local long = { -0.02, -0.04, -0.05, -0.03, 0.04, 0.01, -0.01, 0, -0.06, 0.07, -0.05, 0.01, 0.12, -0.12, -0.06, -0.03,
  0.02, -0.08, 0, 0.01, 0.02, -0.11, 0.04, 0.09, 0.03, -0.03, -0.02, -0.12, 0.03, 0.09, 0.04, -0.14, -0.01, 0, -0.01,
  0.06, -0.08, -0.03, 0.04, 0.06, 0.02, 0.06, 0.04, -0.04, 0.07, -0.02, -0.07, 0.03, 0.1, 0.06, 0.06, 0.02, -0.11, 0.04,
  0.02, -0.12, -0.02, -0.03, 0.06, 0.02, 0.02, 0.02, -0.06, -0.09, 0.01, 0, 0.01, 0, -0.01, 0.04, 0.02, -0.02, -0.08,
  -0.12, -0.06, 0, 0.06, -0.01, 0.04, 0.07 }

local reference = {
  -- stats.wilcoxon(d, method="exact")
  { short, 0.10986328125, "exact", "no ties" },
  { forty, 0.009781997654499719, "exact", "40 differences" },
  -- stats.wilcoxon(d[d != 0], method=stats.PermutationMethod(n_resamples=inf))
  { tied, 0.17578125, "exact", "ties and zeros, counted out" },
  -- stats.wilcoxon(d, method="asymptotic", correction=False, zero_method="wilcox")
  { long, 0.8734719750293953, "normal", "80 differences with ties and zeros" },
}
for _, r in ipairs(reference) do
  local w = statistics.wilcoxon(r[1])
  t.near(w.p, r[2], 1e-12, "signed ranks: " .. r[4])
  t.is(w.method, r[3], "by the " .. r[3] .. " distribution")
end
t.is(statistics.wilcoxon(tied).zeros, 2, "zeros are counted")
t.near(math.min(statistics.wilcoxon(long).positive, statistics.wilcoxon(long).negative), 1358, 1e-9, "sum of ranks")

-- stats.norm.sf
for z, p in pairs { [0] = 0.5, [0.5] = 0.3085375387259869, [1] = 0.15865525393145707, [1.96] = 0.024997895148220435,
  [2.8] = 0.002555130330427932, [2.9] = 0.0018658133003840375, [4] = 3.167124183311986e-05,
  [8] = 6.22096057427174e-16, [-1.5] = 0.9331927987311419 } do
  t.near(statistics.normal_above(z) / p, 1, 1e-12, string.format("the normal distribution above %g", z))
end

t.near(statistics.cohen_dz(short), 0.5511846969569697, 1e-12, "d_z") -- d.mean() / d.std(ddof=1)
t.near(statistics.quantile(short, 0.25), -0.009625, 1e-15, "numpy's quantile")
t.near(statistics.quantile(short, 0.75), 0.04715, 1e-15, "and another")

-- stats.bootstrap((d,), f, method="percentile", n_resamples=200000): both draw, so they agree within what 2000 draws
-- leave open.
local alone = {}
for i, x in ipairs(short) do alone[i] = { patient = "p" .. i, value = x } end
local interval = statistics.interval(alone)
t.near(interval.low, 0.00089, 0.003, "the interval of a mean, below")
t.near(interval.high, 0.04553, 0.003, "and above")
interval = statistics.interval(alone, { of = "median" })
t.near(interval.low, -0.01475, 0.006, "the interval of a median, below")
t.near(interval.high, 0.0536, 0.006, "and above")

-- ---- cases whose answer is known ----

local all_up = statistics.wilcoxon { 0.1, 0.2, 0.3, 0.4, 0.5 }
t.is(all_up.p, 2 / 2 ^ 5, "five of five on one side: 2 of 32 choices of signs")
t.is(all_up.effect, 1.0, "with the largest effect")
t.is(statistics.wilcoxon({ -1, -2, -3 }).effect, -1.0, "and the smallest")
t.is(statistics.wilcoxon({ 1, -1 }).p, 1.0, "what is even proves nothing")
t.is(statistics.wilcoxon({ 1, -1 }).effect, 0.0, "and has no effect")
local none = statistics.wilcoxon { 0, 0, 0 }
t.same(none, { p = 1.0, method = "none", count = 0, zeros = 3, positive = 0.0, negative = 0.0, effect = 0.0 },
  "no difference anywhere")
t.is(statistics.cohen_dz { 1, 1, 1 }, nil, "no d_z where nothing differs")

t.same(statistics.holm { 0.01, 0.04, 0.03 }, { 0.03, 0.06, 0.06 }, "Holm: 3 · 0.01, then 2 · 0.03, never falling")
t.same(statistics.holm { 0.5, 0.9 }, { 1.0, 1.0 }, "never above 1")
t.same(statistics.holm {}, {}, "none of none")
t.same(statistics.wins({ 0.02, 0.01, 0, -0.01, -0.011 }, 0.01), { wins = 1, ties = 3, losses = 1 },
  "what differs by the tolerance is a tie")

-- ---- patients ----

local function rows_of(lists)
  local rows = {}
  for patient, values in pairs(lists) do
    for _, x in ipairs(values) do rows[#rows + 1] = { patient = patient, value = x } end
  end
  table.sort(rows, function(a, b) return a.patient < b.patient end)
  return rows
end

local means, names = statistics.by_patient(rows_of { b = { 1, 3 }, a = { 5 } })
t.same(means, { 5.0, 2.0 }, "the mean of each patient")
t.same(names, { "a", "b" }, "in the order of their names")

-- Two patients, all values alike: half of the replicates draw both, a quarter each of them twice.
interval = statistics.interval(rows_of { a = { 0, 0, 0 }, b = { 1, 1, 1 } })
t.same(interval, { low = 0.0, high = 1.0, patients = 2 }, "nodules of a patient stay together")
t.is(statistics.interval(rows_of { a = { 0, 1, 0.5 } }), nil, "one patient says nothing of how patients differ")
t.is(statistics.interval {}, nil, "nor does none")

-- Ten nodules of each patient that are all alike hold no more than one of each: the same interval; taken as
-- independent they would promise one √10 times narrower.
local one, ten, free = {}, {}, {}
for i = 1, 20 do
  local x = engine.rng(7, "test", 0, i):uniform()
  one["p" .. i], ten["p" .. i] = { x }, {}
  for k = 1, 10 do
    ten["p" .. i][k] = x
    free[string.format("p%d-%d", i, k)] = { x }
  end
end
for _, what in ipairs { "mean", "median" } do
  local a = statistics.interval(rows_of(one), { of = what })
  local b = statistics.interval(rows_of(ten), { of = what })
  t.near(a.low, b.low, 1e-12, "ten equal nodules a patient: the same " .. what .. ", below")
  t.near(a.high, b.high, 1e-12, "and above")
end
local function width(i) return i.high - i.low end
t.near(width(statistics.interval(rows_of(ten))) / width(statistics.interval(rows_of(free))), math.sqrt(10), 0.35,
  "as independent nodules they would promise √10 times more")

local seeded = statistics.interval(rows_of(one), { seed = 5 })
t.same(statistics.interval(rows_of(one), { seed = 5 }), seeded, "the same seed, the same interval")
t.ok(statistics.interval(rows_of(one), { seed = 6 }).low ~= seeded.low, "another seed, another")
local narrow = statistics.interval(rows_of(one), { level = 0.5 })
t.ok(narrow.low > seeded.low and narrow.high < seeded.high, "a lower level is narrower")

-- How often 95 % intervals hold the truth: patients with a mean of their own and one to three nodules.
local held, tries = 0, 200
for k = 1, tries do
  local r, lists = engine.rng(k, "coverage", 0, 0), {}
  for i = 1, 40 do
    local own, values = r:normal(), {}
    for j = 1, 1 + r:below(3) do values[j] = own + 0.5 * r:normal() end
    lists["p" .. i] = values
  end
  local found = statistics.interval(rows_of(lists), { replicates = 400, seed = k })
  if found.low <= 0 and 0 <= found.high then held = held + 1 end
end
t.diag(string.format("%d of %d intervals of 95 %% hold the mean (40 patients)", held, tries))
t.ok(held / tries > 0.88 and held / tries < 0.99, "95 % intervals hold the truth about that often")

t.done()
