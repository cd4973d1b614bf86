-- The guard: how well states are rebuilt is measured per level, archived, and acted upon.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local guard = require "hilum.guard"
local hl = require "hilum"
local model = require "hilum.model"
local progress = require "hilum.progress"
local toy = require "toy"
local train = require "hilum.train"

local op = engine.op

local function network(o)
  return hl.nn.chain {
    hl.nn.conv { out = 4 },
    hl.nn.iunet { channels = { 4, 8 }, couplings = { 2, 2 }, backprop = o.backprop, coupling = o.coupling },
  }
end

local function random(seed)
  local x = engine.zeros({ 1, 1, 8, 8, 8 }, { layout = "image" })
  return engine.rng(seed, "image", 0, 0):fill_uniform(x, -1, 1) and x
end

-- ---- measuring ----

do
  local m = model.new(network {}, { seed = 2 })
  local g = guard.new(m, { batch = 1, size = { 8, 8, 8 } })
  local errors = g:measure(random(1))
  local places = {}
  for i, one in ipairs(errors) do places[i] = one.place:match "[^.]*$" end
  t.is(table.concat(places, " "), "up[1] up[2] down[2] down[1]", "levels in the order of the backward pass")
  t.ok(guard.worst(errors) < 1e-5, string.format("f32 states come back: %.1e", guard.worst(errors)))
  t.is(guard.first_above(errors, 1e-3), nil, "nothing is above the threshold")
  local first = guard.first_above(errors, 1e-12)
  t.ok(first ~= nil, "rounding is above a threshold of nothing")
  g:keep(first.place)
  for _, one in ipairs(g:measure(random(1))) do
    if one.place == first.place then t.is(one.error, 0.0, "a stored level needs no rebuilding") end
  end
end
t.is(guard.new(model.new(network { backprop = "store" }), { batch = 1, size = { 8, 8, 8 } }), nil,
  "a network that stores has nothing to guard")
t.is(guard.new(model.new(hl.nn.unet { channels = { 3, 4 } }), { batch = 1, size = { 8, 8, 8 } }), nil,
  "nor has a UNet")

-- A layer that is invertible, but not with 24 bits: x1 is lost among large numbers.
local fragile = hl.nn.invertible("test.fragile", {
  fields = {},
  forward = function(_, _, x1, x2) return x2, op.add(x1, op.affine(op.tanh(x2), { scale = 1e4 })) end,
  inverse = function(_, _, y1, y2) return op.sub(y2, op.affine(op.tanh(y1), { scale = 1e4 })), y1 end,
})

-- ---- keeping ----

do
  local loss = hl.loss.multiscale { term = hl.loss.bce {}, weights = "equal" }
  local function gradients(keep)
    local m = model.new(network {}, { seed = 2 })
    local step = m:trainer { loss = loss, optim = hl.optim.adam {}, batch = 1, size = { 8, 8, 8 } }
    if keep then step:keep(keep) end
    local truth = op.sigmoid(random(5))
    step:run { image = random(1), truth = truth, valid = op.affine(truth, { scale = 0, shift = 1 }) }
    return step.gradients, step:plan().bytes.state
  end
  local rebuilt, lean = gradients()
  local kept, fat = gradients { ["model[2].iunet.up[1]"] = true, ["model[2].iunet.down[1]"] = true }
  local worst = 0
  for i, g in ipairs(kept) do
    local s = (g - rebuilt[i]):stats()
    worst = math.max(worst, math.abs(s.min), math.abs(s.max))
  end
  t.ok(worst < 1e-6, string.format("gradients with stored levels are the same (%.1e)", worst))
  t.ok(fat > lean, string.format("and cost memory: %d bytes instead of %d", fat, lean))
end

-- ---- in a run ----

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))

local function run_of(guarding, coupling)
  local spec = experiment.new {
    name = "guarded", seed = 3, data = toy.source {}, split = { train = 0.6 }, model = network { coupling = coupling },
    loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
    optim = hl.optim.adam { rate = 1e-3 }, train = { epochs = 1, batch = 3, guard = guarding },
  }
  local lines = {}
  local bar = progress.new { bar = false, out = function(line) lines[#lines + 1] = line end }
  local set, sides = train.data(spec, bar)
  local run, err = train.run(spec, { out = folder .. "/run.h5", bar = bar, set = set, sides = sides,
    ready = train.prepare(spec) })
  os.remove(folder .. "/run.h5")
  return run, err, table.concat(lines, "\n")
end

do
  local run, err, text = run_of { every = 1 }
  t.ok(run, "a guarded run ends: " .. tostring(err))
  t.is(table.concat(run.curves.guard.step, " "), "1 2", "each measurement is archived")
  t.ok(run.curves.guard["model[2].iunet.down[1]"][2] < 1e-5, "with the error of each level")
  t.ok(text:find "step 2: states come back within", "and told")
end
do
  local run, err = run_of({ every = 1, action = "stop", threshold = 1e-6 }, fragile {})
  t.ok(not run and err.code == "guard", "action = stop ends the run")
  t.ok(tostring(err):find "the state at model%[2%]%.iunet%..* comes back with an error of", "and says where")
  local text
  run, err, text = run_of({ every = 1, threshold = 1e-6 }, fragile {})
  t.ok(run, "action = store goes on: " .. tostring(err))
  t.ok(text:find "its activations are stored from now on", "and says what is stored")
end
os.remove(folder)
t.raises(function() run_of { every = 0 } end, "guard.every: expected an integer >= 1", "a guard that never looks")

t.done()
