-- What an archived network is worth on other data than it was trained on, or on the same: a run's table without
-- training, which is archived, shown, compared and drawn like any other.

local archived = require "hilum.archived"
local dataset = require "hilum.dataset"
local evaluate = require "hilum.evaluate"
local experiment = require "hilum.experiment"
local feed = require "hilum.feed"
local problem = require "hilum.problem"
local provenance = require "hilum.provenance"
local value = require "hilum.value"

local evaluation = {}

local function names_of(list)
  local known = {}
  for _, name in ipairs(type(list) == "table" and list or {}) do known[name] = true end
  return known
end

-- The experiment with other data: what it says of crops, nodules and consensus holds for them too.
local function with_data(spec, where)
  local fine, found, err = pcall(function()
    return value.with(spec, "data", dataset.source(where, dataset.like(spec.data)))
  end)
  if not fine then return nil, problem.of(found) end
  if not found then return nil, problem.new("data", err) end
  return found
end

-- The patients of the data who are among names, in order.
local function among(set, names)
  local known, seen, found = names_of(names), {}, {}
  for _, case in ipairs(set.cases) do
    if known[case.patient] and not seen[case.patient] then found[#found + 1] = case.patient end
    seen[case.patient] = true
  end
  table.sort(found)
  return found
end

-- Who of the data has trained the network, and who has chosen its best epoch. Patients are known by their names, data
-- by its hash.
local function overlap_of(run, set, o)
  local split = type(run.split) == "table" and run.split or {}
  local found = { same = type(run.data) == "table" and run.data.hash == set.hash,
    unknown = type(split.train) ~= "table" or #split.train == 0 }
  if o.other_patients and not found.same then split = {} end
  found.trained, found.chose = among(set, split.train), o.weights == "best" and among(set, split.validation) or {}
  return found
end

-- The patients of the cases that count, and these cases.
local function validating(set, overlap)
  local trained, names, cases, seen = names_of(overlap), {}, {}, {}
  for i, case in ipairs(set.cases) do
    if not trained[case.patient] then
      cases[#cases + 1] = i
      if not seen[case.patient] then names[#names + 1] = case.patient end
      seen[case.patient] = true
    end
  end
  table.sort(names)
  return names, cases
end

-- The table of the result, before anything is measured.
local function new_run(run, spec, s, o)
  local state = type(run.state) == "table" and run.state or {}
  local trained = names_of(s.overlap.trained)
  return {
    name = spec.name, seed = spec.seed, experiment = experiment.text(spec), modules = run.modules,
    split = { train = type(run.split) == "table" and run.split.train or {}, validation = s.patients },
    cases = evaluate.rows(s.set, function(i) return trained[s.set.cases[i].patient] and "train" or "validation" end),
    state = { finished = true }, provenance = provenance.here(),
    data = { hash = s.set.hash, protocol = tostring(s.set.protocol),
      details = type(s.set.protocol) == "table" and s.set.protocol or nil },
    evaluation = { archive = o.path:match "[^/]*$", sha256 = o.sha256, weights = o.weights,
      epoch = o.weights == "best" and state.best_epoch or state.epoch, finished = state.finished == true,
      trained_on = type(run.data) == "table" and run.data.hash or nil, same_data = s.overlap.same,
      trained = s.overlap.trained, chose = s.overlap.chose, other_patients = o.other_patients or nil },
    parameters = s.net:parameter_count(), panel = {}, log = {},
  }
end

-- Measures; true, or nil and a problem.
local function carry_out(result, spec, s, o)
  local size, spacing = value.plain(spec.data.crop), dataset.spacing_mm(spec.data)
  local source = feed.new(s.set, { batch = 1, size = size, seed = spec.seed, augment = {} })
  local agreement, err = evaluate.interreader(s.cases, source)
  if not agreement then return nil, err end
  for i, dice in pairs(agreement.by_case) do result.cases[i].interreader = dice end
  result.interreader = { mean = agreement.mean, median = agreement.median }
  local evaluator = s.net:evaluator { loss = spec.loss, batch = 1, size = size }
  return evaluate.complete(result, {
    set = s.set, validation = s.cases, spec = spec, spacing_mm = spacing,
    measure = function(what, cases, visit, more)
      return evaluate.cases(cases, { feed = source, evaluator = evaluator, threshold = spec.predict.threshold,
        visit = visit, metrics = more.metrics, calibrated = more.calibrated, predict = more.predict,
        lesions = more.lesions, spacing_mm = spacing, step = function(i, n) o.progress(i, n, what) end })
    end,
  })
end

--- Evaluates an archived run. o: { run = from archive.run_read, path and sha256 of its file, data = where the data is,
--- weights = "best" or "last", other_patients = true where patients of the same name are others, progress =
--- function(done, total, what), before = function(set, overlap = { same, trained, chose, unknown },
--- spec), called when the data is there }. Returns
--- the result as a run's table, or nil and a problem. Cases of patients who trained the network have the role "train"
--- and count in no mean.
function evaluation.run(o)
  local spec, err = archived.experiment(o.run, o.path)
  if not spec then return nil, err end
  spec, err = with_data(spec, o.data)
  if not spec then return nil, err end
  local s = {}
  s.net, err = archived.model(o.run, spec, o.path, o.weights, value.plain(spec.data.crop))
  if not s.net then return nil, err end
  s.set, err = spec.data:open { progress = o.progress }
  if not s.set then return nil, err end
  s.overlap = overlap_of(o.run, s.set, o)
  s.patients, s.cases = validating(s.set, s.overlap.trained)
  if o.before then o.before(s.set, s.overlap, spec) end
  if #s.cases == 0 then
    return nil, problem.new("data", string.format("all %d patients of %s trained the network of %s: there is nothing "
      .. "to evaluate it on", #s.overlap.trained, o.data, o.path))
  end
  local result = new_run(o.run, spec, s, o)
  local fine, done, why = pcall(carry_out, result, spec, s, o)
  if not fine then return nil, problem.of(done) end
  if not done then return nil, why end
  return result
end

return evaluation
