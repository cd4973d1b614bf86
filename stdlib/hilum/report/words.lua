-- What was done, in words: the protocol of a run, where it comes from, what is not known about it.

local loose = require "hilum.loose"
local numbers = require "hilum.report.numbers"
local progress = require "hilum.progress"
local results = require "hilum.results"
local split = require "hilum.split"
local value = require "hilum.value"

local counted = progress.counted
local fields = loose.fields

local words = {}

local FEW = 20 -- patients below which intervals of the bootstrap are not to be trusted much

local function count(x)
  return type(x) == "table" and #x or 0
end

-- ---- the protocol ----

local function list_text(values)
  local parts = {}
  for i, one in ipairs(values) do parts[i] = value.dump(one):gsub("%s+", " ") end
  return #parts > 0 and table.concat(parts, "; ") or "none"
end

local function one_line(x)
  return (value.dump(x):gsub("%s+", " "))
end

local function training_text(train)
  local parts = { counted(train.epochs, "epoch"), "batches of " .. train.batch, tostring(train.precision) }
  if train.average then parts[#parts + 1] = "evaluated with a moving average of the weights, " .. train.average end
  if train.patience then
    parts[#parts + 1] = "ends early after " .. counted(train.patience, "epoch") .. " without gain"
  end
  if train.memory_gib then parts[#parts + 1] = "within " .. train.memory_gib .. " GiB" end
  return table.concat(parts, ", ")
end

local function predict_text(predict)
  local flips = predict.flips ~= "" and ", mean over flips along " .. predict.flips or ""
  local kept = predict.keep == "all" and "all connected parts" or "the " .. predict.keep .. " connected part"
  return string.format("probability above %g, %s%s", predict.threshold, kept, flips)
end

local function patients_text(run)
  local sides, rows = fields(run.split), results.rows(run)
  local evaluated = run.evaluation ~= nil
  local validate = string.format("%d %s (%s)", count(sides.validation), evaluated and "are evaluated" or "validate",
    counted(#rows, "case"))
  if run.folds then return validate end
  return string.format("%d %s, %s", count(sides.train), evaluated and "trained the network" or "train", validate)
end

--- The protocol of a run as { name, text } pairs; spec: its experiment as a value, or nil where it cannot be rebuilt.
function words.protocol(run, spec)
  local list = {}
  local function add(name, text)
    if text ~= nil then list[#list + 1] = { name, tostring(text) } end
  end
  add("images, nodules, truth", fields(run.data).protocol)
  if run.folds then
    add("split", string.format("by patient: %d of %d folds, each case judged by the network that did not see its "
      .. "patient", run.folds.count, run.folds.of))
  elseif spec then
    add(run.evaluation and "split of the training" or "split", split.text(spec.split))
  end
  add("patients", patients_text(run))
  if spec then
    add("augmentation", list_text(spec.augment))
    add("network", one_line(spec.model))
  end
  add("trained values", run.parameters)
  if spec then
    add("loss", one_line(spec.loss))
    add("optimiser", one_line(spec.optim))
    add("training", training_text(spec.train))
    add("mask", predict_text(spec.predict))
  end
  add("seed", run.seed)
  local state, evaluation = fields(run.state), fields(run.evaluation)
  if run.evaluation then
    add("evaluation", string.format("%s weights (epoch %s) of %s, sha256 %s", tostring(evaluation.weights),
      tostring(evaluation.epoch), tostring(evaluation.archive), tostring(evaluation.sha256)))
  else
    add("epochs trained", state.epoch)
    add("numbers are of", "the weights of the last epoch")
  end
  return list
end

--- What the metrics mean: { name, text } pairs of an experiment's `evaluate`.
function words.metrics(spec)
  local list = {}
  for i, one in ipairs(spec and spec.evaluate or {}) do list[i] = { one:name(), value.constructor(one).doc } end
  return list
end

-- ---- provenance ----

--- { name, text } pairs: versions, machine, hashes. one: { run, path, sha256 }.
function words.provenance(one)
  local run, list = one.run, {}
  local p = fields(run.provenance)
  local function add(name, text)
    if text ~= nil then list[#list + 1] = { name, tostring(text) } end
  end
  add("archive", one.path)
  add("sha256", one.sha256)
  add("made", p.created)
  add("host", p.host)
  add("processor", p.cpu)
  add("threads", p.threads)
  add("system", p.platform)
  local names = {}
  for name in pairs(fields(p.versions)) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add(name, p.versions[name]) end
  add("data, sha256", fields(run.data).hash)
  names = {}
  for name in pairs(fields(run.modules)) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do add("source " .. name, fields(run.modules[name]).sha256) end
  add("resumed", (fields(run.state).resumed or 0) ~= 0 and run.state.resumed or nil)
  return list
end

-- ---- what is not known ----

local function of_patients(add, rows)
  local dice = results.describe(rows, "dice")
  if dice.patients < FEW then
    add("The intervals rest on %s: with fewer than %d they are narrower than they should be.",
      counted(dice.patients, "patient"), FEW)
  end
  if not dice.readers then
    add("The readers' agreement on these cases is not known: no case has two readers.")
  elseif dice.readers_count < dice.count then
    add("The readers' agreement is known for %d of the %d cases.", dice.readers_count, dice.count)
  end
end

local function of_masks(add, run, rows)
  local empty = results.empty(rows)
  add("Empty masks: %s, %s. Shares count 1 where both masks are empty and 0 where one is; distances are 0 where both "
    .. "are and not defined where one is.", counted(empty.truth, "truth"), counted(empty.prediction, "prediction"))
  local in_mm = false
  for _, metric in ipairs(results.metrics(run)) do in_mm = in_mm or metric.unit == "mm" end
  local sized = false
  for _, row in ipairs(rows) do sized = sized or results.finite(row.diameter_mm) end
  if not in_mm and not sized then
    add("The images have no spacing in mm: sizes and distances in mm are not known.")
  end
end

local function of_choice(add, run)
  local e = fields(run.evaluation)
  if run.evaluation and count(fields(run.split).train) == 0 then
    add("The archive does not say whose images trained the network: they may be among these.")
  end
  if count(e.trained) > 0 then
    add("%s of this data trained the network; their cases count in no mean.", counted(count(e.trained), "patient"))
  end
  if count(e.chose) > 0 then
    add("%s of this data chose the best epoch: numbers are a little too good.", counted(count(e.chose), "patient"))
  end
  if e.other_patients then add("Patients of the same name as some that trained were declared to be others.") end
  if not run.evaluation then
    add("There is no test set apart: whoever chose networks or settings by these validation patients knows less than "
      .. "the intervals say.")
  end
end

--- Sentences. list: { { run, path }, … }; seeds: most seeds that a method has.
function words.unknown(list, seeds)
  local sentences = {}
  local function add(...) sentences[#sentences + 1] = string.format(...) end
  local run, rows = list[1].run, results.rows(list[1].run)
  of_patients(add, rows)
  of_masks(add, run, rows)
  of_choice(add, run)
  if seeds < 2 then add("One seed: how much another start of the same training would differ is not known.") end
  add("The truth is what readers drew, not pathology; malignancy is their opinion.")
  add("Numbers of other protocols (crop, nodules, consensus, masks, split) are not comparable with these.")
  return sentences
end

--- One sentence about a run's result.
function words.result(run)
  local rows = results.rows(run)
  local d = results.describe(rows, "dice", { median = true })
  if d.count == 0 then return "There are no results of cases." end
  local text = string.format("On %s of %s the mean Dice is %s (95 %% interval %s), the median %s.",
    counted(d.count, "nodule"), counted(d.patients, "patient"), numbers.value(d.mean), numbers.interval(d.interval),
    numbers.value(d.median))
  if d.readers then
    text = text .. string.format(" The readers agree with each other at %s on %s of these cases.",
      numbers.value(d.readers), d.readers_count == d.count and "all" or d.readers_count)
  end
  return text
end

return words
