-- Invertible networks: every option has true gradients and an exact inverse; layers of one's own; refusals.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local model = require "hilum.model"

local op = engine.op
local loss = hl.loss.multiscale { term = hl.loss.dice {} + 0.5 * hl.loss.bce {}, weights = "equal" }

local function random(shape, seed, dtype, low, high)
  local x = engine.zeros(shape, { dtype = dtype, layout = "image" })
  engine.rng(seed, "random", 0, 0):fill_uniform(x, low or -1, high or 1)
  return x
end

local function batch_of(size, dtype)
  local shape = { 2, 1, size[1], size[2], size[3] }
  local valid = engine.zeros(shape, { dtype = dtype, layout = "image" }):fill(1)
  return { image = random(shape, 1, dtype), truth = random(shape, 2, dtype, 0, 1), valid = valid }
end

local function shake(m, by)
  for i, p in ipairs(m:parameters()) do
    local noise = engine.zeros(p.tensor.shape, { dtype = p.tensor.dtype })
    engine.rng(11, "shake", 0, i):fill_normal(noise, 0, by or 0.2)
    p.tensor:copy_(p.tensor + noise)
  end
end

local function largest(x)
  local s = x:stats()
  if s.nan + s.infinite > 0 then return math.huge end
  return math.max(math.abs(s.min), math.abs(s.max))
end

local function net(o)
  o.channels, o.couplings = o.channels or { 4, 8 }, o.couplings or { 2, 1 }
  return hl.nn.iunet(o)
end

local function chain(n)
  return hl.nn.chain { hl.nn.conv { out = n.channels[1] }, n }
end

-- ---- gradients against difference quotients along a random direction, in f64 ----

local function directional_error(n, size)
  local m = model.new(chain(n), { seed = 3, dtype = "f64" })
  local step = m:trainer { loss = loss, optim = hl.optim.adam {}, batch = 2, size = size }
  shake(m)
  local batch, along, directions = batch_of(size, "f64"), 0, {}
  step:run(batch)
  for i, p in ipairs(m:parameters()) do
    directions[i] = engine.zeros(p.tensor.shape, { dtype = "f64" })
    engine.rng(13, "direction", 0, i):fill_normal(directions[i], 0, 1)
    along = along + op.sum(op.mul(directions[i], step.gradients[i])):table()[1]
  end
  local eps, sides = 1e-6, {}
  for s, by in ipairs { eps, -2 * eps } do
    for i, p in ipairs(m:parameters()) do p.tensor:copy_(p.tensor + op.affine(directions[i], { scale = by })) end
    sides[s] = step:run(batch).loss
  end
  local quotient = (sides[1] - sides[2]) / (2 * eps)
  return math.abs(quotient - along) / math.max(math.abs(quotient), 1e-3)
end

-- x comes back from y and from the codes.
local function inverse_error(n, size, dtype)
  local m = model.new(chain(n), { seed = 5, dtype = dtype or "f64" })
  local c = m:codec { batch = 2, size = size }
  shake(m)
  local x = random({ 2, n.channels[1], size[1], size[2], size[3] }, 4, dtype or "f64")
  local codes = c:encode(x)
  local numbers = 0
  for _, code in ipairs(codes) do numbers = numbers + #code end
  return largest(c:inverse(c:decode(codes)) - x) / largest(x), numbers, #x
end

-- One's own function and layers, as a module would declare them.
local own_inner = hl.schema.constructor("test.blur", {
  doc = "A convolution and a tanh.", family = "inner", fields = { gain = hl.schema.number { default = 2 } },
  methods = {
    build = function(self, b, x, out)
      local weight = b:param("own", { out, x.shape[2], 1, 3, 3 }, function(tensor, rng)
        rng:fill_normal(tensor, 0, 0.3)
      end)
      return op.affine(op.tanh(op.conv(x, weight, { padding = { 0, 1, 1 } })), { scale = self.gain })
    end,
  },
})

local scaling = hl.nn.invertible("test.scaling", {
  doc = "(x1, x2) → (x2, x1·exp(tanh(a))), a learnt.",
  fields = {},
  forward = function(_, b, x1, x2) return x2, op.mul(x1, op.exp(op.tanh(b:param("a", { 1 })))) end,
  inverse = function(_, b, y1, y2) return op.div(y2, op.exp(op.tanh(b:param("a", { 1 })))), y1 end,
})

