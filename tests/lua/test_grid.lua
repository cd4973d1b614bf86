-- bf16 with an invertible network: its state lies on a fixed grid, so that all of it is undone bit for bit.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local builder = require "hilum.nn.builder"
local coupling = require "hilum.nn.coupling"
local experiment = require "hilum.experiment"
local guard = require "hilum.guard"
local hl = require "hilum"
local model = require "hilum.model"
local progress = require "hilum.progress"
local steps = require "hilum.nn.steps"
local toy = require "toy"
local train = require "hilum.train"

local op = engine.op
local additive = hl.nn.additive

local function normal(shape, seed, dtype, scale)
  local x = engine.zeros(shape, { layout = "image" })
  engine.rng(seed, "grid test", 0, 0):fill_normal(x, 0, scale or 1)
  return dtype and x:to(dtype) or x
end

-- ---- chains of couplings ----

local SIZE = { 6, 7, 9 }

-- A chain on two parts of a state; o: { layer, depth, rebuild, channels = { a, b }, dtype, slabs }
local function chain(b, parts, o)
  for j = 1, o.depth do
    parts = b:scope(string.format("coupling[%d]", j), coupling.apply, b, parts,
      { coupling = o.layer, rebuild = o.rebuild })
  end
  return parts
end

local function state_of(o, scale)
  local list = {}
  for i, c in ipairs(o.channels) do
    list[i] = normal({ 2, c, SIZE[1], SIZE[2], SIZE[3] }, i, o.dtype or "q9", scale)
  end
  return list
end

local function inputs_of(p, state)
  local list = {}
  for i, x in ipairs(state) do
    list[i] = p:input("x" .. i, x.shape, { dtype = x.dtype, layout = "image" })
  end
  return list
end

-- Is the state after going there and back the same bits?
local function comes_back(o)
  local p, state = engine.program(), state_of(o)
  local b = builder.new(p, builder.store { dtype = "f32", seed = 4 }, { training = true, steps = {}, slabs = o.slabs })
  b.dimensions = 3
  local parts, now = inputs_of(p, state), {}
  b:scope("net", chain, b, parts, o)
  steps.unwind(b, b.steps, now)
  for _, part in ipairs(parts) do p:output(now[part]) end
  p:finish()
  local out, same = p:run(state), true
  for i, x in ipairs(state) do same = same and out[i]:same(x) end
  return same, next(p:clipped())
end

-- Gradients of a smooth loss with respect to all weights of the chain.
local function gradients(o)
  local p, state = engine.program(), state_of(o)
  local b = builder.new(p, builder.store { dtype = "f32", seed = 4 }, { training = true, slabs = o.slabs })
  b.dimensions = 3
  local loss
  for _, y in ipairs(b:scope("net", chain, b, inputs_of(p, state), o)) do
    local part = op.mean(op.square(op.cast(y, { to = "f32" })))
    loss = loss and op.add(loss, part) or part
  end
  local wrt = {}
  for i, one in ipairs(b.trainable) do wrt[i] = one.value end
  p:output(loss)
  for _, g in ipairs(p:gradient(loss, wrt)) do p:output(g, "gradients") end
  p:finish()
  return p:run(state)
end

local function same_all(a, b)
  for i, x in ipairs(a) do
    if not x:same(b[i]) then return false, i end
  end
  return #a == #b and #a > 1
end

