-- Studies as values: what is varied, how variants are called, what is refused; and their index.
local t = require "tap"
local archive = require "hilum.archive"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local index = require "hilum.study.index"
local names = require "hilum.study.names"
local problem = require "hilum.problem"
local study = require "hilum.study"
local value = require "hilum.value"

local source = os.getenv("HILUM_SOURCE") or "."
local folder = os.tmpname()
os.remove(folder)
assert(hl.engine.mkdir(folder))
local path = folder .. "/study.lua"

local function load(text, options)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return experiment.load(path, options)
end

local BASE = [[{
    name = "base", seed = 7,
    data = hl.data.phantom { cases = 4, crop = 16 },
    model = hl.nn.unet { channels = { 4, 8 } },
    loss = hl.loss.dice {}, optim = hl.optim.adam {}, train = { epochs = 3 },
  }]]

local function script(vary, base)
  return 'local hl = require "hilum"\nreturn hl.study {\n  name = "some",\n  base = '
    .. (base or "hl.experiment " .. BASE) .. ",\n  vary = " .. vary .. ",\n}\n"
end

local function names_of(v)
  local list = {}
  for i, variant in ipairs(v:variants()) do list[i] = variant.name end
  return list
end

-- ---- products ----

local v = load(script "{ seed = { 1, 2 }, loss = { hl.loss.dice {}, hl.loss.dice {} + hl.loss.bce {} } }")
t.same(names_of(v), { "loss-dice_seed-1", "loss-dice_seed-2", "loss-dice-bce_seed-1", "loss-dice-bce_seed-2" },
  "every combination, paths by the alphabet, the last one fastest")
local third = v:variants()[3]
t.is(third.spec.name, third.name, "a variant's experiment has its name")
t.is(third.spec.seed, 1, "its seed")
t.is(value.constructor(third.spec.loss).name, "hl.loss.sum", "its loss")
t.is(third.spec.train.epochs, 3, "and the rest of the base")
t.is(third.settings[1].path .. " " .. third.settings[2].path, "loss seed", "what it sets is told")

local again = load(experiment.text(v))
t.ok(again == v, "a study's text loads back to the same content")
t.same(names_of(again), names_of(v), "with the same variants")
t.is(value.hash(again), value.hash(v), "and the same hash")

v = load(script("{ ['model.channels'] = { { 4, 8 }, { 8, 16 } }, ['train.epochs'] = { 2, 1000 } }", BASE))
t.same(names_of(v), { "channels-4-8_epochs-2", "channels-4-8_epochs-1000", "channels-8-16_epochs-2",
  "channels-8-16_epochs-1000" }, "a base may be a table of properties; paths go into values")
t.is(v:variants()[3].spec.model.channels[2], 16, "values on the way are made anew")

v = load(script("{ loss = { plain = hl.loss.dice {}, both = hl.loss.dice {} + hl.loss.bce {} } }"))
t.same(names_of(v), { "loss-both", "loss-plain" }, "values may have names")

v = load(script("{ ['augment'] = { {}, { hl.augment.flip {} } }, seed = { 3 } }"))
t.same(names_of(v), { "augment-1_seed-3", "augment-flip_seed-3" }, "what has no short name is counted")

v = load(script("{ ['split.fold'] = { 1, 2, 3 } }", (BASE:gsub("seed = 7", "%0, split = { folds = 3 }"))))
t.same(names_of(v), { "fold-1", "fold-2", "fold-3" }, "folds are variants")
t.is(v:variants()[3].spec.split.fold, 3, "of one division")

-- ---- lists of variants ----

v = load(script([[{
    { name = "as-it-is" },
    { name = "deep", model = hl.nn.unet { channels = { 4, 8, 16 }, heads = { scales = { 1, 2 } } },
      loss = hl.loss.multiscale { term = hl.loss.dice {} }, ["train.epochs"] = 5 },
  }]]))
