-- Free-response ROC of detections, and the score of the LUNA16 challenge.
--
-- LUNA16's rule (A. A. A. Setio et al., "Validation, comparison, and combination of algorithms for automatic detection
-- of pulmonary nodules in computed tomography images", Medical Image Analysis 42, 2017): a candidate hits a nodule if
-- it lies closer to its centre than half its diameter; the best-scored hit of a nodule counts, further ones neither
-- way; candidates on findings to be ignored are dropped; all others are false positives. Sensitivity is over all
-- nodules, the false-positive rate over all scans, those without nodules too.

local engine = require "hilum.engine"
local statistics = require "hilum.statistics"

local froc = {}

froc.LUNA16_RATES = { 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8 }

local function squared_distance(a, b)
  return (a[1] - b[1]) ^ 2 + (a[2] - b[2]) ^ 2 + (a[3] - b[3]) ^ 2
end

local function by_scan(list)
  local found = {}
  for i, one in ipairs(list) do
    found[one.scan] = found[one.scan] or {}
    table.insert(found[one.scan], i)
  end
  return found
end

-- The nodule that a candidate hits, the nearest of several; "ignored" for a finding that does not count; or nil.
local function target(candidate, nodules, here)
  local best, nearest = nil, math.huge
  for _, i in ipairs(here or {}) do
    local d = squared_distance(candidate.at_mm, nodules[i].centre_mm)
    if d < (nodules[i].diameter_mm / 2) ^ 2 and d < nearest then best, nearest = i, d end
  end
  if best and nodules[best].ignored then return "ignored" end
  return best
end

