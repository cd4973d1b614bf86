-- hl.experiment: the value a script returns; and loading such scripts.

local args = require "hilum.args"
local metric = require "hilum.metric"
local problem = require "hilum.problem"
local sandbox = require "hilum.sandbox"
local schema = require "hilum.schema"
local value = require "hilum.value"

local experiment = {}

-- What `train = { preset = "by source" }` stands for, for each source. The phantom's ends within minutes
-- on two cores; a study of real data takes hours.
local presets = {
  phantom = { epochs = 40, batch = 2 },
  lidc = { epochs = 100, batch = 2 },
}

-- { path, new value } pairs from the command line, applied to the next hl.experiment.
local settings = {}

local fields = {
  name = schema.string { pattern = "[%w][%w_.%-]*", text = "a name of letters, digits and - _ .",
    doc = "names the run's files" },
  seed = schema.int { default = 1, min = 0, doc = "of everything that is drawn" },
  data = schema.value { family = "source", doc = "hl.data.…" },
  split = schema.record {
    doc = "who trains and who validates", default = {},
    fields = {
      train = schema.number { default = 0.8, above = 0, below = 1, doc = "share of the patients" },
      by = schema.one_of { "patient", default = "patient" },
    },
  },
  augment = schema.list(schema.value { family = "augmentation" }, { default = {},
    doc = "applied in this order" }),
  model = schema.value { family = "layer", doc = "hl.nn.…" },
  loss = schema.value { family = "loss", doc = "hl.loss.…" },
  optim = schema.value { family = "optimiser", doc = "hl.optim.…" },
  train = schema.record {
    doc = "how long, and in which portions", default = {},
    fields = {
      preset = schema.one_of { "by source", "phantom", "lidc", default = "by source",
        doc = "where the values come from that are not given" },
      epochs = schema.int { min = 1, max = 100000, doc = "times through the training cases" },
      batch = schema.int { min = 1, max = 4096, doc = "cases in a step" },
      precision = schema.one_of { "f32", default = "f32" },
    },
  },
  evaluate = schema.list(schema.value { family = "metric" }, { doc = "metrics of the validation cases",
    default = function() return { metric.dice {} } end }),
  figures = schema.list(schema.one_of { "dice_curves", "slices" }, { default = { "dice_curves", "slices" } }),
}

local function shallow(t)
  local copy = {}
  for key, part in pairs(t) do copy[key] = part end
  return copy
end

local function apply_settings(raw, report)
  for _, setting in ipairs(settings) do
    local new, err = value.with(raw, setting.path, setting.value, fields)
    if new then raw = new else report("", "--set " .. err) end
  end
  return raw
end

-- Fills in what the preset says. The result holds everything, so that it reads back the same.
local function apply_preset(raw)
  local train = type(raw.train) == "table" and shallow(raw.train) or raw.train == nil and {}
  if not train or value.family(raw.data) ~= "source" then return raw end
  local name = train.preset
  if name == nil or name == "by source" then name = raw.data:preset() end
  for key, part in pairs(presets[name] or {}) do
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

-- Steps of the whole U along each axis: level by level 2, or as its `strides` say.
local function total_stride(net)
  local total = { 1, 1, 1 }
  for level = 1, #net.channels - 1 do
    local step = net.strides and net.strides[level] or { 2, 2, 2 }
    for axis = 1, 3 do total[axis] = total[axis] * step[axis] end
  end
  return total
end

local function check_crop(self, net, path, report)
  local total = total_stride(net)
  for axis, name in ipairs { "z", "y", "x" } do
    local size = self.data.crop[axis]
    if size % total[axis] ~= 0 then
      report("data.crop", string.format("%d voxels along %s are not a multiple of %d, the steps of %s", size,
        name, total[axis], path))
    end
  end
end

-- Scales are those of the heads: 1, 2, 4 … up to the coarsest level.
local function check_scales(self, net, path, report)
  local scales = net.heads.scales
  for i, scale in ipairs(scales) do
    local level = math.tointeger(math.log(scale, 2))
    if not level or level >= #net.channels then
      report(string.format("%s.heads.scales[%d]", path, i), string.format(
        "expected 1, 2, 4 … up to %d, the coarsest of %d levels, got %d", 1 << (#net.channels - 1),
        #net.channels, scale))
    end
  end
  if scales[1] ~= 1 then
    report(path .. ".heads.scales", "the first must be 1: it is the prediction")
  end
  local weights = self.loss.weights
  local multi = value.constructor(self.loss).name == "hl.loss.multiscale"
  if not multi and #scales > 1 then
    report("loss", string.format("the model predicts at %d scales: use hl.loss.multiscale { term = … }",
      #scales))
  elseif multi and type(weights) == "table" and #weights ~= #scales then
    report("loss.weights", string.format("expected %d, one for each scale of %s.heads, got %d", #scales, path,
      #weights))
  end
end

local function check(self, report)
  local heads = 0
  walk(self.model, "model", function(part, path)
    if part.channels and part.heads then
      heads = heads + 1
      check_crop(self, part, path, report)
      check_scales(self, part, path, report)
    end
  end)
  if heads > 1 then report("model", "only one part of a model may have heads, got " .. heads) end
end

experiment.new = schema.constructor("hl.experiment", {
  doc = "Everything a run needs to know; a script returns one.", family = "experiment", fields = fields,
  prepare = function(raw, report)
    if #settings > 0 then raw = apply_settings(raw, report) end
    return apply_preset(raw)
  end,
  check = check,
})

-- ---- reading --set and scripts ----

--- "path=value" -> { path, value }, or nil and a sentence. The value is a Lua expression in which `hl` is
--- known; a bare word, or text that is no expression, is a string.
function experiment.parse_setting(text, hl)
  local path, right = text:match("^%s*([^=]-)%s*=%s*(.-)%s*$")
  if not path or path == "" or right == "" then
    return nil, string.format("'%s': expected path=value", text)
  end
  local words = { ["true"] = true, ["false"] = true, ["nil"] = true }
  if right:find("^[%a_][%w_%-]*$") and not words[right] then return { path = path, value = right } end
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

--- Loads a script. options: { args = { data = … }, set = { { path, value } … } }. Returns the experiment and
--- a record of the sources; raises all problems at once.
function experiment.load(path, options)
  options = options or {}
  local old = settings
  settings = options.set or {}
  local result = table.pack(pcall(args.with, options.args or {}, schema.gather, sandbox.run, path, interrupt))
  settings = old
  if not result[1] then error(result[2], 0) end
  local found = result[2]
  if value.constructor(found) ~= experiment.new then
    error(problem.new("schema", string.format(
      "%s: must return an experiment (return hl.experiment { … }), got %s", path, value.show(found))), 0)
  end
  return found, result[3]
end

--- The experiment as a script of its own, as archives keep it.
function experiment.text(v)
  return 'local hl = require "hilum"\n\nreturn ' .. value.dump(v) .. "\n"
end

return experiment
