-- Functions of one's own by name: hooks, losses, layers; what they may return, what happens where they fail.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local archive = require "hilum.archive"
local archived = require "hilum.archived"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local resume = require "hilum.resume"
local schema = require "hilum.schema"
local toy = require "toy"
local train = require "hilum.train"
local value = require "hilum.value"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))
local files = {}

local function write(name, text)
  local path = folder .. "/" .. name
  files[#files + 1] = path
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  return path
end

-- An experiment whose `train` and other fields are given as Lua text. Its data are replaced: the sandbox has no toys.
local function load(hooks, o)
  o = o or {}
  local path = write("script.lua", string.format([[
local hl = require "hilum"
return hl.experiment {
  name = "own", seed = 3, data = hl.data.phantom { crop = 8 }, split = { train = 0.6 },
  model = %s,
  loss = %s,
  optim = hl.optim.adam { rate = 1e-2 },
  train = { epochs = %d, batch = 4, hooks = { %s } },
}
]], o.model or "hl.nn.unet { channels = { 4, 8 } }", o.loss or "hl.loss.dice {}", o.epochs or 3, hooks or ""))
  local spec, record = experiment.load(path, { set = { { path = "data", value = toy.source {} } } })
  return spec, record, path
end

local function start(name, spec, record, o)
  local said = {}
  local bar = progress.new { bar = false, out = function(line) said[#said + 1] = line end }
  local set, sides = train.data(spec, bar)
  local given = { out = folder .. "/" .. name, bar = bar, set = set, sides = sides, record = record }
  files[#files + 1] = given.out
  for key, part in pairs(o or {}) do given[key] = part end
  given.ready = train.prepare(spec)
  if given.archived then resume.restore(given.archived, given.ready) end
  local run, err = train.run(spec, given)
  return run, err, table.concat(said, "\n")
end

local function refused(...)
  local fine, err = pcall(load, ...)
  return not fine and tostring(problem.of(err)) or "nothing was refused"
end

-- ---- hooks ----

write("hooks.lua", [[
local hooks = {}
function hooks.gap(event, with)
  return { values = { gap = event.row.dice_train - event.row.dice_validation, scaled = with.factor * event.epoch } }
end
function hooks.halve(event) return { values = { half = event.row.loss / 2 } } end
function hooks.patience(event, with)
  if event.epoch >= with.last then return { stop = "epoch " .. event.epoch .. " is enough" } end
end
function hooks.seen(event)
  local n = 0
  for _ in pairs(event.curves.loss_train) do n = n + 1 end
  event.curves.loss_train[1], event.row.epoch = "spoilt", nil
  assert(event.at == "epoch_end" and event.epochs == 3 and event.step == 2 * event.epoch and event.steps == 6)
  assert(event.best.epoch >= 1 and event.best.dice >= 0)
  return { values = { rows = n } }
end
function hooks.last(event) return { values = { ends = event.epoch } } end
function hooks.breaks(event) if event.epoch == 2 then local x = nil; return x.y end end
function hooks.odd() return { stops = true } end
function hooks.text() return "stop" end
function hooks.own() return { values = { loss_train = 1 } } end
function hooks.scale() return { values = { loss_scale_3 = 1 } } end
function hooks.bad_name() return { values = { ["a b"] = 1 } } end
function hooks.bad_value() return { values = { a = "1" } } end
function hooks.endless() while true do end end
hooks.number = 3
return hooks
]])

local spec, record = load [[
  hl.hook { from = "hooks", call = "gap", with = { factor = 2 } }, hl.hook { from = "hooks", call = "seen" },
  hl.hook { at = "step_end", from = "hooks", call = "halve" },
  hl.hook { at = "run_end", from = "hooks", call = "last" },
]]
t.is(record.modules.hooks.path, folder .. "/hooks.lua", "the module is part of the script's record")
local run, err, said = start("hooks.h5", spec, record)
t.ok(run, "a run with hooks ends: " .. tostring(err))
local rows = run.curves.epoch
t.near(rows.gap[2], rows.dice_train[2] - rows.dice_validation[2], 0, "what a hook finds becomes a curve")
t.same(rows.scaled, { 2.0, 4.0, 6.0 }, "with what it was given")
t.same(rows.rows, { 1.0, 2.0, 3.0 }, "it sees the curves so far")
t.is(type(rows.loss_train[1]), "number", "and cannot change them")
t.same(run.curves.step.half[5], run.curves.step.loss[5] / 2, "steps have hooks too")
t.is(rows.ends[3], 3.0, "and the end of the run")
t.is(rows.ends[2], nil, "which only the last row knows")
t.like(said, "epoch 2/3 [^\n]*  gap %-?[%d.e-]+  rows 2  scaled 4", "they are printed with the epoch")
local back = assert(archive.run_read(folder .. "/hooks.h5"))
t.same(back.curves.epoch, rows, "the archive holds them")
t.is(back.modules.hooks.sha256, engine.sha256(record.modules.hooks.source), "and the module with its hash")
t.like(back.experiment, 'hl%.hook { at = "epoch_end", from = "hooks", call = "gap", with = { factor = 2 } }',
  "and the hooks in the experiment")

local times = { seconds = true, waiting = true, saving = true }
do -- stopped in the middle, resumed: the same
  local _, stop = start("resumed.h5", spec, record, { epoch = function(row)
    if row.epoch == 1 then error(problem.new("cancelled", "stopped"), 0) end
  end })
  t.is(stop and stop.code, "cancelled", "a run with hooks is stopped")
  local ended = assert(start("resumed.h5", spec, record,
    { archived = assert(archive.run_read(folder .. "/resumed.h5")) }))
  for name, column in pairs(rows) do
    if not times[name] then t.same(ended.curves.epoch[name], column, "and resumed: " .. name) end
  end
  t.same(ended.curves.step, run.curves.step, "its steps are the same")
end

do -- a stop
  local one, r = load('hl.hook { from = "hooks", call = "patience", with = { last = 2 } }', { epochs = 9 })
  local stopped, _, lines = start("stop.h5", one, r)
  t.is(#stopped.curves.epoch.epoch, 2, "a hook can end the training")
  t.is(stopped.state.finished, true, "as a finished run")
  t.is(stopped.state.stopped, "hooks.patience: epoch 2 is enough", "which says why")
  t.like(lines, "stopped after epoch 2 by the hook hooks.patience: epoch 2 is enough", "and prints it")
end

do -- a failure
  local one, r = load 'hl.hook { from = "hooks", call = "breaks" }'
  local failed, why = start("breaks.h5", one, r)
  t.is(failed, nil, "a hook that fails ends the run")
  t.is(why.code, "hook", "with a code of its own")
  t.like(tostring(why), "the hook hooks%.breaks at epoch_end failed: .*hooks%.lua:%d+: attempt to index a nil value",
    "it is named, with its line")
  t.like(tostring(why), "holds the run up to epoch 2;", "the epoch after which it failed is kept")
  t.is(assert(archive.run_read(folder .. "/breaks.h5")).state.epoch, 2, "in the archive")
end

for call, text in pairs {
  odd = "returned 'stops': stop and values are known", text = "returned a string: nothing or a table { stop, values }",
  own = "returned a value called 'loss_train', which is a curve of the training",
  scale = "returned a value called 'loss_scale_3', which is a curve of the training",
  bad_name = "returned a value called 'a b': a name of letters",
  bad_value = "returned a string as a: a number is expected",
} do
  local one, r = load(string.format('hl.hook { from = "hooks", call = %q }', call), { epochs = 1 })
  local failed, why = start(call .. ".h5", one, r)
  t.ok(failed == nil and tostring(why):find(text, 1, true), call .. ": " .. tostring(why):match "^[^\n]*")
end

-- ---- mistakes ----

t.like(refused 'hl.hook { from = "missing", call = "gap" }',
  "script%.lua:7: hl%.hook: from: .*module 'missing': .*missing%.lua: cannot be read", "a module that is not there")
t.like(refused 'hl.hook { from = "hooks", call = "gab" }', "call: the module 'hooks' has no function 'gab'",
  "a function that is not there")
t.like(refused 'hl.hook { from = "hooks", call = "number" }', "has no function 'number'", "what is no function")
write("broken.lua", "return {")
t.like(refused 'hl.hook { from = "broken", call = "gap" }', "from: .*broken%.lua:1: .*expected",
  "a module with a mistake")
write("raises.lua", "error 'no luck'")
t.like(refused 'hl.hook { from = "raises", call = "gap" }', "from: .*no luck", "a module that raises")
t.like(refused 'hl.hook { from = "../hooks", call = "gap" }', "from: expected the name of a module beside the script",
  "a module elsewhere")
t.like(refused 'hl.hook { at = "epoch", from = "hooks", call = "gap" }',
  'at: expected one of "step_end", "epoch_end"', "another moment")
t.like(refused 'hl.hook { from = "hooks", call = "gap", with = { f = print } }', "with%.f: expected a number, text",
  "a function as what it is given")
t.like(refused 'function() end', "train%.hooks%[1%]: expected a value of the family 'hook', got a function",
  "a function in the place of its name")

-- ---- losses and layers ----

write("parts.lua", [[
local hl = require "hilum"
local op, parts = hl.op, {}
function parts.soft(logits, truth, valid, with)
  local p = op.sigmoid(logits)
  local wrong = op.mul(op.square(op.sub(p, truth)), valid)
  return op.affine(op.mean(wrong), { scale = with.factor })
end
function parts.scaled(b, x, with)
  local weight = b:param("weight", { with.out, x.shape[2], 1, 1, 1 }, function(t) t:fill(0.25) end)
  return op.conv(x, weight)
end
function parts.image(logits) return logits end
function parts.none() end
function parts.number() return 3 end
return parts
]])

local layer = [[hl.nn.chain { hl.nn.own { from = "parts", call = "scaled", with = { out = 4 } },
  hl.nn.own { from = "parts", call = "scaled", with = { out = 1 }, out = 1 } }]]
local loss = 'hl.loss.dice {} + 0.5 * hl.loss.own { from = "parts", call = "soft", with = { factor = 2 } }'
do
  local one, r = load(nil, { model = layer, loss = loss })
  local ended, why = start("parts.h5", one, r)
  t.ok(ended, "a layer and a loss of one's own are trained: " .. tostring(why))
  local w = ended.weights.last["model[1].weight"]
  t.same(w.shape, { 4, 1, 1, 1, 1 }, "the layer has its weights")
  t.ok(w:get(1, 1, 1, 1, 1) ~= 0.25, "which are trained")
  t.is(#ended.curves.step.loss, 6, "the loss has its curve")
  local plain_data = experiment.load(folder .. "/script.lua")
  local again = experiment.load(write("again.lua", experiment.text(plain_data)))
  t.is(value.hash(again), value.hash(plain_data), "printed and loaded beside its modules, it hashes the same")
  local kept = assert(archive.run_read(folder .. "/parts.h5"))
  local plain, problem_found = archived.experiment({ experiment = kept.experiment:gsub("toy%.source %b{}",
    "hl.data.phantom { crop = 8 }") }, "parts.h5")
  t.ok(plain, "out of an archive it is a value: " .. tostring(problem_found))
  local fine, missing = pcall(train.prepare, plain)
  t.ok(not fine and tostring(problem.of(missing)):find("parts.scaled is not there", 1, true),
    "whose functions are not there, as it says: " .. tostring(problem.of(missing)))
end

for call, text in pairs { image = "parts.image must return one number", none = "parts.none must return one number",
  number = "parts.number must return one number" } do
  local one = load(nil, { loss = string.format('hl.loss.own { from = "parts", call = %q }', call) })
  local fine, why = pcall(train.prepare, one)
  t.ok(not fine and tostring(problem.of(why)):find(text, 1, true), call .. " as a loss: " .. tostring(why))
end
do
  local one = load(nil, { model = 'hl.nn.own { from = "parts", call = "scaled", with = { out = 2 }, out = 1 }' })
  local fine, why = pcall(train.prepare, one)
  t.ok(not fine and tostring(problem.of(why)):find("parts.scaled must return an image of 1 channels", 1, true),
    "a layer with other channels than it says")
end

do -- at the prompt there is no script
  local fine, found = pcall(schema.find "hl.hook", { from = "hooks", call = "gap" })
  t.ok(fine, "without a script a hook is a value")
  t.ok(not pcall(require("hilum.own").call, found, {}), "that cannot be called")
end

t.done(function()
  for _, name in ipairs(files) do os.remove(name) end
  os.remove(folder)
end)
