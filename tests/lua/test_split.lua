-- Divisions by patient: disjoint, seeded, complete, of the size asked for.
local t = require "tap"
local split = require "hilum.split"

local function cases_of(patients, each)
  local cases = {}
  for p = 1, patients do
    for i = 1, each do cases[#cases + 1] = { id = p .. "." .. i, patient = "patient-" .. p } end
  end
  return cases
end

local function as_set(list)
  local set = {}
  for _, x in ipairs(list) do set[x] = true end
  return set
end

local function parts(list) return table.concat(list, ",") end

local wrong, fractions, incomplete = 0, 0, 0
for patients = 2, 30 do
  for _, fraction in ipairs { 0.01, 0.3, 0.5, 0.8, 0.99 } do
    local cases = cases_of(patients, 1 + patients % 3)
    local s = assert(split.cases(cases, { train = fraction, by = "patient" }, patients))
    local trains, validates = as_set(s.train), as_set(s.validation)
    for name in pairs(trains) do
      if validates[name] then wrong = wrong + 1 end
    end
    for _, i in ipairs(s.train_cases) do
      if not trains[cases[i].patient] then wrong = wrong + 1 end
    end
    for _, i in ipairs(s.validation_cases) do
      if not validates[cases[i].patient] then wrong = wrong + 1 end
    end
    if #s.train_cases + #s.validation_cases ~= #cases then incomplete = incomplete + 1 end
    local expected = math.max(1, math.min(patients - 1, math.floor(fraction * patients + 0.5)))
    if #s.train ~= expected or #s.train + #s.validation ~= patients then fractions = fractions + 1 end
  end
end
t.is(wrong, 0, "no patient is on both sides, and cases follow their patient (145 divisions)")
t.is(incomplete, 0, "every case is on one side")
t.is(fractions, 0, "the sides have the sizes asked for, and none is empty")

local rule = { train = 0.8, by = "patient" }
local cases = cases_of(20, 2)
local a, b = split.cases(cases, rule, 1), split.cases(cases, rule, 1)
t.same(a, b, "the same seed gives the same division")
t.ok(parts(a.train) ~= parts(split.cases(cases, rule, 2).train), "another seed another one")
local turned = {}
for i = #cases, 1, -1 do turned[#turned + 1] = cases[i] end
t.is(parts(split.cases(turned, rule, 1).train), parts(a.train), "the order of the cases does not matter")
t.is(parts(split.cases(cases_of(20, 5), rule, 1).train), parts(a.train), "nor how many each patient has")

for _, one in ipairs { { cases_of(1, 3), "3 cases of 1 patient;" }, { {}, "0 cases of 0 patients;" },
  { cases_of(1, 1), "1 case of 1 patient;" } } do
  local s, err = split.cases(one[1], rule, 1)
  t.is(s, nil, "too few patients are refused")
  t.like(tostring(err), one[2], "with their number: " .. one[2])
end

-- ---- folds ----

local twice, uneven, moved = 0, 0, 0
for patients = 2, 23 do
  for folds = 2, math.min(patients, 7) do
    local all, times, least, most = cases_of(patients, 1 + patients % 3), {}, math.huge, 0
    for fold = 1, folds do
      local s = assert(split.cases(all, { folds = folds, fold = fold, by = "patient" }, 7))
      for _, name in ipairs(s.validation) do times[name] = (times[name] or 0) + 1 end
      least, most = math.min(least, #s.validation), math.max(most, #s.validation)
      if #s.train + #s.validation ~= patients or #s.train_cases + #s.validation_cases ~= #all then twice = twice + 1 end
      if #s.train ~= split.count(patients, { folds = folds, fold = fold }) then uneven = uneven + 1 end
      local other = split.cases(cases_of(patients, 2), { folds = folds, fold = fold, by = "patient" }, 7)
      if parts(other.validation) ~= parts(s.validation) then moved = moved + 1 end
    end
    for p = 1, patients do
      if times["patient-" .. p] ~= 1 then twice = twice + 1 end
    end
    if most - least > 1 then uneven = uneven + 1 end
  end
end
t.is(twice, 0, "each patient validates in exactly one fold and trains in the others (117 divisions)")
t.is(uneven, 0, "the folds differ by one patient at most, as planned")
t.is(moved, 0, "and do not depend on how many cases the patients have")
local folds = { folds = 5, fold = 2, by = "patient" }
t.ok(parts(split.cases(cases, folds, 1).validation) ~= parts(split.cases(cases, folds, 2).validation),
  "another seed, other folds")
local few, complaint = split.cases(cases_of(4, 2), { folds = 5, fold = 5, by = "patient" }, 1)
t.is(few, nil, "more folds than patients are refused")
t.like(tostring(complaint), "^the data holds 4 patients: too few for 5 folds$", "with both numbers")

-- ---- lists ----

local listed = split.cases(cases, { validation = { "patient-3", "patient-20", "nobody", "patient-3" } }, 1)
t.same(listed.validation, { "patient-20", "patient-3" }, "the patients of a list validate")
t.is(#listed.train_cases, 36, "and the others train")
t.same(listed.absent, { "nobody" }, "names that the data does not hold are told")
local path = os.tmpname()
local file = assert(io.open(path, "w"))
file:write("# of the paper\n\n  patient-3\r\npatient-20 # the last\n")
file:close()
t.same(split.cases(cases, { validation_file = path }, 1).validation, listed.validation, "so do those of a file")
os.remove(path)
local names = {}
for p = 1, 20 do names[p] = "patient-" .. p end
for _, one in ipairs {
  { { validation = { "a", "b" } },
    "^split.validation: none of its 2 names is in the data, whose patients are patient%-1, …$" },
  { { validation = names }, "^split.validation: holds all 20 patients of the data: none is left to train$" },
  { { validation_file = path }, "^split.validation_file: " .. path:gsub("%p", "%%%0") .. ": No such file" },
  { { validation_file = "/" }, "^split.validation_file: /: Is a directory" },
} do
  local s, err = split.cases(cases, one[1], 1)
  t.is(s, nil, "refused:")
  t.like(tostring(err), one[2], tostring(err))
end

local list = {}
for i = 1, 50 do list[i] = i end
local first = split.shuffle(table.move(list, 1, 50, 1, {}), 5, "shuffle", 1)
local seen = as_set(first)
local all = true
for i = 1, 50 do all = all and seen[i] end
t.ok(all and #first == 50, "a shuffle keeps every entry")
t.is(parts(first), parts(split.shuffle(table.move(list, 1, 50, 1, {}), 5, "shuffle", 1)), "it repeats")
t.ok(parts(first) ~= parts(split.shuffle(table.move(list, 1, 50, 1, {}), 5, "shuffle", 2)), "each epoch has its own")
t.ok(parts(first) ~= parts(list), "and it is a shuffle")

-- Each entry comes first about equally often.
local counts = {}
for epoch = 1, 3000 do
  local x = split.shuffle({ 1, 2, 3, 4, 5, 6 }, 9, "shuffle", epoch)[1]
  counts[x] = (counts[x] or 0) + 1
end
local even = true
for i = 1, 6 do even = even and math.abs((counts[i] or 0) - 500) < 100 end
t.ok(even, "shuffles are even: " .. table.concat(counts, " "))

t.done()