local layers = {
  ["single form"] = { layer = additive {}, channels = { 4, 4 } },
  ["double form"] = { layer = additive { form = "double" }, channels = { 4, 4 } },
  ["odd halves, group norm"] = { layer = additive { inner = hl.nn.inner { norm = "group" } }, channels = { 2, 3 } },
  ["batch norm, tanh"] = { layer = additive { inner = hl.nn.inner { norm = "batch", activation = "tanh" } },
    channels = { 3, 3 } },
  ["no norm"] = { layer = additive { inner = hl.nn.inner { norm = "none", depth = 1, kernel = { 1, 3, 3 } } },
    channels = { 2, 2 } },
  ["through slabs"] = { layer = additive {}, channels = { 4, 4 }, slabs = { net = 2 } },
}
for name, o in pairs(layers) do
  for _, depth in ipairs { 1, 2, 7, 40 } do
    if depth < 40 or name == "single form" or name == "double form" then
      o.depth, o.rebuild, o.dtype = depth, true, name == "no norm" and "q7" or "q9"
      local same, clipped = comes_back(o)
      t.ok(same and not clipped, string.format("%s, %d couplings: the state comes back bit for bit", name, depth))
    end
  end
  o.depth, o.rebuild = 6, true
  local rebuilt = gradients(o)
  o.rebuild = false
  local same, where = same_all(rebuilt, gradients(o))
  t.ok(same, string.format("%s: rebuilt and stored gradients are the same bits (%s)", name, where or "all"))
end

-- ---- numbers that leave the range ----

do
  local o = { layer = additive {}, channels = { 2, 2 }, depth = 3, rebuild = true }
  local p = engine.program()
  local b = builder.new(p, builder.store { dtype = "f32", seed = 4 }, { training = true })
  b.dimensions = 3
  local parts = b:scope("net", chain, b, inputs_of(p, state_of(o)), o)
  for _, y in ipairs(parts) do p:output(y) end
  p:finish()
  local state = state_of(o, 40)
  p:run(state)
  local places, count = {}, 0
  for place, n in pairs(p:clipped()) do
    places[#places + 1], count = place, count + n
  end
  local place = tostring(places[1])
  t.ok(place:find "^net%.coupling%[%d%]$", "what is cut off is told by place: " .. place)
  t.ok(count > 0, string.format("%d numbers", count))
  p:run(state_of(o))
  t.is(next(p:clipped()), nil, "and counted for one run")
end

-- ---- whole networks ----

local SIZE16 = { 16, 16, 16 }

local function network(o)
  o.channels, o.couplings = o.channels or { 4, 8, 16 }, o.couplings or { 2, 2, 1 }
  return hl.nn.chain { hl.nn.conv { out = o.channels[1] }, hl.nn.iunet(o) }
end
local multiscale = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {}, weights = "equal" }

local function batch_of(n)
  local image = normal({ n, 1, 16, 16, 16 }, 9)
  return { image = image, truth = op.clamp(op.affine(image, { scale = 1e3, shift = -800 }), { low = 0, high = 1 }),
    valid = engine.zeros({ n, 1, 16, 16, 16 }, { layout = "image" }):fill(1) }
end

local function trainer(spec, o)
  local m = model.new(spec, { seed = 3, precision = o.precision or "bf16" })
  return assert(m:trainer { loss = multiscale, optim = hl.optim.adam {}, batch = 2, size = SIZE16,
    slabs = o.slabs }), m
end

-- Length of the difference of two lists of tensors, relative to the second.
local function distance(a, b)
  local off, all = 0, 0
  for i, x in ipairs(a) do
    off = off + op.sum(op.square(x - b[i])):get()
    all = all + op.sum(op.square(b[i])):get()
  end
  return math.sqrt(off / all)
end

local options = {
  ["as it comes"] = {},
  ["couplings alone deep down"] = { couplings = { 1, 1, 12 } },
  ["mixed at random after every coupling"] = { mixing = { frequency = 1, start = "random" } },
  ["resampled at random"] = { resampling = { start = "random", method = "exp" } },
  ["flat windows, predictions at two scales"] = {
    strides = { { 1, 2, 2 }, { 2, 2, 2 } }, heads = { scales = { 1, 2 } },
  },
  ["odd channels, double form"] = {
    channels = { 5, 16 }, couplings = { 3, 3 }, coupling = additive { form = "double" },
  },
  ["a finer grid"] = { grid = "q10" },
}
for name, o in pairs(options) do
  local batch, found = batch_of(2), {}
  for _, backprop in ipairs { "rebuild", "store" } do
    o.backprop = backprop
    local step = trainer(network(o), {})
    for _ = 1, 3 do
      step:run(batch).probability:free()
      step:update(1e-2)
    end
    found[backprop] = step:run(batch)
    found[backprop].gradients = step.gradients
  end
  t.is(next(found.store.clipped), nil, name .. ": nothing leaves its range")
  t.is(found.rebuild.loss, found.store.loss, "the same loss after three steps, rebuilt or stored")
  local same, where = same_all(found.rebuild.gradients, found.store.gradients)
  t.ok(same, "and all gradients are the same bits" .. (same and "" or ": not number " .. where))
  o.backprop = "rebuild"
  local m = model.new(network(o), { seed = 2, precision = "bf16" })
  local errors = guard.new(m, { batch = 1, size = SIZE16 }):measure(normal({ 1, 1, 16, 16, 16 }, 1))
  t.ok(guard.worst(errors) == 0, "every level's state comes back bit for bit")
