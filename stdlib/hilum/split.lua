-- Who trains and who validates: by patient, seeded, the same for the same cases in any order.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local split = {}

-- The distinct patients in the order of their names.
local function patients_of(cases)
  local seen, list = {}, {}
  for _, case in ipairs(cases) do
    if not seen[case.patient] then
      seen[case.patient] = true
      list[#list + 1] = case.patient
    end
  end
  table.sort(list)
  return list
end

--- Fisher–Yates with a counter-based stream: the same for the same (seed, purpose, epoch).
function split.shuffle(list, seed, purpose, epoch)
  local r = engine.rng(seed, purpose, epoch, 0)
  for i = #list, 2, -1 do
    local j = r:below(i) + 1
    list[i], list[j] = list[j], list[i]
  end
  return list
end

--- How many of n patients train: round(fraction · n), but at least one and at most n - 1.
function split.count(n, rule)
  return math.max(1, math.min(n - 1, math.floor(rule.train * n + 0.5)))
end

--- Divides cases (each has .patient) by the rule { train = fraction, by = "patient" }. Returns
--- { train = { patients }, validation = { patients }, train_cases = { indices }, validation_cases =
--- { indices } }, indices ascending; or nil and a problem.
function split.cases(cases, rule, seed)
  local patients = patients_of(cases)
  local n = #patients
  if n < 2 then
    return nil, problem.new("data", string.format(
      "the data holds %d case%s of %d patient%s; training and validation need at least two patients", #cases,
      #cases == 1 and "" or "s", n, n == 1 and "" or "s"))
  end
  split.shuffle(patients, seed, "split", 0)
  local count = split.count(n, rule)
  local trains = {}
  for i = 1, count do trains[patients[i]] = true end
  local result = {
    train = table.move(patients, 1, count, 1, {}), validation = table.move(patients, count + 1, n, 1, {}),
    train_cases = {}, validation_cases = {},
  }
  table.sort(result.train)
  table.sort(result.validation)
  for i, case in ipairs(cases) do
    local side = trains[case.patient] and result.train_cases or result.validation_cases
    side[#side + 1] = i
  end
  return result
end

return split
