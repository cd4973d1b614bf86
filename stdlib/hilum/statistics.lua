-- What can be said of numbers measured on nodules, where several nodules may be of one patient and are not independent.
--
-- Intervals resample patients with all of their nodules; tests of pairs run on one number for each patient. All of it
-- depends on its arguments alone: what is drawn comes from a seeded stream for each replicate.

local engine = require "hilum.engine"

local statistics = {}

statistics.REPLICATES, statistics.LEVEL, statistics.SEED = 2000, 0.95, 1

local EXACT = 50 -- differences up to which the signed-rank test counts all signs

-- ---- describing ----

function statistics.mean(values)
  local sum = 0
  for _, x in ipairs(values) do sum = sum + x end
  return #values > 0 and sum / #values or nil
end

local function sorted(values)
  local list = table.move(values, 1, #values, 1, {})
  table.sort(list)
  return list
end

-- Of a sorted list.
local function quantile(list, p)
  local at = 1 + (#list - 1) * p
  local low = math.floor(at)
  local high = math.min(low + 1, #list)
  return list[low] + (at - low) * (list[high] - list[low])
end

--- The value below which the share p of the values lies, linear between neighbours (type 7 of Hyndman and Fan 1996,
--- numpy's default); nil of none.
function statistics.quantile(values, p)
  return #values > 0 and quantile(sorted(values), p) or nil
end

function statistics.median(values)
  return statistics.quantile(values, 0.5)
end

--- Standard deviation with n - 1; nil for fewer than two.
function statistics.sd(values)
  local n, mean, sum = #values, statistics.mean(values), 0
  if n < 2 then return nil end
  for _, x in ipairs(values) do sum = sum + (x - mean) ^ 2 end
  return math.sqrt(sum / (n - 1))
end

--- { count, mean, sd, min, q1, median, q3, max } of a list of numbers; nil of none.
function statistics.summary(values)
  if #values == 0 then return nil end
  local list = sorted(values)
  return { count = #list, mean = statistics.mean(values), sd = statistics.sd(values), min = list[1],
    q1 = quantile(list, 0.25), median = quantile(list, 0.5), q3 = quantile(list, 0.75), max = list[#list] }
end

-- ---- patients ----

-- Rows { patient, value } by patient: names in order, and for each the list of its values.
local function grouped(rows)
  local names, lists = {}, {}
  for _, row in ipairs(rows) do
    if not lists[row.patient] then
      names[#names + 1], lists[row.patient] = row.patient, {}
    end
    table.insert(lists[row.patient], row.value)
  end
  table.sort(names)
  return names, lists
end

--- One number for each patient, the mean of his: a list in the order of their names, and the names.
function statistics.by_patient(rows)
  local names, lists = grouped(rows)
  local means = {}
  for i, name in ipairs(names) do means[i] = statistics.mean(lists[name]) end
  return means, names
end

-- How often each of n patients is drawn in each replicate, one row after the other. Many columns are of the same
-- patients: what was drawn is kept while there is room.
local draws_kept = setmetatable({}, { __mode = "v" })

local function draws_of(n, replicates, seed)
  local key = string.format("%d %d %d", n, replicates, seed)
  local drawn = draws_kept[key]
  if drawn then return drawn end
  drawn = {}
  for i = 1, n * replicates do drawn[i] = 0 end
  for k = 1, replicates do
    local r, before = engine.rng(seed, "bootstrap", 0, k), (k - 1) * n
    for _ = 1, n do
      local i = before + r:below(n) + 1
      drawn[i] = drawn[i] + 1
    end
  end
  draws_kept[key] = drawn
  return drawn
end

-- Each of a resample's statistics is worked out from how often each patient was drawn, without copying values: drawn
-- behind `before`.
local of = {}

function of.mean(names, lists)
  local sums, counts = {}, {}
  for i, name in ipairs(names) do
    local sum = 0
    for _, x in ipairs(lists[name]) do sum = sum + x end
    sums[i], counts[i] = sum, #lists[name]
  end
  return function(drawn, before)
    local sum, count = 0, 0
    for i = 1, #sums do
      local times = drawn[before + i]
      sum, count = sum + times * sums[i], count + times * counts[i]
    end
    return sum / count
  end
end

function of.median(names, lists)
  local list, counts = {}, {}
  for i, name in ipairs(names) do
    counts[i] = #lists[name]
    for _, x in ipairs(lists[name]) do list[#list + 1] = { x, i } end
  end
  table.sort(list, function(a, b)
    if a[1] ~= b[1] then return a[1] < b[1] end
    return a[2] < b[2]
  end)
  local values, owners = {}, {}
  for k, v in ipairs(list) do values[k], owners[k] = v[1], v[2] end
  return function(drawn, before)
    local total, seen, k = 0, 0, 0
    for i = 1, #counts do total = total + drawn[before + i] * counts[i] end
    local function reach(place)
      while seen < place do
        k = k + 1
        seen = seen + drawn[before + owners[k]]
      end
      return values[k]
    end
    local low = reach((total + 1) // 2)
    return (low + reach(total // 2 + 1)) / 2
  end
end

--- Interval of the mean or median of rows { patient, value } by the bootstrap over patients: each replicate draws as
--- many patients as there are, with replacement, each with all of his values; the interval holds the middle of the
--- replicates' statistics (percentile method: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13;
--- whole clusters: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8).
--- o: { of = "mean" or "median", replicates = 2000, level = 0.95, seed = 1 }. Returns { low, high, patients }; nil for
--- fewer than two patients: nothing is known of how patients differ.
function statistics.interval(rows, o)
  o = o or {}
  local names, lists = grouped(rows)
  local n, replicates = #names, o.replicates or statistics.REPLICATES
  if n < 2 then return nil end
  local statistic, found = of[o.of or "mean"](names, lists), {}
  local drawn = draws_of(n, replicates, o.seed or statistics.SEED)
  for k = 1, replicates do found[k] = statistic(drawn, (k - 1) * n) end
  table.sort(found)
  local tail = (1 - (o.level or statistics.LEVEL)) / 2
  return { low = quantile(found, tail), high = quantile(found, 1 - tail), patients = n }
end

-- ---- tests of pairs ----

-- 2/√π Σ …: the error function for small x; all terms have one sign.
local function erf_series(x)
  local term, sum, n = x, x, 0
  repeat
    n = n + 1
    term = term * 2 * x * x / (2 * n + 1)
    sum = sum + term
  until term <= sum * 1e-17
  return 2 / math.sqrt(math.pi) * math.exp(-x * x) * sum
end

-- The complementary error function for x of 2 and more, by its continued fraction.
local function erfc_fraction(x)
  local tail = x
  for k = 80, 1, -1 do tail = x + k / 2 / tail end
  return math.exp(-x * x) / math.sqrt(math.pi) / tail
end

--- Probability that a standard normal number is above z.
function statistics.normal_above(z)
  local x = math.abs(z) / math.sqrt(2)
  local above = (x < 2 and 1 - erf_series(x) or erfc_fraction(x)) / 2
  return z >= 0 and above or 1 - above
end

-- Ranks of the absolute values, the mean of their places for equal ones; and Σ t³ - t over groups of equals.
local function ranked(values)
  local order, ranks, ties = {}, {}, 0
  for i in ipairs(values) do order[i] = i end
  table.sort(order, function(a, b) return math.abs(values[a]) < math.abs(values[b]) end)
  local i = 1
  while i <= #order do
    local last = i
    while last < #order and math.abs(values[order[last + 1]]) == math.abs(values[order[i]]) do last = last + 1 end
    for k = i, last do ranks[order[k]] = (i + last) / 2 end
    local t = last - i + 1
    ties, i = ties + t ^ 3 - t, last + 1
  end
  return ranks, ties
end

-- Two-sided: twice the smaller tail of the sum of the positive ranks over all 2ⁿ choices of signs. Ranks are halves, so
-- twice the ranks are counted.
local function exact_p(ranks, positive)
  local total = 0
  for _, r in ipairs(ranks) do total = total + math.floor(2 * r + 0.5) end
  local ways = { [0] = 1.0 }
  for s = 1, total do ways[s] = 0.0 end
  for _, r in ipairs(ranks) do
    local step = math.floor(2 * r + 0.5)
    for s = total, step, -1 do ways[s] = ways[s] + ways[s - step] end
  end
  local at, below, above = math.floor(2 * positive + 0.5), 0, 0
  for s = 0, total do
    if s <= at then below = below + ways[s] end
    if s >= at then above = above + ways[s] end
  end
  return math.min(1.0, 2 * math.min(below, above) / 2.0 ^ #ranks)
end

local function normal_p(n, ties, positive)
  local mean, variance = n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24 - ties / 48
  return math.min(1.0, 2 * statistics.normal_above(math.abs(positive - mean) / math.sqrt(variance)))
end

--- Wilcoxon's signed-rank test of a list of differences (Biometrics Bulletin 1, 1945), two-sided. Differences of 0 are
--- left out, equal sizes share the mean of their ranks. Up to 50 differences p is exact, ties included; above, it is
--- the normal approximation with the correction for ties and none for continuity. Returns { p, method = "exact" or
--- "normal", count (without zeros), zeros, positive, negative (sums of ranks), effect }; effect: the matched-pairs
--- rank-biserial correlation (positive - negative) / (positive + negative), -1 … 1 (Kerby, Comprehensive Psychology 3,
--- 2014). Where all differences are 0: p 1, effect 0, method "none".
function statistics.wilcoxon(differences)
  local values, zeros = {}, 0
  for _, d in ipairs(differences) do
    if d == 0 then zeros = zeros + 1 else values[#values + 1] = d end
  end
  local n = #values
  if n == 0 then
    return { p = 1.0, method = "none", count = 0, zeros = zeros, positive = 0.0, negative = 0.0, effect = 0.0 }
  end
  local ranks, ties = ranked(values)
  local positive, negative = 0.0, 0.0
  for i, d in ipairs(values) do
    if d > 0 then positive = positive + ranks[i] else negative = negative + ranks[i] end
  end
  local exact = n <= EXACT
  return { p = exact and exact_p(ranks, positive) or normal_p(n, ties, positive),
    method = exact and "exact" or "normal", count = n, zeros = zeros, positive = positive, negative = negative,
    effect = (positive - negative) / (positive + negative) }
end

--- Cohen's d of paired differences: their mean over their standard deviation (d_z: Lakens, Frontiers in Psychology 4,
--- 2013); nil for fewer than two or where they do not differ.
function statistics.cohen_dz(differences)
  local sd = statistics.sd(differences)
  return sd and sd > 0 and statistics.mean(differences) / sd or nil
end

--- P values of one family, adjusted so that all of them together err with the stated probability (Holm, Scandinavian
--- Journal of Statistics 6, 1979): a list in the same order.
function statistics.holm(p_values)
  local order, adjusted, largest = {}, {}, 0
  for i in ipairs(p_values) do order[i] = i end
  table.sort(order, function(a, b)
    if p_values[a] ~= p_values[b] then return p_values[a] < p_values[b] end
    return a < b
  end)
  for k, i in ipairs(order) do
    largest = math.max(largest, math.min(1.0, (#order - k + 1) * p_values[i]))
    adjusted[i] = largest
  end
  return adjusted
end

--- How many differences are above, within and below a tolerance: { wins, ties, losses }.
function statistics.wins(differences, tolerance)
  local found = { wins = 0, ties = 0, losses = 0 }
  for _, d in ipairs(differences) do
    local what = d > tolerance and "wins" or d < -tolerance and "losses" or "ties"
    found[what] = found[what] + 1
  end
  return found
end

return statistics