end

do
  local batch, found = batch_of(2), {}
  for _, precision in ipairs { "f32", "bf16" } do
    local step = trainer(network {}, { precision = precision })
    found[precision] = { loss = step:run(batch).loss, gradients = step.gradients }
  end
  t.near(found.bf16.loss, found.f32.loss, 5e-3, "the loss of bf16 is that of f32")
  local off = distance(found.bf16.gradients, found.f32.gradients)
  t.ok(off < 0.05, string.format("bf16 gradients are within %.1f %% of those of f32", 100 * off))
  t.is(found.bf16.gradients[1].dtype, "f32", "gradients of parameters are f32")
end

-- Factors of a large matrix drawn at random grow too large for lifting: then it is rounded once on each way.
do
  local spec = network { channels = { 64, 64 }, couplings = { 1, 1 }, mixing = { frequency = 1, start = "random" } }
  local m = model.new(spec, { seed = 2, precision = "bf16" })
  local errors = guard.new(m, { batch = 1, size = SIZE16 }):measure(normal({ 1, 1, 16, 16, 16 }, 1))
  local worst = guard.worst(errors)
  t.ok(worst > 0 and worst < 0.02, string.format("64 channels mixed at random come back within %.1e", worst))
end

-- A layer of one's own is rounded once on each way.
do
  local scaling = hl.nn.invertible("test.scaling", {
    fields = {},
    forward = function(_, b, x1, x2) return x2, op.mul(x1, op.exp(b:param("a", { 1 }))) end,
    inverse = function(_, b, y1, y2) return op.div(y2, op.exp(b:param("a", { 1 }))), y1 end,
  })
  local step = trainer(network { coupling = scaling {} }, {})
  t.ok(step:run(batch_of(2)).loss > 0, "a layer of one's own computes in f32 on such a state")
  local m = model.new(network { coupling = scaling {} }, { seed = 2, precision = "bf16" })
  m:draw { size = SIZE16 }
  for _, p in ipairs(m:parameters()) do
    if p.name:find "%.a$" then p.tensor:fill(-0.1) end
  end
  local errors = guard.new(m, { batch = 1, size = SIZE16 }):measure(normal({ 1, 1, 16, 16, 16 }, 1))
  local worst = guard.worst(errors)
  t.ok(worst > 0 and worst < 0.02, string.format("and is undone within %.1e", worst))
end

-- Slabs, and memory.
do
  local batch = batch_of(2)
  local spec = network {}
  local whole, m = trainer(spec, {})
  local sliced = trainer(spec, { slabs = { ["model[2].iunet.up[1]"] = 4, ["model[2].iunet.down[1]"] = 5 } })
  local a, b = whole:run(batch), sliced:run(batch)
  t.near(a.loss, b.loss, 1e-3, "slabs change the loss by rounding alone")
  local off = distance(sliced.gradients, whole.gradients)
  t.ok(off < 0.03, string.format("and the gradients: %.2f %%", 100 * off))
  local wide = trainer(spec, { precision = "f32" })
  local fat, lean = wide:plan().bytes.state, whole:plan().bytes.state
  t.ok(lean < 0.75 * fat, string.format("the state takes %.2f of the memory of f32", lean / fat))
  for i = 1, 12 do
    a = whole:run(batch)
    whole:update(5e-3)
    if i == 1 then b = a end
  end
  t.ok(a.loss < 0.8 * b.loss, string.format("training lowers the loss: %.3f, %.3f", b.loss, a.loss))
  t.is(m:parameters()[1].tensor.dtype, "f32", "weights stay f32")