for _, case in ipairs {
  { "Cayley, Haar start", {} },
  { "matrix exponential", { resampling = { method = "exp" }, mixing = { method = "exp" } } },
  { "Householder", { resampling = { method = "householder" }, mixing = { method = "householder" } } },
  { "random starts", { resampling = { start = "random" }, mixing = { start = "random", method = "exp" } } },
  { "a given matrix",
    { resampling = { method = "exp", matrix = { { 0, 1 }, { -1, 0 } } }, strides = { { 1, 1, 2 } } } },
  { "a given matrix by reflections",
    { resampling = { method = "householder", matrix = { { 0, 1 }, { -1, 0 } } }, strides = { { 1, 2, 1 } } } },
  { "pixel shuffle, nothing learnt", { resampling = { start = "pixel_shuffle", learnable = false },
    mixing = { learnable = false } } },
  { "stride 3", { strides = { { 1, 3, 1 } } }, { 2, 6, 2 } },
  { "mixing after every coupling", { mixing = { frequency = 1 } } },
  { "no mixing", { mixing = false } },
  { "double form", { coupling = hl.nn.additive { form = "double" } } },
  { "double form, odd channels", { channels = { 5, 8 }, coupling = hl.nn.additive { form = "double" } } },
  { "group normalisation, ReLU",
    { coupling = hl.nn.additive { inner = hl.nn.inner { norm = "group", activation = "softplus" } } } },
  { "batch normalisation", { coupling = hl.nn.additive { inner = hl.nn.inner { norm = "batch" } } } },
  { "no normalisation, tanh, depth 3",
    { coupling = hl.nn.additive { inner = hl.nn.inner { norm = "none", activation = "tanh", depth = 3 } } } },
  { "kernel 1, F = 0 at the start", { coupling = hl.nn.additive { inner = hl.nn.inner { kernel = 1, zero = true } } } },
  { "2-D", { dimensions = 2 }, { 1, 4, 6 } },
  { "1-D", { dimensions = 1 }, { 1, 1, 8 } },
  { "other couplings on the way up", { couplings_up = { 1, 3 } } },
  { "odd channels at the deepest level", { channels = { 4, 9 }, strides = { { 1, 1, 3 } }, couplings = { 1, 1 } },
    { 2, 2, 6 } },
  { "heads at both scales", { heads = { scales = { 1, 2 } } } },
  { "one's own F", { coupling = hl.nn.additive { inner = own_inner {} } } },
  { "one's own layer", { coupling = scaling {} } },
} do
  local size = case[3] or { 4, 4, 4 }
  local gradient = directional_error(net(case[2]), size)
  t.ok(gradient < 1e-5, string.format("%s: gradients equal difference quotients (%.1g)", case[1], gradient))
  local inverse, codes, numbers = inverse_error(net(case[2]), size)
  t.ok(inverse < 1e-9, string.format("%s: the inverse is exact (%.1g)", case[1], inverse))
  t.is(codes, numbers, case[1] .. ": the codes hold as many numbers as the input")
end

-- ---- padding ----

for _, mode in ipairs { "constant", "reflect", "replicate" } do
  local n = net { padding = { mode = mode, value = mode == "constant" and 0.5 or 0 }, heads = { scales = { 1, 2 } } }
  local err = directional_error(n, { 3, 5, 4 })
  t.ok(err < 1e-5, string.format("padding %s: gradients equal difference quotients (%.1g)", mode, err))
  local y = model.new(chain(n)):predictor { batch = 1, size = { 3, 5, 4 } }:run(random({ 1, 1, 3, 5, 4 }, 1, "f32"))
  t.is(table.concat(y.shape, "×"), "1×1×3×5×4", "padding " .. mode .. ": a prediction has the image's size")
end
do
  local err = inverse_error(net { padding = { mode = "replicate", revert = false } }, { 3, 5, 4 })
  t.ok(err < 1e-10, string.format("padding that stays: the inverse is exact (%.1g)", err))
end

-- ---- rebuilt = stored ----

