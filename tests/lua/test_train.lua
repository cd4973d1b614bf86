-- The training loop on balls in noise, with a small network: what is written down, and what stops it.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local progress = require "hilum.progress"
local toy = require "toy"
local train = require "hilum.train"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))
local files = {}

local function spec_of(change)
  local raw = {
    name = "toy", seed = 3, data = toy.source {},
    split = { train = 0.6 },
    augment = { hl.augment.flip {} },
    model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
    loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
    optim = hl.optim.adam { rate = hl.schedule.cosine { from = 2e-2, to = 1e-3 } },
    train = { epochs = 4, batch = 4 },
  }
  for key, part in pairs(change or {}) do raw[key] = part end
  return experiment.new(raw)
end

local function start(spec, name, o)
  local bar = progress.new { bar = false, out = function() end }
  local set, sides = train.data(spec, bar)
  assert(set, sides)
  local out = folder .. "/" .. name
  files[#files + 1] = out
  o = o or {}
  o.out, o.bar, o.set, o.sides, o.ready = out, bar, set, sides, train.prepare(spec)
  local run, err = train.run(spec, o)
  return run, err, out
end

-- ---- a run to its end ----

local spec = spec_of()
local seen = {}
local run, err, out = start(spec, "a.h5", {
  epoch = function(row) seen[#seen + 1] = row.epoch end,
  record = { path = "x/toy.lua", source = "return 1", modules = { common = { path = "c", source = "return 2" } } },
})
t.ok(run, "the run ends: " .. tostring(err))
t.same(seen, { 1, 2, 3, 4 }, "each epoch is told")
local rows = run.curves.epoch
for _, name in ipairs { "loss_train", "loss_validation", "dice_train", "dice_validation", "rate", "seconds" } do
  t.is(#rows[name], 4, name .. " has one value for each epoch")
end
t.ok(rows.loss_train[4] < rows.loss_train[1], "the loss falls")
t.ok(rows.dice_validation[4] > 0.6, string.format("the balls are found: %.3f", rows.dice_validation[4]))
t.near(rows.rate[4], 1e-3, 1e-12, "the schedule ends where it should")
t.near(run.curves.step.rate[1], 2e-2, 1e-12, "and starts where it should")
t.is(#run.curves.step.loss, 8, "6 training cases in batches of 4 are 2 steps, 8 in 4 epochs")
t.is(#run.curves.step.loss_scale_2, 8, "with the loss of each scale")
t.is(#run.drawn.case, 32, "what was drawn is noted for every place in a batch")
t.like(table.concat(run.drawn.what, " "), "^[flipnothg=zyx ]+$", "in words")
t.like(table.concat(run.drawn.what, " "), "flip=[zyx]+ ", "of what was changed")
t.is(run.modules["toy.lua"].sha256, engine.sha256 "return 1", "the script is kept with its hash")
t.is(run.modules.common.source, "return 2", "its modules too")
t.ok(run.interreader.mean > 0.5 and run.interreader.mean < 1, "readers agree, but not fully")
t.is(run.state.finished, true, "it says that it is finished")
t.is(run.state.best_dice, math.max(table.unpack(rows.dice_validation)), "the best epoch is the one with most Dice")
t.is(#run.panel, 4, "the panel shows the validation cases")
t.same(run.panel[1].image.shape, { 8, 8 }, "as slices")
local dices, trains = 0, 0
for _, case in ipairs(run.cases) do
  if case.dice >= 0 and case.dice <= 1 then dices = dices + 1 end
  if case.role == "train" then trains = trains + 1 end
end
t.is(dices, 10, "every case has its Dice")
t.is(trains, 6, "and its role")
for i, case in ipairs(run.cases) do
  local known = case.role == "validation" and case.interreader
  t.ok(case.role == "train" and case.interreader == nil or known and known > 0 and known <= 1,
    "the readers' agreement on case " .. i .. " if it validates")
end
t.is(run.metrics.slice_dice.better, "higher", "metrics say what is better")
t.is(run.metrics.slice_dice.count, 4, "Dice by slice stands beside the other")

local back = assert(archive.run_read(out))
t.is(back.experiment, experiment.text(spec), "the archive holds the experiment")
t.same(back.split, run.split, "and the split")
t.same(back.curves, run.curves, "and the curves")
t.is(archive.summary(back).results.validation.dice_mean, rows.dice_validation[4], "and the result")
for name, tensor in pairs(run.weights.last) do
  t.ok(back.weights.last[name]:raw() == tensor:raw(), "and the weights: " .. name)
end

t.like(archive.describe(back), "checkpoints +last: epoch 4, with the optimiser, best: epoch " .. run.state.best_epoch,
  "and says which weights it has")

-- ---- the same again is the same ----

local again = start(spec_of(), "b.h5")
t.same(again.curves.epoch.loss_train, rows.loss_train, "the same experiment gives the same losses, bit for bit")
t.same(again.curves.epoch.dice_validation, rows.dice_validation, "and the same Dice")
t.same(again.drawn, run.drawn, "and the same draws")
local other = start(spec_of { seed = 4 }, "c.h5")
t.ok(other.curves.epoch.loss_train[1] ~= rows.loss_train[1], "another seed, another run")

-- ---- what is told ----

do
  local telling = require "hilum.train.telling"
  t.is(telling.sparkline { 0, 0.13, 0.5, 0.99, 1, 2, -1 }, "▁▂▅███▁", "a curve as characters")
  t.is(utf8.len(telling.sparkline(rows.loss_train)), 4, "one for each epoch")
  local told = {}
  start(spec, "told.h5", { epoch = function(row) told[#told + 1] = row end })
  t.is(#told, 4, "each epoch is told")
  local row = told[3]
  t.ok(row.cases_per_second > 0 and row.seconds_left > 0, "with rate and remaining time")
  t.is(told[4].seconds_left, 0.0, "of which nothing is left at the end")
  t.is(#row.scales, 2, "with every scale")
  t.near(row.scales[1].weight * row.scales[1].loss + row.scales[2].weight * row.scales[2].loss, row.loss_train, 1e-5,
    "whose losses make the loss")
  t.ok(row.memory.ledger > 0 and row.memory.resident > row.memory.ledger, "with memory")
  t.is(row.best.dice, math.max(table.unpack(rows.dice_validation, 1, 3)), "and the best so far")
end

-- ---- a step that does not fit ----

do
  local ready = train.prepare(spec)
  local peak = ready.plan.bytes.peak
  t.is(train.too_large(spec, ready, peak), nil, "a step that just fits")
  local large = tostring(train.too_large(spec, ready, peak - 1))
  t.like(large, "^a training step needs [%d.]+ KiB, at .+, and [%d.]+ KiB of memory are available", "one that does not")
  t.like(large, "train%.batch = 2 %(with train%.accumulate = 2 a step keeps its size%), a smaller data%.crop",
    "and what to change")
  local found = require("hilum.memory").available()
  t.ok(math.type(found) == "integer" and found > 0, "what is available is known here")
end

-- ---- what stops it ----

local bad = { cases = "(.*case%-1.*)", epoch = "in epoch 1, step %d" }
local stopped, problem_found, path = start(spec_of { data = toy.source { broken = 1 }, split = { train = 0.8 },
  seed = 1 }, "d.h5")
t.is(stopped, nil, "a NaN stops the run")
t.is(problem_found and problem_found.code, "nan", "with its own code")
t.like(tostring(problem_found), "the loss is %-?nan " .. bad.epoch, "and the place")
t.like(tostring(problem_found), bad.cases, "and the cases")
t.like(tostring(problem_found), "scale 1: %-?nan, scale 2: ", "and the scales")
t.like(tostring(problem_found), "nothing was written: no epoch was complete", "and what is kept")
t.is(engine.file_kind(path), nil, "no archive of an epoch that was not complete")

stopped, problem_found = start(spec_of { data = toy.source { lost = 5 } }, "e.h5")
t.is(stopped, nil, "a case that cannot be read stops the run")
t.like(tostring(problem_found), "case%-5.dcm: is gone", "with its file")

stopped, problem_found = start(spec_of(), "missing/folder/g.h5")
t.is(stopped, nil, "an archive that cannot be written stops the run")
t.like(tostring(problem_found), "missing/folder", "with its path")

-- ---- a schedule that follows the metric, with clipped gradients and another loss ----

run = start(spec_of {
  loss = hl.loss.multiscale { term = hl.loss.tversky {} + hl.loss.focal {} },
  optim = hl.optim.sgd {
    momentum = 0.9, clip_norm = 1,
    rate = hl.schedule.plateau { from = 0.04, patience = 0, threshold = 2, threshold_kind = "absolute", factor = 0.5 },
  },
}, "h.h5")
t.same(run.curves.epoch.rate, { 0.04, 0.04, 0.02, 0.01 },
  "no Dice improves by 2: after the first one, each epoch halves the rate")
t.is(archive.run_read(folder .. "/h.h5").curves.epoch.rate[4], 0.01, "as the archive says")

local few = toy.source { patients = 1 }
local set, reason = train.data(spec_of { data = few }, progress.new { bar = false, out = function() end })
t.is(set, nil, "one patient cannot be divided")
t.like(tostring(reason), "2 cases of 1 patient; training and validation need at least two patients", "and says so")

-- ---- averages of the weights, and patience ----

do
  local plain = assert(start(spec_of(), "plain.h5"))
  local averaged = assert(start(spec_of { train = { epochs = 4, batch = 4, average = 0.8 } }, "averaged.h5"))
  local same, kept = true, false
  for name, w in pairs(plain.weights.last) do
    same = same and w:same(averaged.weights.last[name])
    kept = kept or not averaged.weights.best[name]:same(plain.weights.best[name])
  end
  t.ok(same, "averages do not change the training by a bit")
  t.ok(kept, "but what is kept as the best")
  t.ok(averaged.curves.epoch.dice_validation[4] ~= plain.curves.epoch.dice_validation[4], "and what is evaluated")
  local still = assert(start(spec_of { optim = hl.optim.adam { rate = 1e-12 },
    train = { epochs = 40, batch = 4, patience = 2 } }, "still.h5"))
  t.is(#still.curves.epoch.epoch, 3, "nothing is learnt: after two more epochs it ends")
  t.is(still.state.finished, true, "as a finished run")
  local log = archive.run_read(folder .. "/still.h5").log
  t.ok(table.concat(log, "\n"):find("stopped after epoch 3", 1, true), "which the log says")
end

t.done(function()
  for _, name in ipairs(files) do os.remove(name) end
  os.remove(folder .. "/never")
  os.remove(folder)
end)