--- Matches candidates { scan, at_mm, score } to nodules { scan, centre_mm, diameter_mm, ignored } by LUNA16's rule.
--- Returns { hits = score of the best candidate of each nodule that counts (-inf without one), false_positives =
--- scores }.
function froc.match(candidates, nodules)
  local places, hits, order, wrong = by_scan(nodules), {}, {}, {}
  for i, nodule in ipairs(nodules) do
    if not nodule.ignored then
      order[#order + 1] = i
      hits[i] = -math.huge
    end
  end
  for _, c in ipairs(candidates) do
    local found = target(c, nodules, places[c.scan])
    if not found then
      wrong[#wrong + 1] = c.score
    elseif found ~= "ignored" then
      hits[found] = math.max(hits[found], c.score)
    end
  end
  local list = {}
  for k, i in ipairs(order) do list[k] = hits[i] end
  return { hits = list, false_positives = wrong }
end

local function at_least(sorted, threshold) -- sorted descending
  local n = 0
  while n < #sorted and sorted[n + 1] >= threshold do n = n + 1 end
  return n
end

--- The curve of matched scores: { { threshold, rate = false positives in a scan, sensitivity } … }, thresholds
--- ascending, each distinct score, and at the end { threshold = inf, rate = 0, sensitivity = 0 }.
function froc.curve(hits, false_positives, scans)
  local a = table.move(hits, 1, #hits, 1, {})
  local b = table.move(false_positives, 1, #false_positives, 1, {})
  local function falling(x, y) return x > y end
  table.sort(a, falling)
  table.sort(b, falling)
  local thresholds, known = {}, {}
  for _, list in ipairs { a, b } do
    for _, x in ipairs(list) do
      if not known[x] and x > -math.huge then thresholds[#thresholds + 1] = x end
      known[x] = true
    end
  end
  table.sort(thresholds)
  local curve = {}
  for i, x in ipairs(thresholds) do
    curve[i] = { threshold = x, rate = at_least(b, x) / scans, sensitivity = #a > 0 and at_least(a, x) / #a or 0 }
  end
  curve[#curve + 1] = { threshold = math.huge, rate = 0, sensitivity = 0 }
  return curve
end

--- Sensitivity at a rate of false positives: linear between the curve's points, of several at one rate the most
--- sensitive; beyond the ends that of the end.
function froc.sensitivity_at(curve, rate)
  local best = {}
  for _, p in ipairs(curve) do best[p.rate] = math.max(best[p.rate] or 0, p.sensitivity) end
  local rates = {}
  for r in pairs(best) do rates[#rates + 1] = r end
  table.sort(rates)
  if rate <= rates[1] then return best[rates[1]] end
  for i = 2, #rates do
    local low, high = rates[i - 1], rates[i]
    if rate <= high then return best[low] + (rate - low) / (high - low) * (best[high] - best[low]) end
  end
  return best[rates[#rates]]
end

--- LUNA16's score: the mean sensitivity at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false positives in a scan; and these.
function froc.score(curve, rates)
  local list, sum = {}, 0
  for i, rate in ipairs(rates or froc.LUNA16_RATES) do
    list[i] = froc.sensitivity_at(curve, rate)
    sum = sum + list[i]
  end
  return sum / #list, list
end

-- ---- its interval ----

-- Scores in falling order, each with the place of its scan and whether it is a hit.
local function falling(o, place)
  local list = {}
  for kind, scores in pairs { hit = o.hits, wrong = o.false_positives } do
    for _, one in ipairs(scores) do
      if one.score > -math.huge then
        list[#list + 1] = { score = one.score, scan = place[one.scan], hit = kind == "hit" }
      end
    end
  end
  table.sort(list, function(a, b)
    if a.score ~= b.score then return a.score > b.score end
    return a.scan < b.scan
  end)
  return list
end

-- The corners of the curve when each scan counts as often as it was drawn: rates rising, the best sensitivity of each.
local function corners(list, drawn, lesions, scans)
  local rates, sensitivities, n, hits, wrong = { 0 }, { 0 }, 1, 0, 0
  for i, one in ipairs(list) do
    local times = drawn[one.scan]
    if one.hit then hits = hits + times else wrong = wrong + times end
    local next_one = list[i + 1]
    if not next_one or next_one.score ~= one.score then
      local rate = wrong / scans
      if rate > rates[n] then n = n + 1 end
      rates[n], sensitivities[n] = rate, hits / lesions
    end
  end
  return rates, sensitivities
end

local function mean_between(rates, sensitivities, wanted)
  local sum, k = 0, 1
  for _, rate in ipairs(wanted) do
    while rates[k + 1] and rates[k + 1] < rate do k = k + 1 end
    local low, high = rates[k], rates[k + 1]
    local share = high and rate > low and (rate - low) / (high - low) or 0
    sum = sum + sensitivities[k] + share * ((sensitivities[k + 1] or 0) - sensitivities[k])
  end
  return sum / #wanted
end

--- Interval of the score by the bootstrap over scans, each drawn with its lesions and false positives (LUNA16's way;
--- percentile method). o: { scans = list of names, hits = list of { scan, score = -inf for a lesion that is not found
--- }, false_positives = the same, replicates = 1000, level = 0.95, seed = 1, rates }. Returns { low, high }, or nil for
--- fewer than two scans. Replicates without any lesion are left out.
function froc.interval(o)
  local n, place, of_scan, found = #o.scans, {}, {}, {}
  if n < 2 then return nil end
  for i, scan in ipairs(o.scans) do place[scan], of_scan[i] = i, 0 end
  for _, one in ipairs(o.hits) do of_scan[place[one.scan]] = of_scan[place[one.scan]] + 1 end
  local list = falling(o, place)
  for k = 1, o.replicates or 1000 do
    local r, drawn, lesions = engine.rng(o.seed or 1, "froc", 0, k), {}, 0
    for i = 1, n do drawn[i] = 0 end
    for _ = 1, n do
      local i = r:below(n) + 1
      drawn[i], lesions = drawn[i] + 1, lesions + of_scan[i]
    end
    if lesions > 0 then
      local rates, sensitivities = corners(list, drawn, lesions, n)
      found[#found + 1] = mean_between(rates, sensitivities, o.rates or froc.LUNA16_RATES)
    end
  end
  local tail = (1 - (o.level or 0.95)) / 2
  return { low = statistics.quantile(found, tail), high = statistics.quantile(found, 1 - tail) }
end

return froc