end

-- ---- other networks, and what is predicted ----

for _, name in ipairs { "unet", "resunet" } do
  local batch, found = batch_of(2), {}
  for _, precision in ipairs { "f32", "bf16" } do
    local spec = hl.nn[name] { channels = { 4, 8 }, dropout = 0.1 }
    local step, m = trainer(spec, { precision = precision })
    local first = step:run(batch)
    for _ = 1, 8 do
      step:update(1e-2)
      step:run(batch).probability:free()
    end
    found[precision] = { first = first.loss, last = step:run(batch).loss, state = step:plan().bytes.state,
      probability = m:predictor({ batch = 2, size = SIZE16 }):run(batch.image) }
  end
  local f32, bf16 = found.f32, found.bf16
  t.near(bf16.first, f32.first, 1e-2, name .. ": the loss of bf16 is that of f32")
  t.ok(bf16.last < bf16.first and math.abs(bf16.last - f32.last) < 0.1 * f32.last,
    string.format("and falls like it: %.3f to %.3f, f32 to %.3f", bf16.first, bf16.last, f32.last))
  t.ok(bf16.state < 0.62 * f32.state, string.format("in %.2f of the memory", bf16.state / f32.state))
  t.is(bf16.probability.dtype, "f32", "probabilities are f32")
  local off = distance({ bf16.probability }, { f32.probability })
  t.ok(off < 0.15, string.format("and near those of f32: %.1e", off))
end

-- ---- a run ----

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))

local function run_of(o)
  local spec = experiment.new {
    name = "narrow", seed = 3, data = toy.source {}, split = { train = 0.6 },
    model = network { channels = { 4, 8 }, couplings = { 2, 2 }, heads = { scales = { 1 } } },
    loss = hl.loss.bce {}, optim = hl.optim.adam { rate = o.rate },
    train = { epochs = 2, batch = 3, precision = "bf16", guard = { every = 1 } },
  }
  local lines = {}
  local bar = progress.new { bar = false, out = function(line) lines[#lines + 1] = line end }
  local set, sides = train.data(spec, bar)
  local ready = train.prepare(spec)
  assert(train.run(spec, { out = folder .. "/run.h5", bar = bar, set = set, sides = sides, ready = ready }))
  local run = assert(archive.run_read(folder .. "/run.h5"))
  os.remove(folder .. "/run.h5")
  return run, table.concat(lines, "\n")
end

do
  local run, text = run_of { rate = 1e-3 }
  t.ok(run.experiment:find('precision = "bf16"', 1, true), "the archive says in which precision")
  local weights = {}
  for _, w in pairs(run.weights.last) do weights[w.dtype] = true end
  for _, w in pairs(run.optimiser) do weights[w.dtype] = true end
  t.ok(weights.f32 and not weights.bf16, "weights and optimiser are f32 there")
  t.is(run.curves.clipped, nil, "a usual run cuts nothing off")
  t.ok(text:find("states come back within 0.0e+00", 1, true), "its states come back bit for bit")
  run, text = run_of { rate = 30 } -- weights far beyond reason
  t.ok(run.curves.clipped, "one whose state leaves the range is archived")
  local places, total = {}, 0
  for place, column in pairs(run.curves.clipped or {}) do
    if place ~= "step" then
      places[#places + 1] = place
      for _, n in pairs(column) do total = total + n end
    end
  end
  t.ok(total > 0 and places[1]:find "^model%[2%]%.iunet", "with counts of the level: " .. tostring(places[1]))
  t.ok(text:find "epoch %d: %d+ numbers of the 16%-bit state left its range and were cut off, most at model",
    "and told")
end
os.remove(folder)

t.done()
