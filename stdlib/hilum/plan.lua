-- What an experiment will be, before anything is read or computed: as text and as a table.

local memory = require "hilum.memory"
local model = require "hilum.model"
local progress = require "hilum.progress"
local setup = require "hilum.train.setup"
local split = require "hilum.split"
local timing = require "hilum.timing"

local plan = {}

local categories = { "parameters", "optimiser", "gradients", "state", "workspace", "data" }

local function size_text(zyx)
  return table.concat(zyx, " × ")
end

--- How many cases train and validate, where the source knows its cases without reading them: { training, validation }.
function plan.counts(spec)
  local patients, cases = spec.data.cases, spec.data.extent ~= "scan" and spec.data.nodules_per_case
  local trained = patients and split.count(patients, spec.split)
  if not trained then return nil end
  return { training = trained * (cases or 1), validation = (patients - trained) * (cases or 1) }
end

local function steps_text(spec)
  local counts = plan.counts(spec)
  return counts and string.format("steps         about %d in an epoch (%d cases for training), %d epochs",
    setup.steps(counts.training, spec.train), counts.training, spec.train.epochs)
end

local function seconds_text(s)
  return s < 60 and string.format("%.3g s", s) or progress.duration(s)
end

--- What timing.measure has found, for people.
function plan.time_lines(spec, measured)
  if not measured then return { "time          unknown: no step could be measured here" } end
  local how = measured.scaled and string.format("measured on %s voxels and multiplied", size_text(measured.size))
    or "measured"
  local lines = { string.format("time          %s for a step, %s for an image without gradients (%s, %d thread%s)",
    seconds_text(measured.seconds_per_step), seconds_text(measured.seconds_per_image), how, measured.threads,
    measured.threads == 1 and "" or "s") }
  local whole = timing.whole(measured, spec, plan.counts(spec))
  lines[2] = whole and string.format("              about %s for an epoch, %s for the run; without preparing samples",
    seconds_text(whole.seconds_per_epoch), seconds_text(whole.seconds_per_run))
  return lines
end

--- Lines for people. ready: from train.prepare.
function plan.lines(spec, ready)
  local bytes, lines = ready.plan.bytes, {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("experiment    %s, seed %d", spec.name, spec.seed)
  local gathered = spec.train.accumulate
  add("image         %s voxels, batch %d%s", size_text(spec.data.crop), spec.train.batch,
    gathered > 1 and string.format(", %d batches in a step", gathered) or "")
  for line in ready.plan.drawing:gmatch("[^\n]+") do add("%s", line) end
  for line in model.listing(ready.plan.layers):gmatch("[^\n]+") do add("  %s", line) end
  for _, remark in ipairs(ready.plan.remarks) do add("note          %s", remark) end
  add("parameters    %d", ready.plan.parameters)
  add("memory        %s at the most, at %s", progress.bytes(bytes.peak), ready.plan.where)
  for _, name in ipairs(categories) do add("  %-11s %s", name, progress.bytes(bytes[name])) end
  add("split         %s", split.text(spec.split))
  lines[#lines + 1] = steps_text(spec)
  local large = setup.too_large(spec, ready)
  if large then add("note          %s", large.message) end
  return lines
end

--- The same for machines.
function plan.table(spec, ready)
  local layers, counts = {}, plan.counts(spec)
  for i, layer in ipairs(ready.plan.layers) do
    layers[i] = { place = layer.place, kind = layer.kind, shape = layer.shape, parameters = layer.parameters }
  end
  return { name = spec.name, seed = spec.seed, batch = spec.train.batch, accumulate = spec.train.accumulate,
    epochs = spec.train.epochs,
    size = table.move(spec.data.crop, 1, 3, 1, {}), parameters = ready.plan.parameters, bytes = ready.plan.bytes,
    where = ready.plan.where, ops = ready.plan.ops, layers = layers, remarks = ready.plan.remarks,
    steps_per_epoch = counts and setup.steps(counts.training, spec.train), cases = counts,
    available_bytes = memory.available() }
end

--- What timing.measure has found, for machines; nil where nothing could be measured.
function plan.time_table(spec, measured)
  if not measured then return nil end
  local found = {}
  for _, part in ipairs { measured, timing.whole(measured, spec, plan.counts(spec)) or {} } do
    for key, x in pairs(part) do found[key] = x end
  end
  return found
end

return plan
