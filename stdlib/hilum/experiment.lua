-- hl.experiment: the value a script returns; and loading such scripts.

local args = require "hilum.args"
local augment = require "hilum.augment"
local figure = require "hilum.figure"
local metric = require "hilum.metric"
local prediction = require "hilum.prediction"
local problem = require "hilum.problem"
local sandbox = require "hilum.sandbox"
local schema = require "hilum.schema"
local split = require "hilum.split"
local value = require "hilum.value"

local experiment = {}

-- { path, new value } pairs from the command line, applied to the next hl.experiment.
local settings = {}

local fields = {
  name = schema.string { pattern = "[%w][%w_.%-]*", text = "a name of letters, digits and - _ .",
    doc = "names the run's files" },
  seed = schema.int { default = 1, min = 0, doc = "of everything that is drawn" },
  data = schema.value { family = "source", doc = "hl.data.…" },
  split = split.rule,
  augment = schema.list(schema.value { family = "augmentation" }, { default = {},
    doc = "what a training sees of its samples: movements as one, then changes of values in this order" }),
  model = schema.value { family = "layer", doc = "hl.nn.…" },
  loss = schema.value { family = "loss", doc = "hl.loss.…" },
  optim = schema.value { family = "optimiser", doc = "hl.optim.…" },
  train = schema.record {
    doc = "how long, and in which portions", default = {},
    fields = {
      preset = schema.one_of { "by source", default = "by source",
        doc = "where the values come from that are not given: what suits the data" },
      epochs = schema.int { min = 1, max = 100000, doc = "times through the training cases" },
      batch = schema.int { min = 1, max = 4096, doc = "cases in a batch" },
      accumulate = schema.int { default = 1, min = 1, max = 4096,
        doc = "batches in a step: one update with their mean gradient, in the memory of one batch" },
      precision = schema.one_of { "f32", "bf16", default = "f32",
        doc = "in which images and their gradients are kept; weights, statistics, loss and optimiser are f32" },
      average = schema.optional(schema.number { above = 0, below = 1,
        doc = "decay of a moving average of the weights, 0.999 for example: what is evaluated and kept as the best" }),
      patience = schema.optional(schema.int { min = 1,
        doc = "epochs without a better validation Dice after which training ends early" }),
      memory_gib = schema.optional(schema.number { above = 0,
        doc = "budget of a step: to keep it, couplings of an invertible network go through slabs of z, more slowly" }),
      hooks = schema.list(schema.value { family = "hook" }, { default = {},
        doc = "hl.hook: functions that are called at the end of a step, an epoch, the run" }),
      guard = schema.optional(schema.record {
        doc = "measures how well an invertible network's states are rebuilt",
        fields = {
          every = schema.int { min = 1, default = 100, doc = "steps between two measurements, on one image each" },
          threshold = schema.number { above = 0, default = 1e-3, doc = "largest relative error of a level's state" },
          action = schema.one_of { "store", "warn", "stop", default = "store",
            doc = "above it: store that level's activations from then on, only say so, or end the run" },
        },
      }),
    },
  },
  predict = prediction.schema(),
  evaluate = schema.list(schema.value { family = "metric" }, { doc = "metrics of the validation cases",
    default = function() return { metric.dice {}, metric.slice_dice {} } end }),
  figures = schema.list(schema.one_of(figure.names(figure.of_run)), { default = { "dice_curves", "slices" },
    doc = "drawn at the end of a run" }),
}

local function shallow(t)
  local copy = {}
  for key, part in pairs(t) do copy[key] = part end
  return copy
end

--- What --set asks for, applied to the properties of the value that a script returns. known: their schema.
function experiment.apply_settings(raw, report, known)
  for _, setting in ipairs(settings) do
    local new, err = value.with(raw, setting.path, setting.value, known)
    if new then raw = new else report("", "--set " .. err) end
  end
  return raw
end

--- The settings in force: a list of { path, value }.
function experiment.settings()
  return settings
end

-- Fills in what the source proposes. The result holds everything, so that it reads back the same.
local function apply_preset(raw)
  local train = type(raw.train) == "table" and shallow(raw.train) or raw.train == nil and {}
  if not train or value.family(raw.data) ~= "source" then return raw end
  for key, part in pairs(raw.data:preset()) do
    if train[key] == nil then train[key] = part end
  end
  raw = shallow(raw)
  raw.train = train
  return raw
end

-- ---- checks across the parts ----

