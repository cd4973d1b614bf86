-- Who trains and who validates: by patient, seeded, the same for the same cases in any order.
--
-- Three rules, one at a time:
--   { train = 0.8 }                   that share of the patients trains
--   { folds = 5, fold = 2 }           the patients are dealt out to 5 folds; those of the second one validate
--   { validation = { "P-7", … } }     these patients validate; or those of a file, a name on each line:
--   { validation_file = "test.txt" }

local engine = require "hilum.engine"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local schema = require "hilum.schema"

local counted = progress.counted

local split = {}

-- ---- the rule ----

local fields = {
  train = schema.optional(schema.number { above = 0, below = 1,
    doc = "share of the patients (0.8 if no other rule is given)" }),
  folds = schema.optional(schema.int { min = 2, max = 1000, doc = "how many parts take turns in validating" }),
  fold = schema.optional(schema.int { min = 1, doc = "which of them validates" }),
  validation = schema.optional(schema.list(schema.string { pattern = "[^%c]+", text = "a patient's name" },
    { min = 1, doc = "the patients who validate" })),
  validation_file = schema.optional(schema.path { doc = "their names, one on each line; # begins a remark" }),
  by = schema.one_of { "patient", default = "patient" },
}

local rules = { "train", "folds", "validation", "validation_file" }

-- The share is what counts where nothing else is said.
local function with_default(raw)
  local copy = {}
  for name, part in pairs(raw) do copy[name] = part end
  if raw.fold == nil and raw.folds == nil and raw.validation == nil and raw.validation_file == nil then
    copy.train = raw.train == nil and 0.8 or raw.train
  end
  return copy
end

local function check(rule, report)
  local given = {}
  for _, name in ipairs(rules) do
    if rule[name] ~= nil then given[#given + 1] = name end
  end
  if #given > 1 then
    report(nil, string.format("%s exclude each other: give one of them", table.concat(given, " and ")))
  elseif rule.fold and not rule.folds then
    report("folds", "missing: fold is one of how many?")
  elseif rule.folds and not rule.fold then
    report("fold", string.format("missing: which of the %d folds validates?", rule.folds))
  elseif rule.folds and rule.fold > rule.folds then
    report("fold", string.format("there are %d folds, got %d", rule.folds, rule.fold))
  end
end

--- The schema of the rule.
split.rule = schema.record { doc = "who trains and who validates", default = {}, fields = fields,
  prepare = with_default, check = check }

-- ---- the patients ----
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

--- How many of n patients train: of a share round(share · n), but at least one and at most n - 1; nil where a list of
--- names says it.
function split.count(n, rule)
  if rule.folds then return n - (n + rule.folds - rule.fold) // rule.folds end
  if not rule.train then return nil end
  return math.max(1, math.min(n - 1, math.floor(rule.train * n + 0.5)))
end

local function refuse(text, ...)
  return nil, problem.new("data", string.format(text, ...))
end

-- ---- each rule: the set of patients who validate, or nil and a problem ----

-- The shuffle deals the patients out like cards, so that the folds differ by one patient at most.
local function by_fold(patients, rule, seed)
  if #patients < rule.folds then
    return refuse("the data holds %s: too few for %d folds", counted(#patients, "patient"), rule.folds)
  end
  split.shuffle(patients, seed, "split", 0)
  local chosen = {}
  for i = rule.fold, #patients, rule.folds do chosen[patients[i]] = true end
  return chosen
end

local function by_share(patients, rule, seed)
  split.shuffle(patients, seed, "split", 0)
  local chosen = {}
  for i = split.count(#patients, rule) + 1, #patients do chosen[patients[i]] = true end
  return chosen
end

-- Names of a file, one on each line.
local function names_of(path)
  local file, err = io.open(path, "r")
  if not file then return nil, problem.new("io", "split.validation_file: " .. tostring(err)) end
  local text, why = file:read "a"
  file:close()
  if not text then return nil, problem.new("io", string.format("split.validation_file: %s: %s", path, why)) end
  local names = {}
  for line in text:gmatch "[^\r\n]+" do
    local name = line:gsub("#.*", ""):match "^%s*(.-)%s*$"
    if name ~= "" then names[#names + 1] = name end
  end
  return names
end

local function by_name(patients, names, where)
  local known, chosen, absent, n = {}, {}, {}, 0
  for _, name in ipairs(patients) do known[name] = true end
  for _, name in ipairs(names) do
    if not known[name] then
      absent[#absent + 1] = name
    elseif not chosen[name] then
      chosen[name], n = true, n + 1
    end
  end
  if n == 0 then
    return refuse("%s: none of its %s is in the data, whose patients are %s, …", where, counted(#names, "name"),
      patients[1])
  end
  if n == #patients then return refuse("%s: holds all %d patients of the data: none is left to train", where, n) end
  return chosen, absent
end

local function validating(patients, rule, seed)
  if rule.folds then return by_fold(patients, rule, seed) end
  if rule.train then return by_share(patients, rule, seed) end
  if rule.validation then return by_name(patients, rule.validation, "split.validation") end
  local names, err = names_of(rule.validation_file)
  if not names then return nil, err end
  return by_name(patients, names, rule.validation_file)
end

--- Divides cases (each has .patient) by a rule (split.rule). Returns { train = { patients }, validation = { patients },
--- train_cases = { indices }, validation_cases = { indices }, absent = { names of a list that the data does not hold }
--- }, patients sorted, indices ascending; or nil and a problem.
function split.cases(cases, rule, seed)
  local patients = patients_of(cases)
  if #patients < 2 then
    return refuse("the data holds %s of %s; training and validation need at least two patients",
      counted(#cases, "case"), counted(#patients, "patient"))
  end
  local chosen, other = validating(patients, rule, seed)
  if not chosen then return nil, other end
  local result = { train = {}, validation = {}, train_cases = {}, validation_cases = {}, absent = other or {} }
  table.sort(patients)
  for _, name in ipairs(patients) do
    local side = chosen[name] and result.validation or result.train
    side[#side + 1] = name
  end
  for i, case in ipairs(cases) do
    local side = chosen[case.patient] and result.validation_cases or result.train_cases
    side[#side + 1] = i
  end
  return result
end

--- The rule in words: "by patient: 0.8 of them train", "by patient: fold 2 of 5 validates".
function split.text(rule)
  local what = "those of a list validate"
  if rule.folds then what = string.format("fold %d of %d validates", rule.fold, rule.folds) end
  if rule.train then what = string.format("%g of them train", rule.train) end
  return string.format("by %s: %s", rule.by, what)
end

return split
