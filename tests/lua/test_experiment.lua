-- Experiments as values, and the scripts that return them.
local t = require "tap"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local problem = require "hilum.problem"
local value = require "hilum.value"

local source = os.getenv("HILUM_SOURCE") or "."
local folder = os.tmpname()
os.remove(folder)
assert(hl.engine.mkdir(folder))
local written = {}

local function script(text, name)
  local path = folder .. "/" .. (name or "script.lua")
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  written[path] = true
  return path
end

local function load_error(text, options)
  local fine, err = pcall(experiment.load, script(text), options)
  return not fine and tostring(problem.of(err)) or "no error"
end

-- A whole experiment; `change` replaces lines of it.
local base = {
  name = 'name = "small"', seed = "seed = 7",
  data = 'data = hl.data.source(hl.arg("data", "phantom"), { phantom = { cases = 4, crop = 16 } })',
  model = "model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } }",
  loss = "loss = hl.loss.multiscale { term = hl.loss.dice {} }",
  optim = "optim = hl.optim.adam {}", train = 'train = { preset = "by source" }',
}
local order = { "name", "seed", "data", "model", "loss", "optim", "train", "more" }

local function whole(change)
  local lines = { 'local hl = require "hilum"', "return hl.experiment {" }
  for _, key in ipairs(order) do lines[#lines + 1] = "  " .. (change and change[key] or base[key] or "") .. "," end
  lines[#lines] = change and change.more and lines[#lines] or nil
  return table.concat(lines, "\n") .. "\n}\n"
end

-- ---- the four that come with hilum ----

for _, name in ipairs { "unet", "iunet", "iunet_multiscale", "iunet_multiscale_weighted" } do
  local v, record = experiment.load(source .. "/experiments/" .. name .. ".lua")
  t.is(v.name, (name:gsub("_", "-")), name .. " loads")
  t.is(value.constructor(v.data).name, "hl.data.phantom", name .. ": the phantom is the default")
  t.ok(v.train.epochs >= 1 and v.train.batch >= 1, name .. ": the preset is filled in")
  t.like(record.modules.common.source, "return function", name .. ": the shared part's source is recorded")
  local again = experiment.load(script(experiment.text(v)))
  t.ok(again == v, name .. ": its text loads back to the same content")
  t.is(value.hash(again), value.hash(v), name .. ": with the same hash")
  t.is(experiment.text(again), experiment.text(v), name .. ": and the same text")
end

-- ---- settings from the command line ----

local function settings(...)
  local list = {}
  for i, text in ipairs { ... } do list[i] = assert(experiment.parse_setting(text, hl)) end
  return { set = list }
end

local path = script(whole())
local v = experiment.load(path, settings("train.epochs=3", "data.crop={8,16,32}", "model.channels={4,8,16}",
  "name=other-name", "loss.weights=halving", "optim.rate=hl.schedule.cosine { from = 1e-2 }", "split.train=0.5",
  "model.heads.scales[2]=4"))
t.is(v.train.epochs, 3, "--set inside a record")
t.is(v.train.batch, 2, "the preset fills in the rest")
t.same({ v.data.crop[1], v.data.crop[2], v.data.crop[3] }, { 8, 16, 32 }, "--set inside a value of the script")
t.is(#v.model.channels, 3, "--set of a list")
t.is(v.name, "other-name", "--set of a bare word")
t.is(v.loss.weights, "halving", "--set of a word in a value")
t.is(v.optim.rate.from, 0.01, "--set of a value")
t.is(v.split.train, 0.5, "--set of what the script leaves to the default")
t.is(v.model.heads.scales[2], 4, "--set of an entry of a list")
t.is(experiment.load(path).train.epochs > 3, true, "settings do not outlive the loading")

do
  local folded = experiment.load(path, settings("split.folds=5", "split.fold=2"))
  t.same({ folded.split.folds, folded.split.fold, folded.split.train }, { 5, 2 }, "--set of folds")
  t.like(experiment.text(folded), "split = { folds = 5, fold = 2, by = \"patient\" }", "written as it is read")
  t.like(experiment.text(experiment.load(path)), "split = { train = 0.8, by = \"patient\" }", "a share by default")
end

for text, message in pairs {
  ["train.epoch=3"] = "train: unknown key 'epoch' %(did you mean 'epochs'%?%)",
  ["trian.epochs=3"] = "unknown key 'trian' %(did you mean 'train'%?%)",
  ["train.epochs=many"] = 'train.epochs: expected an integer .* got "many"',
  ["train.epochs=0"] = "train.epochs: expected an integer >= 1",
  ["name.x=3"] = "'name.x': there is nothing inside \"small\"",
  ["model.chanels={4}"] = "unknown key 'chanels' %(did you mean 'channels'%?%)",
  ["data.crop=17"] = "data.crop: 17 voxels along z cannot be divided by 2, the total stride of model",
  ["loss.weights={1,2,3}"] = "loss.weights: expected 2, one for each scale of model.heads, got 3",
  ["..=3"] = "is not a path",
} do
  t.like(load_error(whole(), settings(text)), message, "--set " .. text .. " is refused")
end
for text, message in pairs {
  ["epochs"] = "expected path=value", ["=3"] = "expected path=value", ["train.epochs="] = "expected path=value",
  ["a=error('boo')"] = "nil value %(global 'error'%)", ["a=nothing.there"] = "nothing",
} do
  local setting, sentence = experiment.parse_setting(text, hl)
  t.is(setting, nil, "--set " .. text .. " is refused before the script is loaded")
  t.like(sentence, message, "with a reason: " .. text)
end

-- ---- hl.arg ----

t.like(load_error(whole(), { args = { data = folder .. "/nowhere" } }), 'the data source ".*/nowhere" is not there',
  "a data source that is not there")
t.like(load_error(whole(), { args = { dota = "x" } }), "%-%-dota: this experiment does not read it",
  "an argument that nobody reads")
t.like(load_error(whole(), { args = { data = folder } }), "not prepared for the source 'lidc'",
  "a source without options")
t.like(load_error(whole { data = 'data = hl.data.source(hl.arg("data", 3), {})' }, { args = { data = "x" } }),
  "%-%-data: expected a number, got 'x'", "an argument of the wrong kind")
t.like(load_error(whole { data = 'data = hl.data.source("phantom", { fantom = {} })' }),
  "'fantom' is no source this version reads %(did you mean 'phantom'%?%)", "options for a source there is not")
t.like(load_error(whole { data = 'data = hl.data.source("phantom", { phantom = {}, lidc = { crap = 3 } })' }),
  "hl.data.lidc: unknown key 'crap' %(did you mean 'crop'%?%)", "options of a source that is not chosen are checked")

-- ---- wrong scripts ----

local wrong = {
  { whole { name = 'nmae = "x"' },
    "script.lua:2: hl.experiment: 2 problems\n  name: missing.*unknown key 'nmae' %(did you mean" },
  { whole { seed = "seed = -1" }, "seed: expected an integer >= 0, got %-1" },
  { whole { name = 'name = "a/b"' }, 'name: expected a name of letters, digits and %- _ %., got "a/b"' },
  { whole { model = "model = hl.loss.dice {}" }, "model: expected a value of the family 'layer', got hl.loss.dice" },
  { whole { loss = "loss = hl.loss.dice" }, "loss: .* got its constructor: write hl.loss.dice { … }" },
  { whole { train = "train = { epochs = 0, batch = 0 }" },
    "2 problems\n  train.epochs: .*\n  train.batch: expected an integer >= 1" },
  { whole { train = 'train = { preset = "fast" }' },
    'train.preset: expected one of "by source", got "fast"' },
  { whole { more = "split = { train = 1 }" }, "split.train: expected a number > 0.* and < 1" },
  { whole { more = "figures = { 'dice_curve' }" },
    "figures%[1%]: expected one of .* %(did you mean \"dice_curves\"%?%)" },
  { whole { more = "split = { train = 0.8, folds = 5, fold = 1 }" },
    "split: train and folds exclude each other: give one of them" },
  { whole { more = "split = { folds = 5, validation = { 'a' } }" }, "split: folds and validation exclude each other" },
  { whole { more = "split = { folds = 5 }" }, "split.fold: missing: which of the 5 folds validates%?" },
  { whole { more = "split = { fold = 2 }" }, "split.folds: missing: fold is one of how many%?" },
  { whole { more = "split = { folds = 5, fold = 6 }" }, "split.fold: there are 5 folds, got 6" },
  { whole { more = "split = { folds = 1, fold = 1 }" }, "split.folds: expected an integer >= 2" },
  { whole { more = "split = { validation = {} }" }, "split.validation: expected a list of at least 1, .* got 0" },
  { whole { loss = "loss = hl.loss.dice {}" },
    "loss: model predicts at 2 scales and hl.loss.dice looks at one: use hl.loss.multiscale" },
  { whole { loss = "loss = hl.loss.multiscale { term = hl.loss.dice {}, weights = { 1 } }" },
    "loss.weights: expected 2, one for each scale of model.heads, got 1" },
  { whole { data = 'data = hl.data.phantom { crop = 15, window_hu = { 400, -1000 } }' },
    "window_hu: the lower end must come first" },
  { whole { data = "data = hl.data.phantom { crop = { 16, 15, 16 } }", loss = "loss = hl.loss.dice {}" },
    "2 problems\n  data.crop: 15 voxels along y .*\n  loss: model predicts at 2 scales" },
  { whole { model = "model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 3 } } }",
    optim = "optim = hl.optim.adam { rat = 1 }" },
    "^2 problems\n.*script.lua:6: hl.nn.unet: .*scale.*\n.*script.lua:8: hl.optim.adam: unknown key 'rat'" },
  { whole { model = "model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 }, out = 2 } }" },
    "model.heads.out: masks have one class: expected 1, got 2" },
  { whole { model = "model = hl.nn.chain { hl.nn.conv { out = 1 }, hl.nn.conv { out = 3 } }" },
    "model: must predict one channel, the last layer has 3" },
  { "return 3", "script.lua: must return an experiment .*, got 3" },
  { "", "must return an experiment .*, got nil" },
  { "x = 3", "script.lua:1: assignment to the global 'x' %(write local x = …%)" },
  { "local a = 1\nreturn prnt", "script.lua:2: undefined global 'prnt' %(did you mean 'print'%?%)" },
  { "return io.open('x')", "script.lua:1: undefined global 'io'" },
  { "return os.execute('x')", "script.lua:1: undefined global 'os'" },
  { "return load('x')", "script.lua:1: undefined global 'load'" },
  { "return math.random()", "script.lua:1: .*random" },
  { "return hl", "undefined global 'hl' %(it comes from the module hilum" },
  { "return (", "script.lua:1: unexpected symbol near <eof>" },
  { "error('boo')", "script.lua:1: boo" },
  { "error({ message = 'a table' })", "a table" },
  { "return nil + 1", "script.lua:1: attempt to perform arithmetic" },
  { "return require 'nowhere'", "script.lua:1: module 'nowhere': .*nowhere.lua: cannot be read: No such file" },
  { "return require '../x'", "script.lua:1: require: expected the name of a module" },
  { "return require(3)", "require: expected the name of a module, got 3" },
  { "return require 'script'", "module 'script' requires itself" },
  { string.dump(function() return 1 end), "script.lua: is a compiled Lua chunk; only text is loaded" },
}
for i, case in ipairs(wrong) do
  t.like(load_error(case[1]), case[2], "wrong script " .. i .. ": " .. case[2])
end

script(string.dump(function() return 1 end), "bytes.lua")
t.like(load_error("return require 'bytes'"), "bytes.lua: is a compiled Lua chunk", "modules are text as well")
script("local x = 1\ny = 2", "strict.lua")
t.like(load_error("return require 'strict'"), "strict.lua:2: assignment to the global 'y'", "and strict as well")
script("return { n = 3 }", "twice.lua")
t.like(load_error("return require('twice') == require('twice') and 'same' or 'other'"), 'got "same"',
  "a module is loaded once")
t.raises(function() experiment.load(folder .. "/missing.lua") end, "missing.lua: cannot be read: No such file",
  "no such script")
t.raises(function() experiment.load(folder) end, "cannot be read", "a folder is no script")

local _, record = experiment.load(script("#!/usr/bin/env hilum\n" .. whole()))
t.like(record.source, "^#!/usr", "a first line for the shell is allowed and kept")
t.is(next(record.modules), nil, "hilum's own modules are not recorded")

t.done(function()
  for name in pairs(written) do os.remove(name) end
  os.remove(folder)
end)
