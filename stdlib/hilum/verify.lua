-- What can be checked about an archive by itself: its hashes are computed again, and its parts must fit together.
--
--   verify.run(path)     verify.study(path)  ->  { { what, fine = true or false, text }, … }
-- What cannot be read at all is one entry that is not fine.

local archive = require "hilum.archive"
local archived = require "hilum.archived"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local index = require "hilum.study.index"
local loose = require "hilum.loose"
local problem = require "hilum.problem"
local value = require "hilum.value"

local fields = loose.fields

local verify = {}

local SEAL = 101 -- bytes of the line at the end, see docs/archive-format.md
local CLOSE = 1e-12 -- sums may be taken in another order

-- A list of findings: add("split", nil or what is wrong, what is told otherwise).
local function findings()
  local list = {}
  return list, function(what, wrong, text)
    list[#list + 1] = { what = what, fine = not wrong, text = wrong or text or "" }
  end
end

-- Opening has compared the sum with the content, where there is one.
local function check_seal(path, add)
  local file = io.open(path, "rb")
  local bytes = file and file:seek "end" or 0
  if file and bytes > SEAL then file:seek("end", -SEAL) end
  local sum = file and (file:read "a"):match "^\nhilum archive, sha256 of all above (%x+)\n$"
  if file then file:close() end
  add("file", not sum and "has no sum at its end: another program wrote or changed it",
    sum and string.format("%d bytes, sha256 %s", bytes, sum:sub(1, 16)))
end

local function check_modules(modules, add)
  local count, wrong = 0, nil
  for name, one in pairs(fields(modules)) do
    count = count + 1
    local sum = type(one.source) == "string" and engine.sha256(one.source)
    if sum ~= one.sha256 then wrong = string.format("%s is not what it was: its sha256 is another", name) end
  end
  add("modules", wrong, string.format("%d scripts and modules, each with its sha256", count))
end

-- ---- a run ----

-- The experiment as a value; nil where it cannot be built.
local function check_experiment(run, path, add)
  local spec, err = archived.experiment(run, path)
  if not spec then
    local own = err.code == "global" or err.code == "module" -- parts of the author's own modules
    add("experiment", not own and tostring(err), own and "not built: " .. tostring(err))
    return nil
  end
  local same = experiment.text(spec) == run.experiment
  add("experiment", spec.name ~= run.name and string.format("is called %s, the run %s", spec.name, tostring(run.name))
    or spec.seed ~= run.seed and string.format("has the seed %d, the run %s", spec.seed, tostring(run.seed)),
    "builds the value with the sha256 " .. value.hash(spec):sub(1, 16)
      .. (same and "" or "; another version of hilum wrote it down in other words"))
  return spec
end

local function check_split(run, add)
  local side, wrong = {}, nil
  for _, name in ipairs { "train", "validation" } do
    for _, patient in ipairs(fields(fields(run.split)[name])) do
      if side[patient] then wrong = string.format("patient %s is on both sides, or twice on one", patient) end
      side[patient] = name
    end
  end
  for _, case in ipairs(fields(run.cases)) do
    if side[case.patient] ~= case.role then
      wrong = wrong or string.format("case %s counts as %s, its patient %s as %s", case.id, case.role, case.patient,
        side[case.patient] or "none")
    end
  end
  add("split", wrong, string.format("no patient on two sides, %d cases where theirs is", #fields(run.cases)))
end

-- What is wrong with the columns of a table that should have n rows, which `counter` counts; cells may be missing.
local function wrong_length(columns, counter, n)
  for name, values in pairs(columns) do
    local last = 0
    for i in pairs(values) do last = math.max(last, i) end
    if last > n or name == counter and #values ~= n then
      return string.format("column %s has %d rows of %d", name, last, n)
    end
  end
end

local function check_curves(run, add)
  local state, curves = fields(run.state), fields(run.curves)
  local epochs, steps = fields(curves.epoch), fields(curves.step)
  local n, wrong = state.epoch or 0, nil
  for i, epoch in ipairs(fields(epochs.epoch)) do
    if epoch ~= i then wrong = string.format("row %d is of epoch %s", i, epoch) end
  end
  wrong = wrong or wrong_length(epochs, "epoch", n) or wrong_length(steps, "step", state.step or 0)
  local best = fields(archive.results(run).best)
  if not wrong and n > 0 and (best.epoch ~= state.best_epoch or best.dice_mean ~= state.best_dice) then
    wrong = string.format("the best epoch is %s by the curves, %s by the state", best.epoch, state.best_epoch)
  end
  add("curves", wrong, string.format("%d epochs, %d steps; the best epoch is %s", n, state.step or 0,
    state.best_epoch or "none"))
end

-- The first tensor with a value that is no number.
local function not_finite(tensors)
  for name, tensor in pairs(fields(tensors)) do
    local s = tensor:to("f64"):stats()
    if not (s.min > -math.huge and s.max < math.huge) then return name end
  end
end

local function check_weights(run, spec, path, add)
  if fields(run.state).epoch == 0 or run.evaluation then return end
  for _, which in ipairs { "last", "best" } do
    local net, err = archived.model(run, spec, path, which, value.plain(spec.data.crop))
    local bad = net and not_finite(fields(run.weights)[which])
    add("weights", err and tostring(err) or bad and string.format("%s weights: %s is not finite", which, bad),
      "the " .. which .. " ones fit the network and are finite")
  end
end

-- The mean of each metric over the validation cases, computed again.
local function check_metrics(run, add)
  local count, wrong = 0, nil
  for name, m in pairs(fields(run.metrics)) do
    local sum, n = 0, 0
    for _, case in ipairs(fields(run.cases)) do
      if case.role == "validation" and case[name] then sum, n = sum + case[name], n + 1 end
    end
    count = count + 1
    local close = n == 0 or math.abs(m.mean - sum / n) <= CLOSE * math.max(1, math.abs(m.mean))
    if m.count ~= n or not close then
      wrong = string.format("%s: mean %s of %s cases, by the cases %s of %d", name, m.mean, m.count,
        n > 0 and sum / n or "none", n)
    end
  end
  if count > 0 then add("metrics", wrong, string.format("%d, each the mean of its cases", count)) end
end

-- /results is derived from the curves.
local function check_results(run, path, add)
  local store <close> = archive.open(path) -- luacheck: ignore (closed at the end)
  local wrong
  for which, r in pairs(archive.results(run)) do
    local kept = store:has("/results/" .. which) and store:get("/results/" .. which .. "/dice_mean")
    if kept ~= r.dice_mean then wrong = string.format("%s: %s, by the curves %s", which, kept, r.dice_mean) end
  end
  add("results", wrong, "what the curves say")
end

-- The data read again, at `place` where that is given and the source lies in a folder.
local function check_data(run, spec, place, add)
  local data = dataset.moved(spec.data, place) or spec.data
  local set, err = data:open { progress = function() end }
  local kept = tostring(fields(run.data).hash)
  add("data", not set and tostring(problem.of(err)) or set.hash ~= kept and string.format(
    "is other data: its hash was %s and is %s", kept:sub(1, 16), set.hash:sub(1, 16)),
    string.format("%d cases with the hash %s", set and #set.cases or 0, kept:sub(1, 16)))
end

--- Checks the archive of a run. o.data: a place; the data there is read and hashed again. o.experiment: the hash that
--- its experiment must have.
function verify.run(path, o)
  local list, add = findings()
  local run, err = archive.run_read(path)
  if not run then
    add("file", tostring(err))
    return list
  end
  check_seal(path, add)
  check_modules(run.modules, add)
  if run.measured then return list end -- a measurement has no more
  local spec = check_experiment(run, path, add)
  check_split(run, add)
  check_curves(run, add)
  check_metrics(run, add)
  check_results(run, path, add)
  if not spec then return list end
  check_weights(run, spec, path, add)
  if o and o.experiment and value.hash(spec) ~= o.experiment then
    add("study", "its experiment is not the one that the study's index names")
  end
  if o and o.data then check_data(run, spec, o.data, add) end
  return list
end

-- ---- a study ----

local function first_wrong(list)
  for _, one in ipairs(list) do
    if not one.fine then return one.what .. ": " .. one.text end
  end
end

--- Checks the index of a study and the archives of its variants, as verify.run does.
function verify.study(path, o)
  local list, add = findings()
  local study, err = index.read(path)
  if not study then
    add("file", tostring(err))
    return list
  end
  check_seal(path, add)
  check_modules(study.modules, add)
  for _, v in ipairs(study.variants) do
    local there, wrong = engine.file_kind(v.archive), nil
    if there then
      wrong = first_wrong(verify.run(v.archive, { experiment = v.sha256, data = o and o.data }))
    elseif v.epochs ~= 0 then
      wrong = v.archive .. " is not there"
    end
    add("variant " .. v.name, wrong, there and "archive and index agree" or "has not begun")
  end
  return list
end

return verify
