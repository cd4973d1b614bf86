-- Free-response ROC of detections, and the score of the LUNA16 challenge.
--
-- LUNA16's rule (A. A. A. Setio et al., "Validation, comparison, and combination of algorithms for automatic detection
-- of pulmonary nodules in computed tomography images", Medical Image Analysis 42, 2017): a candidate hits a nodule if
-- it lies closer to its centre than half its diameter; the best-scored hit of a nodule counts, further ones neither
-- way; candidates on findings to be ignored are dropped; all others are false positives. Sensitivity is over all
-- nodules, the false-positive rate over all scans, those without nodules too.

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

return froc