-- Gradients of one coupling with respect to its weights, rebuilt and stored: the same bits, because F sees y1 = x2
-- itself in both.
do
  local builder = require "hilum.nn.builder"
  local coupling = require "hilum.nn.coupling"
  local function weight_gradients(rebuild)
    local store = builder.store { dtype = "f32", seed = 9 }
    local p = engine.program()
    local b = builder.new(p, store)
    local x = { p:bind("x1", random({ 1, 4, 6, 6, 6 }, 1, "f32"), true),
      p:bind("x2", random({ 1, 4, 6, 6, 6 }, 2, "f32"), true) }
    local y = coupling.apply(b, x, { coupling = hl.nn.additive {}, rebuild = rebuild })
    local wrt = {}
    for i, one in ipairs(b.trainable) do wrt[i] = one.value end
    local objective = op.add(op.mean(op.square(y[1])), op.mean(op.square(y[2])))
    for _, g in ipairs(p:gradient(objective, wrt)) do p:output(g) end
    p:finish()
    return p:run {}
  end
  local rebuilt, stored, same = weight_gradients(true), weight_gradients(false), true
  for i, g in ipairs(rebuilt) do same = same and g:raw() == stored[i]:raw() end
  t.ok(same and #rebuilt == 6, "one coupling: rebuilt and stored weight gradients are the same bits")
end

-- Whole networks in f32, all gradients together: the relative error is at most c·depth·2⁻²⁴ with c = 8 (at most 3.5
-- was measured) where F is smooth, depth being the number of couplings. A leaky ReLU's kink can turn an error of
-- rounding into another slope at a voxel; that is rare and adds about 1e-4.
do
  local function gradients(n, backprop, spec)
    local o = { channels = { 8, 16 }, couplings = { n, n }, backprop = backprop }
    for key, part in pairs(spec) do o[key] = part end
    local m = model.new(chain(net(o)), { seed = 3 })
    local step = m:trainer { loss = loss, optim = hl.optim.adam {}, batch = 2, size = { 8, 8, 8 } }
    step:run(batch_of({ 8, 8, 8 }, "f32"))
    return step.gradients
  end
  local function total(x) return op.sum(op.square(x)):table()[1] end
  local tanh = hl.nn.inner { activation = "tanh" }
  for _, spec in ipairs {
    { coupling = hl.nn.additive { inner = hl.nn.inner { activation = "softplus" } } },
    { coupling = hl.nn.additive { form = "double", inner = tanh }, mixing = { method = "exp", start = "random" } },
  } do
    for _, n in ipairs { 1, 6 } do
      local a, b, off, size = gradients(n, "rebuild", spec), gradients(n, "store", spec), 0, 0
      for i = 1, #a do off, size = off + total(a[i] - b[i]), size + total(b[i]) end
      local c = math.sqrt(off / size) / (4 * n * 2.0 ^ -24)
      t.ok(c <= 8, string.format("%s form, depth %d: c = %.2g", spec.coupling.form, 4 * n, c))
    end
  end
end

-- ---- memory: flat in depth, as planned ----

do
  local size = { 24, 24, 24 }
  local function plan(n, spec)
    local o = { channels = { 16, 32 }, couplings = { n, n } }
    for key, part in pairs(spec) do o[key] = part end
    local step = model.new(chain(net(o))):trainer { loss = loss, optim = hl.optim.adam {}, batch = 1, size = size }
    local bytes = step:plan().bytes
    return bytes.peak - bytes.parameters - bytes.optimiser - bytes.gradients, bytes, step
  end
  for _, case in ipairs {
    { "mixing after every coupling", { mixing = { frequency = 1, method = "exp" } } },
    { "double form", { coupling = hl.nn.additive { form = "double" } } },
    { "batch normalisation", { coupling = hl.nn.additive { inner = hl.nn.inner { norm = "batch" } } } },
  } do
    local shallow, deep = plan(2, case[2]), plan(20, case[2])
    t.ok(deep <= 1.02 * shallow, string.format("%s: %d bytes at 2 couplings a level, %d at 20", case[1], shallow, deep))
  end
  local _, bytes, step = plan(2, { padding = { mode = "reflect" }, resampling = { method = "householder" } })
  local batch = batch_of(size, "f32")
  for name, x in pairs(batch) do batch[name] = x:slice(1, 1, 1):dense "image" end
  step:run(batch)
  step:update(1e-3)
  collectgarbage()
  local inputs = 3 * batch.image.bytes
  local base = engine.ledger().live.all
  engine.reset_peak()
  step:run(batch)
  local measured = engine.ledger().peak.all - base
  local promised = bytes.peak - bytes.parameters - bytes.optimiser - inputs
  t.ok(math.abs(measured - promised) <= 0.05 * promised,
    string.format("promised %d bytes, measured %d", promised, measured))
end

-- ---- dropout ----

do
  local function gradients(o)
    local coupling = hl.nn.additive { inner = hl.nn.inner { dropout = 0.4, activation = "tanh" } }
    local m = model.new(chain(net { coupling = coupling, couplings = { 3, 2 }, backprop = o.backprop }),
      { seed = 3, dtype = "f64" })
    local step = m:trainer { loss = loss, optim = hl.optim.adam {}, batch = 2, size = { 4, 4, 4 }, slabs = o.slabs }
    step.steps = o.step or 0
    local first = step:run(batch_of({ 4, 4, 4 }, "f64")).loss
    return step, first
  end
  local function worst(a, b)
    local most = 0
    for i, g in ipairs(a.gradients) do most = math.max(most, largest(b.gradients[i] - g) / largest(g)) end
    return most
  end
  local rebuilt, stored = gradients {}, gradients { backprop = "store" }
  t.ok(worst(stored, rebuilt) < 1e-10, "dropout: recomputation drops the same, rebuilt = stored")
  t.ok(worst(stored, gradients { slabs = { ["model[2].iunet"] = 2 } }) < 1e-10, "and in slabs")
  t.ok(worst(stored, gradients { step = 1 }) > 1e-3, "another step drops others")
  t.is(select(2, gradients { step = 7 }), select(2, gradients { step = 7 }), "the same step the same, bit for bit")
  local dropping = hl.nn.additive { inner = hl.nn.inner { dropout = 0.3 } }
  local err = directional_error(net { coupling = dropping }, { 4, 4, 4 })
  t.ok(err < 1e-6, string.format("its gradient is true (%.1g)", err))
  local m = model.new(hl.nn.chain { hl.nn.unet { channels = { 4, 8 }, dropout = 0.5 }, hl.nn.dropout {} }, { seed = 1 })
  local p = m:predictor { batch = 1, size = { 4, 4, 4 } }
  for _, line in ipairs(p.program:listing()) do
    if line:find "dropout" then t.ok(false, "nothing is dropped in a prediction") end
  end
  t.raises(function() hl.nn.dropout { rate = 1 } end, "rate: expected a number .*< 1", "everything cannot be dropped")
end

-- ---- slabs of z ----

-- Largest relative difference of the gradients with and without slabs, in f64.
local function slab_difference(inner, o)
  local gradients = {}
  for i, slabs in ipairs { false, o.slabs } do
    local coupling = hl.nn.additive { inner = inner, form = o.form }
    local m = model.new(chain(net { coupling = coupling, channels = { 4, 8 }, couplings = { 2, 2 },
      backprop = o.backprop }), { seed = 3, dtype = "f64" })
    local step = m:trainer { loss = hl.loss.dice {}, optim = hl.optim.adam {}, batch = 2, size = o.size,
      slabs = slabs or nil }
    shake(m)
    step:run(batch_of(o.size, "f64"))
    step.gradients, gradients[i] = nil, step.gradients
    if slabs then t.ok(#step.remarks >= 1, "what goes through slabs is said") end
    for k, change in ipairs(step.changed) do gradients[i][#gradients[i] + k] = change end
  end
  local worst = 0
  for i, g in ipairs(gradients[1]) do worst = math.max(worst, largest(gradients[2][i] - g) / largest(g)) end
  return worst
end

for _, case in ipairs {
  { "instance norm", {}, { size = { 8, 4, 6 },
    slabs = { ["model[2].iunet.down[1]"] = 3, ["model[2].iunet.up[1]"] = 3 } } },
  { "single slices", {}, { size = { 8, 4, 4 }, slabs = { ["model[2].iunet"] = 1 } } },
  { "double form", {}, { size = { 8, 4, 4 }, form = "double", slabs = { ["model[2].iunet"] = 2 } } },
  { "batch norm", { norm = "batch" }, { size = { 8, 4, 4 }, slabs = { ["model[2].iunet"] = 3 } } },
  { "no norm, another activation", { norm = "none", activation = "tanh" },
    { size = { 8, 4, 4 }, slabs = { ["model[2].iunet"] = 3 } } },
  { "three convolutions of 5", { depth = 3, kernel = { 5, 3, 3 } },
    { size = { 8, 4, 4 }, slabs = { ["model[2].iunet"] = 2 } } },
  { "an activation apart", { activation = "softplus" }, { size = { 8, 4, 4 }, slabs = { ["model[2].iunet"] = 3 } } },
  { "stored", {}, { size = { 8, 4, 4 }, backprop = "store", slabs = { ["model[2].iunet"] = 3 } } },
} do
  local worst = slab_difference(hl.nn.inner(case[2]), case[3])
  t.ok(worst < 1e-10, string.format("slabs, %s: the same gradients (%.1g)", case[1], worst))
end

do -- chosen by a budget
  local size = { 32, 32, 32 }
  local function trainer(budget, coupling)
    local m = model.new(chain(net { channels = { 8, 16 }, couplings = { 2, 2 }, coupling = coupling }), { seed = 3 })
    return m:trainer { loss = loss, optim = hl.optim.adam {}, batch = 1, size = size, budget = budget }
  end
  local free = trainer():plan().bytes.peak
  t.ok(next(trainer(free).slabs) == nil, "a budget that suffices changes nothing")
  local tight = trainer(math.floor(free * 0.95))
  t.ok(tight and tight:plan().bytes.peak <= free * 0.95, "a smaller one is kept")
  t.ok(tight.slabs["model[2].iunet.down[1]"], "by slabs of the largest level")
  t.ok(#tight:plan().remarks > 0, "which the plan says")
  t.ok(tight:run { image = random({ 1, 1, 32, 32, 32 }, 1), truth = random({ 1, 1, 32, 32, 32 }, 2, nil, 0, 1),
    valid = engine.zeros({ 1, 1, 32, 32, 32 }, { layout = "image" }):fill(1) }, "and it runs")
  local none, err = trainer(free // 4)
  t.is(none, nil, "one that cannot be kept")
  t.like(err.message, "needs .* GiB at least, at .*model%[2%].* would fit", "is refused with what would fit")
  none, err = trainer(free // 4, hl.nn.additive { inner = hl.nn.inner { norm = "group" } })
  t.ok(none == nil and err.message:find "nothing in this network can go through slabs", "or why nothing helps")
end

-- ---- bad input ----

for _, case in ipairs {
  { { channels = { 4, 8 }, strides = { { 1, 1, 1 } } }, "strides%[1%]: 1 along every axis", "a stride of nothing" },
  { { channels = { 4, 8 }, strides = { { 2, 2, 2 } }, dimensions = 2 }, "has no z: expected 1 there, got 2",
    "a stride along a missing axis" },
  { { channels = { 1, 8 } }, "channels%[1%]: expected an integer >= 2", "a single channel cannot be split" },
  { { couplings_up = { 1, 2, 3 } }, "couplings_up: expected 2", "couplings for levels that are not there" },
  { { resampling = { start = "given" } }, "missing: expected the rows of a matrix", "no matrix given" },
  { { resampling = { matrix = { { 1, 0 }, { 0, 1 } } } }, "has 2 rows, but stride 2,2,2 has 8 voxels",
    "a matrix of another size" },
  { { resampling = { matrix = { { 1, 1 }, { 0, 1 } } }, strides = { { 1, 1, 2 } } }, "is not orthogonal",
    "a matrix that is not orthogonal" },
  { { resampling = { matrix = { { 1, 0 }, { 0, -1 } } }, strides = { { 1, 1, 2 } } }, "has the eigenvalue %-1",
    "a reflection is no rotation" },
  { { resampling = { method = "householder", matrix = { { 1, 0 }, { 0, -1 } } }, strides = { { 1, 1, 2 } } },
    "determinant %-1", "nor for reflections in pairs" },
  { { resampling = { method = "caley" } }, "did you mean \"cayley\"", "a misspelt method" },
  { { mixing = { frequency = -2 } }, "frequency: expected an integer >= %-1", "a frequency of -2" },
  { { coupling = hl.nn.conv { out = 4 } }, "coupling: expected a value of the family 'coupling'",
    "a layer that is not invertible" },
  { { padding = { mode = "circular" } }, "expected one of", "a padding mode that is not offered" },
} do
  t.raises(function() net(case[1]) end, case[2], case[3])
end
t.raises(function() hl.nn.inner { kernel = { 3, 2, 3 } } end, "must be odd, got 2 along y", "an even kernel")
t.raises(function() hl.nn.inner { groups = 2 } end, "only norm = \"group\" has groups", "groups without their norm")
t.raises(function()
  model.new(chain(net { padding = { mode = "reflect" }, channels = { 4, 8, 16 }, couplings = { 1, 1, 1 } }))
    :predictor { batch = 1, size = { 1, 5, 5 } }
end, "reflect can add at most", "a size that reflection cannot serve")

local wrong = hl.nn.invertible("test.wrong", {
  fields = {},
  forward = function(_, _, x1, x2) return x2, op.add(x1, op.square(x2)) end,
  inverse = function(_, _, y1, y2) return op.sub(y2, op.affine(op.square(y1), { scale = 1.001 })), y1 end,
})
t.raises(function() model.new(chain(net { coupling = wrong {} })):predictor { batch = 1, size = { 4, 4, 4 } } end,
  "test.wrong: its inverse is not its inverse: .* differs from x by %d", "an inverse that is none")
local nan = hl.nn.invertible("test.nan", {
  fields = {},
  forward = function(_, _, x1, x2) return op.log(x1), x2 end,
  inverse = function(_, _, y1, y2) return op.exp(y1), y2 end,
})
t.raises(function() model.new(chain(net { coupling = nan {} })):predictor { batch = 1, size = { 4, 4, 4 } } end,
  "its inverse is not its inverse", "a layer that makes NaN")
t.raises(function() hl.nn.invertible("test.half", { fields = {}, forward = function() end }) end,
  "expected a name and { fields", "a layer without an inverse")
t.raises(function()
  local m = model.new(hl.nn.unet { channels = { 3, 4 } })
  m:codec { batch = 1, size = { 4, 4, 4 } }
end, "holds no invertible network", "a network that cannot be inverted")
do
  local m = model.new(chain(net {}))
  m:predictor { batch = 1, size = { 4, 4, 4 } }
  local weights = {}
  for name, w in pairs(m:weights()) do weights[name] = w:clone() end
  weights["model[1].bias"]:set(2, 0 / 0)
  t.raises(function() m:load_weights(weights) end, "the weights 'model%[1%].bias' hold 1 numbers that are not finite",
    "weights that are not finite")
end

-- ---- the modules that the documentation shows ----

do
  local file = assert(io.open((os.getenv "HILUM_SOURCE" or ".") .. "/docs/invertible.md"))
  local text, made = file:read "a", {}
  file:close()
  for block in text:gmatch "```lua\n(.-)```" do made[#made + 1] = assert(load(block))() end
  t.is(#made, 2, "two modules are shown")
  for _, coupling in ipairs { hl.nn.additive { inner = made[1] {} }, made[2] {} } do
    local err = inverse_error(net { coupling = coupling }, { 4, 4, 4 })
    t.ok(err < 1e-9, string.format("and work: the inverse is exact (%.1g)", err))
  end
end

-- ---- what is said ----

t.is(hl.nn.iunet { channels = { 3, 7, 12 }, couplings = { 1, 1, 1 } }:remark(),
  "channels 3, 8, 16 are the closest that can be had to 3, 7, 12", "channels that differ from the wish are said")
t.is(hl.nn.iunet {}:remark(), nil, "channels as wished are not")

do
  local m = model.new(chain(net { channels = { 3, 7 }, couplings = { 1, 1 }, heads = { scales = { 1, 2 } } }))
  t.ok(tostring(m):find "without shapes yet", "a model that was never traced says so")
  local text = m:draw { size = { 8, 8, 8 } }
  t.ok(text:find("3 × 8 × 8 × 8  6 KiB  ", 1, true), "the U has shapes and bytes")
  t.ok(text:find("↘ 8 × 4 × 4 × 4  2 KiB  %d+ parameters .-▷ 8 × 4 × 4 × 4"), "one line a level")
  t.ok(text:find "head at stride 2,2,2", "and heads")
  t.ok(text:find "channels 3, 8 are the closest that can be had to 3, 7", "and what differs from the wish")
  t.diag(text)
end

do
  local m = model.new(hl.nn.resunet { channels = { 3, 5 }, heads = { scales = { 1, 2 } } }, { seed = 1 })
  m:predictor { batch = 1, size = { 4, 4, 4 } }
  local found = false
  for _, p in ipairs(m:parameters()) do found = found or p.name:find "shortcut" end
  t.ok(found, "the residual UNet projects where channels differ")
end

t.done()