--- The parts of a model, depth first, with their paths: calls visit(part, path).
local function walk(part, path, visit)
  visit(part, path)
  for i, child in ipairs(part) do walk(child, string.format("%s[%d]", path, i), visit) end
end

local function check_crop(self, net, path, report)
  local total = net:total_stride()
  for axis, name in ipairs { "z", "y", "x" } do
    local size = self.data.crop[axis]
    if size % total[axis] ~= 0 then
      report("data.crop", string.format("%d voxels along %s cannot be divided by %d, the total stride of %s",
        size, name, total[axis], path))
    end
  end
end

-- The loss must fit the scales at which the network predicts.
local function check_loss(self, net, path, report)
  local scales, weights = #net:scales(), self.loss.weights
  local several = self.loss.build_scales ~= nil
  if not several and scales > 1 then
    report("loss", string.format("%s predicts at %d scales and %s looks at one: use hl.loss.multiscale", path,
      scales, value.show(self.loss)))
  elseif several and type(weights) == "table" and #weights ~= scales then
    report("loss.weights", string.format("expected %d, one for each scale of %s.heads, got %d", scales, path,
      #weights))
  end
end

-- Masks have one class.
local function check_classes(self, nets, report)
  local last = self.model
  while #last > 0 do last = last[#last] end
  if nets == 0 and last.out ~= 1 then
    report("model", string.format("must predict one channel, the last layer has %s", tostring(last.out)))
  end
end

local function check(self, report)
  local nets = 0
  walk(self.model, "model", function(part, path)
    if not part.total_stride then return end
    nets = nets + 1
    check_crop(self, part, path, report)
    check_loss(self, part, path, report)
    if part.heads.out ~= 1 then
      report(path .. ".heads.out", string.format("masks have one class: expected 1, got %d", part.heads.out))
    end
  end)
  check_classes(self, nets, report)
  augment.check(self.augment, self.data, report)
  if nets > 1 then report("model", string.format("holds %d networks that predict; one is expected", nets)) end
end

experiment.new = schema.constructor("hl.experiment", {
  doc = "Everything a run needs to know; a script returns one.", family = "experiment", fields = fields,
  prepare = function(raw, report)
    return apply_preset(experiment.apply_settings(raw, report, fields))
  end,
  check = check,
})

-- ---- reading --set and scripts ----

--- "path=value" -> { path, value }, or nil and a sentence. The value is a Lua expression in which `hl` is
--- known; a bare word or path, or text that is no expression, is a string.
function experiment.parse_setting(text, hl)
  local path, right = text:match("^%s*([^=]-)%s*=%s*(.-)%s*$")
  if not path or path == "" or right == "" then
    return nil, string.format("'%s': expected path=value", text)
  end
  local words = { ["true"] = true, ["false"] = true, ["nil"] = true }
  local word = right:find("^[%a_][%w_%-]*$") or right:find("^[%a_.~]?[%w_%-.]*/[%w_%-./]*$")
  if word and not words[right] then return { path = path, value = right } end
  local chunk = load("return " .. right, "=--set", "t", { hl = hl })
  if not chunk then return { path = path, value = right } end
  local fine, result = pcall(chunk)
  if not fine then return nil, string.format("%s: %s", path, tostring(result)) end
  return { path = path, value = result }
end

local function interrupt()
  if require("hilum.engine").cancelled() then
    error(problem.new("cancelled", "stopped while loading the script"), 0)
  end
end

-- What a script may return beside an experiment.
local others = { measurement = true, study = true }

--- Loads a script. options: { args = { data = … }, set = { { path, value } … } }. Returns the experiment, the
--- measurement (hl.measure) or the study, and a record of the sources; raises all problems at once.
function experiment.load(path, options)
  options = options or {}
  local old = settings
  settings = options.set or {}
  local result = table.pack(pcall(args.with, options.args or {}, schema.gather, sandbox.run, path, interrupt))
  settings = old
  if not result[1] then error(result[2], 0) end
  local found = result[2]
  if value.constructor(found) ~= experiment.new and not others[value.family(found)] then
    error(problem.new("schema", string.format(
      "%s: must return an experiment (return hl.experiment { … }), got %s", path, value.show(found))), 0)
  end
  return found, result[3]
end

--- The experiment as a script of its own, as archives keep it.
function experiment.text(v)
  return string.format("local hl = require %q\n\nreturn %s\n", "hilum", value.dump(v))
end

return experiment