t.same(names_of(v), { "as-it-is", "deep" }, "a list of variants keeps its order and names")
t.is(#v:variants()[2].spec.model.channels, 3, "several settings at once may only fit together")
t.is(v:variants()[2].spec.train.epochs, 5, "paths too")
t.ok(load(experiment.text(v)) == v, "its text loads back")

v = experiment.load(source .. "/experiments/four_methods.lua")
for _, variant in ipairs(v:variants()) do
  local alone = experiment.load(source .. "/experiments/" .. variant.name:gsub("-", "_") .. ".lua")
  t.ok(variant.spec == alone, "four methods: " .. variant.name .. " is what its own file says")
end
t.is(#v:variants(), 4, "four methods: all of them")

-- ---- the command line ----

v = load(script "{ seed = { 1, 2 } }", { set = { { path = "train.epochs", value = 9 } } })
t.is(v:variants()[2].spec.train.epochs, 9, "--set reaches every variant")
v = load(script("{ seed = { 1, 2 } }", BASE), { set = { { path = "train.epochs", value = 9 } } })
t.is(v:variants()[2].spec.train.epochs, 9, "of a table of properties too")
t.ok(load(experiment.text(v)):variants()[2].spec == v:variants()[2].spec, "and the study's text says so")
t.raises(function() load(script("{ seed = { 1, 2 } }", BASE), { set = { { path = "train.epoch", value = 9 } } }) end,
  "study.lua:2: hl.study: .*train: unknown key 'epoch'", "a wrong one is told")

-- ---- names ----

t.same(names.choices { 1, 0.5, 1e-3, true, "halving" }, { "1", "0.5", "0.001", "true", "halving" }, "plain labels")
t.same(names.choices { hl.loss.multiscale { term = hl.loss.dice {}, weights = "equal" },
  hl.loss.multiscale { term = hl.loss.dice {}, weights = "halving" } }, { "multiscale-equal", "multiscale-halving" },
  "values of one kind are told apart by what differs")
t.same(names.choices { hl.loss.focal { gamma = 1 }, hl.loss.focal { gamma = 2 }, hl.loss.dice {} },
  { "focal-1", "focal-2", "dice" }, "by a number too")
t.same(names.choices { "a/b", "a b", "A-B" }, { "a-b-1", "a-b-2", "A-B-3" }, "labels are safe in paths and differ")
t.same(names.choices { ("x"):rep(99) }, { "1" }, "what is too long is counted")
t.same(names.keys { "loss", "model[2].backprop", "a.rate", "b.rate" }, { "loss", "backprop", "a.rate", "b.rate" },
  "paths are shortened where that is clear")

-- ---- what is refused ----

local wrong = {
  { "{}", "vary: is empty: there is nothing to vary" },
  { "{ seed = {} }", 'vary%["seed"%]: is empty: it takes one value at least' },
  { "{ seed = 3 }", 'vary%["seed"%]: expected a list of values, got 3' },
  { "{ loss = hl.loss.dice {} }", 'vary%["loss"%]: expected a list of values, got hl.loss.dice' },
  { "3", "vary: expected lists by path, or a list of variants, got 3" },
  { "hl.loss.dice {}", "vary: expected lists by path, or a list of variants, got hl.loss.dice" },
  { "{ sede = { 1, 2 } }", "variant 'sede%-1': 'sede': unknown key 'sede' %(did you mean 'seed'%?%)" },
  { "{ ['train.epoch'] = { 1 } }", "variant 'epoch%-1': .*train: unknown key 'epoch' %(did you mean 'epochs'%?%)" },
  { "{ ['model.chanels'] = { { 4, 8 } } }", "'model.chanels': unknown key 'chanels' %(did you mean 'channels'%?%)" },
  { "{ ['a b'] = { 1 } }", "'a b' is not a path" },
  { "{ seed = { 1, 'two' } }", 'variant \'seed%-two\': .*seed: expected an integer >= 0, got "two"' },
  { "{ seed = { 1, 1 } }", "the variants 'seed%-1%-1' and 'seed%-1%-2' are the same experiment" },
  { "{ seed = { 7, 8 }, ['split.train'] = { 0.8, 0.8 } }", "are the same experiment" },
  { "{ seed = { 1, a = 2 } }", "has values with names and others without" },
  { "{ name = { 'a', 'b' } }", "vary.name: variants have their names from what is varied" },
  { "{ { name = 'a' }, seed = { 1 } }", "vary: expected either a list of variants or lists by path, not both" },
  { "{ { name = 'a' }, { name = 'A', seed = 2 } }", "two variants are called 'A'" },
  { "{ { seed = 3 } }", "vary%[1%].name: expected a name of letters, digits and %- _ %., got nil" },
  { "{ { name = '../x', seed = 3 } }", 'vary%[1%].name: expected a name .* got "../x"' },
  { "{ 1, 2 }", "vary%[1%]: expected a variant { name = …, path = value, … }, got 1" },
  { "{ { name = 'a' }, { name = 'b' } }", "the variants 'a' and 'b' are the same experiment" },
  { "{ ['data.crop'] = { 17 } }", "variant 'crop%-17': .*17 voxels along z cannot be divided by 2" },
  { "{ loss = { hl.loss.dice } }", 'vary.loss%[1%]: got a constructor: write hl.loss.dice { … }' },
  { "{ seed = { function() end } }", "vary.seed%[1%]: expected a number, text, a boolean, a value.* got a function" },
  { "{ seed = (function() local l = {} for i = 1, 40 do l[i] = i end return l end)(), "
    .. "['split.train'] = (function() local l = {} for i = 1, 40 do l[i] = i / 50 end return l end)() }",
    "vary: makes more than 1000 variants" },
  { "{ ['train.epochs'] = { [('y'):rep(120)] = 2 } }", "has more than 100 characters: give the values names" },
}
for i, case in ipairs(wrong) do
  local fine, err = pcall(load, script(case[1]))
  t.like(not fine and tostring(problem.of(err)) or "no error", case[2], "wrong study " .. i .. ": " .. case[2])
end
t.raises(function() load(script("{ seed = { 1 } }", "hl.loss.dice {}")) end,
  "base: expected an experiment, or a table of its properties, got hl.loss.dice", "a base that is none")
t.raises(function() load(script("{ seed = { 1 } }", "{ name = 'x' }")) end,
  "variant 'seed%-1': .*data: missing", "a base that lacks something")
t.raises(function() load(script("{ seed = { 1 } }", 'hl.experiment { name = "x" }')) end, "data: missing",
  "a base that is wrong by itself")
for _, case in ipairs { { "seed", "{ seed = { 1, 2 } }" },
  { "model.channels", "{ { name = 'a', model = hl.nn.unet {} } }" },
  { "model", "{ ['model.channels'] = { { 4, 8 } } }" } } do
  t.raises(function() load(script(case[2]), { set = { { path = case[1], value = 3 } } }) end,
    "", "--set " .. case[1] .. " of what the study varies")
end
t.raises(function() load(script "{ seed = { 1, 2 } }", { set = { { path = "seed", value = 3 } } }) end,
  "hl.study: %-%-set seed: the study varies seed", "which is said")

-- ---- the index ----

local file = folder .. "/some.h5"
local kept = {
  name = "some", study = experiment.text(v), modules = { ["study.lua"] = { source = "…", sha256 = "00" } },
  provenance = { host = "here" },
  variants = {
    { name = "a", settings = {}, archive = folder .. "/some/a.h5", sha256 = "01", state = "finished", epochs = 3,
      planned = 3, best = { dice_mean = 0.5, epoch = 2 }, last = { dice_mean = 0.25, epoch = 3 } },
    { name = "b", settings = { seed = 2, loss = "hl.loss.dice {}", ["a.b"] = true }, archive = folder .. "/some/b.h5",
      sha256 = "02", state = "failed", error = "the loss is nan", epochs = 0, planned = 3 },
  },
}
t.ok(index.write(kept, file), "an index is written")
t.same(study.open(file), kept, "and read back")
t.is(archive.format(file), "hilum study", "the file says what it is")
local described = index.describe(kept)
t.like(described, "a +finished +3 of 3 +0.500 +2 +0.250", "as a table for people")
t.like(described, "\nb: the loss is nan", "with what went wrong")

local _, err = archive.run_read(file)
t.like(tostring(err), "some.h5: /: is not the archive of a run but of the format 'hilum study'", "it is no run")
assert(archive.run_write({ name = "run" }, folder .. "/run.h5"))
_, err = study.open(folder .. "/run.h5")
t.like(tostring(err), "is not the archive of a study but of the format 'hilum run'", "and a run no study")
_, err = study.open(folder .. "/nowhere.h5")
t.like(tostring(err), "nowhere.h5", "no file")
kept.variants[1].name = nil
assert(index.write(kept, file))
_, err = study.open(file)
t.like(tostring(err), "/variants/name: row 1 is no text", "an index with a hole")
local handle = assert(io.open(file, "rb"))
local bytes = handle:read "a"
handle:close()
handle = assert(io.open(file, "wb"))
handle:write(bytes:sub(1, #bytes // 2))
handle:close()
_, err = study.open(file)
t.like(tostring(err), "some.h5", "half an index is named")

t.done(function()
  for _, name in ipairs { path, file, folder .. "/run.h5" } do os.remove(name) end
  os.remove(folder)
end)
