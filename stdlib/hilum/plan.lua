-- What an experiment will be, before anything is read or computed: as text and as a table.

local model = require "hilum.model"
local progress = require "hilum.progress"
local setup = require "hilum.train.setup"
local split = require "hilum.split"

local plan = {}

local categories = { "parameters", "optimiser", "gradients", "state", "workspace", "data" }

local function size_text(zyx)
  return table.concat(zyx, " × ")
end

-- Steps of an epoch where the source knows its cases without reading them.
local function steps_text(spec)
  local patients, cases = spec.data.cases, spec.data.extent ~= "scan" and spec.data.nodules_per_case
  local trained = patients and split.count(patients, spec.split)
  if not trained then return nil end
  local training = trained * (cases or 1)
  return string.format("steps         about %d in an epoch (%d cases for training), %d epochs",
    setup.steps(training, spec.train), training, spec.train.epochs)
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
  return lines
end

--- The same for machines.
function plan.table(spec, ready)
  local layers = {}
  for i, layer in ipairs(ready.plan.layers) do
    layers[i] = { place = layer.place, kind = layer.kind, shape = layer.shape, parameters = layer.parameters }
  end
  return { name = spec.name, seed = spec.seed, batch = spec.train.batch, accumulate = spec.train.accumulate,
    epochs = spec.train.epochs,
    size = table.move(spec.data.crop, 1, 3, 1, {}), parameters = ready.plan.parameters, bytes = ready.plan.bytes,
    where = ready.plan.where, ops = ready.plan.ops, layers = layers, remarks = ready.plan.remarks }
end

return plan
