-- Networks as programs: shapes, parameters, true gradients, rebuilt = stored, plan = measured.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local model = require "hilum.model"

local function iunet(o)
  return hl.nn.chain {
    hl.nn.conv { out = o.channels[1] },
    hl.nn.iunet {
      channels = o.channels, couplings = o.couplings, strides = o.strides, backprop = o.backprop,
      heads = { scales = o.scales or { 1 } },
    },
  }
end

local function unet(o)
  return hl.nn.unet { channels = o.channels, strides = o.strides, heads = { scales = o.scales or { 1 } } }
end

local function random_batch(batch, size, dtype)
  local shape = { batch, 1, size[1], size[2], size[3] }
  local function new(item, low, high)
    local tensor = engine.zeros(shape, { dtype = dtype, layout = "image" })
    return engine.rng(5, "batch", 0, item):fill_uniform(tensor, low, high) and tensor
  end
  local truth = new(2, 0, 1)
  local valid = engine.zeros(shape, { dtype = dtype, layout = "image" }):fill(1)
  valid:slice("z", 1, 1):fill(0)
  return { image = new(1, -1, 1), truth = truth, valid = valid }
end

local loss = hl.loss.multiscale { term = hl.loss.dice {} + 0.5 * hl.loss.bce {}, weights = "learned" }

-- Moves every parameter away from its start, so that no scale is 1 and no rotation the identity.
local function shake(m)
  for i, p in ipairs(m:parameters()) do
    local noise = engine.zeros(p.tensor.shape, { dtype = p.tensor.dtype })
    engine.rng(11, "shake", 0, i):fill_normal(noise, 0, 0.2)
    p.tensor:copy_(p.tensor + noise)
  end
end

local function trained(spec, o)
  local m = model.new(spec, { seed = 3, dtype = o.dtype })
  local step = m:trainer { loss = o.loss or loss, optim = hl.optim.adam {}, batch = o.batch or 2, size = o.size }
  shake(m)
  return m, step, random_batch(o.batch or 2, o.size, o.dtype)
end

-- ---- the network that the side-by-side benchmark describes ----

do
  local spec = iunet { channels = { 16, 32, 64, 128 }, couplings = { 2, 2, 2, 2 } }
  local m = model.new(spec, { seed = 1 })
  m:predictor { batch = 1, size = { 16, 16, 16 } }
  t.is(m:parameter_count(), 1191761, "iUNet 16-32-64-128 with 2 couplings has the benchmark's parameter count")
  t.is(#spec[2]:plan(), 4, "four levels")
  t.is(spec[2]:plan()[1].skip, 12, "12 of 16 channels are kept at the first level")
end

-- ---- gradients against difference quotients, in f64, through the slow reference of every op ----

local function directional_error(spec, o)
  local m, step, batch = trained(spec, { dtype = "f64", size = o.size, loss = o.loss, batch = 2 })
  local before = step:run(batch)
  local along, gradients = 0, {}
  for i, g in ipairs(step.gradients) do gradients[i] = g end
  local directions = {}
  for i, p in ipairs(m:parameters()) do
    local d = engine.zeros(p.tensor.shape, { dtype = "f64" })
    engine.rng(13, "direction", 0, i):fill_normal(d, 0, 1)
    directions[i] = d
    along = along + engine.op.sum(engine.op.mul(d, gradients[i])):table()[1]
  end
  local eps, sides = 1e-6, {}
  for s, sign in ipairs { 1, -1 } do
    for i, p in ipairs(m:parameters()) do
      p.tensor:copy_(p.tensor + engine.op.affine(directions[i], { scale = sign * eps * (s == 1 and 1 or 2) }))
    end
    sides[s] = step:run(batch).loss
  end
  local quotient = (sides[1] - sides[2]) / (2 * eps)
  return math.abs(quotient - along) / math.max(math.abs(quotient), 1e-3), before.loss
end

for _, case in ipairs {
  { "iUNet, rebuilt", iunet { channels = { 4, 8 }, couplings = { 2, 1 }, scales = { 1, 2 } }, { 4, 4, 4 } },
  { "iUNet, stored", iunet { channels = { 4, 8 }, couplings = { 2, 1 }, scales = { 1, 2 }, backprop = "store" },
    { 4, 4, 4 } },
  { "iUNet, odd channels, flat stride",
    iunet { channels = { 5, 8 }, couplings = { 3, 2 }, strides = { { 1, 2, 2 } }, scales = { 1, 2 } }, { 2, 4, 4 } },
  { "UNet", unet { channels = { 3, 5 }, scales = { 1, 2 } }, { 4, 4, 4 } },
  { "residual UNet", hl.nn.resunet { channels = { 3, 5 }, heads = { scales = { 1, 2 } } }, { 4, 4, 4 } },
} do
  local err = directional_error(case[2], { size = case[3] })
  t.ok(err < 1e-5, string.format("%s: gradient of all parameters equals the difference quotient (%.2g)", case[1], err))
end

-- ---- rebuilt and stored gradients ----

local function worst_difference(dtype, couplings)
  local results = {}
  for _, backprop in ipairs { "rebuild", "store" } do
    local spec = iunet { channels = { 8, 16, 32 }, couplings = couplings, scales = { 1, 2 }, backprop = backprop }
    local _, step, batch = trained(spec, { dtype = dtype, size = { 8, 8, 8 }, batch = 1 })
    local r = step:run(batch)
    results[backprop] = { loss = r.loss, gradients = step.gradients, names = step.parameters }
  end
  local worst, same = 0, true
  local a, b = results.rebuild.gradients, results.store.gradients
  for i = 1, #a do
    local difference = (a[i] - b[i]):stats()
    local scale = b[i]:stats()
    local largest = math.max(math.abs(scale.min), math.abs(scale.max), 1e-6)
    local err = math.max(math.abs(difference.min), math.abs(difference.max)) / largest
    worst = math.max(worst, err)
    same = same and err == 0
  end
  return worst, results.rebuild.loss == results.store.loss
end

for _, case in ipairs { { "f64", { 2, 2, 2 }, 1e-9 }, { "f32", { 2, 2, 2 }, 1e-3 }, { "f32", { 6, 6, 6 }, 5e-3 } } do
  local worst, same_loss = worst_difference(case[1], case[2])
  t.ok(worst <= case[3], string.format("%s, %d couplings a level: rebuilt and stored gradients differ by %.2g", case[1],
    case[2][1], worst))
  t.ok(same_loss, "their losses are the same bits")
end

-- ---- memory ----

local function peaks(couplings, backprop)
  local spec = iunet { channels = { 16, 32, 64 }, couplings = couplings, backprop = backprop }
  local m, step, batch = trained(spec, { size = { 24, 24, 24 }, batch = 1 })
  local plan = step:plan()
  step:run(batch)
  step.gradients = nil
  collectgarbage()
  collectgarbage()
  local inputs = batch.image.bytes + batch.truth.bytes + batch.valid.bytes
  local base = engine.ledger().live.all
  engine.reset_peak()
  step:run(batch)
  local measured = engine.ledger().peak.all - base
  local promised = plan.bytes.peak - plan.bytes.parameters - plan.bytes.optimiser - inputs
  return measured, promised, plan.bytes.state + plan.bytes.workspace, m
end

do
  local measured, promised, shallow = peaks({ 2, 2, 2 }, "rebuild")
  t.ok(math.abs(measured - promised) <= 0.05 * promised,
    string.format("promised %d bytes, measured %d", promised, measured))
  local _, _, deep = peaks({ 20, 20, 20 }, "rebuild")
  t.ok(deep <= 1.02 * shallow, string.format("activations: %d bytes at 2 couplings a level, %d at 20", shallow, deep))
  local _, _, stored = peaks({ 20, 20, 20 }, "store")
  t.ok(stored > 4 * deep, string.format("stored they would be %d", stored))
end

-- ---- learning, and the same bits for the same seed ----

local function a_few_steps()
  local m, step, batch = trained(iunet { channels = { 4, 8 }, couplings = { 1, 1 }, scales = { 1, 2 } },
    { size = { 4, 4, 4 } })
  local losses = {}
  for i = 1, 12 do
    losses[i] = step:run(batch).loss
    step:update(1e-2)
  end
  return losses, m:parameters()[1].tensor:raw()
end

do
  local first, weights = a_few_steps()
  t.ok(first[12] < first[1], string.format("the loss falls: %.4f to %.4f", first[1], first[12]))
  local again, weights_again = a_few_steps()
  t.ok(weights == weights_again and first[12] == again[12], "the same seed gives the same bits")
end

-- ---- prediction ----

do
  local m = model.new(iunet { channels = { 4, 8 }, couplings = { 1, 1 } }, { seed = 3 })
  local p = m:predictor { batch = 1, size = { 4, 6, 8 } }
  local y = p:run(random_batch(1, { 4, 6, 8 }).image)
  t.is(table.concat(y.shape, "×"), "1×1×4×6×8", "a prediction has the image's size")
  local s = y:stats()
  t.ok(s.min >= 0 and s.max <= 1 and s.nan == 0, "probabilities lie in [0, 1]")
end

-- ---- what goes wrong names the place ----

t.raises(function()
  model.new(iunet { channels = { 4, 8, 16 }, couplings = { 1, 1, 1 } }):predictor { batch = 1, size = { 4, 6, 8 } }
end, "size 6 along y is not divisible by the network's total stride 4", "a size the strides do not divide")
t.raises(function()
  model.new(hl.nn.chain { hl.nn.conv { out = 3 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 } } })
    :predictor { batch = 1, size = { 4, 4, 4 } }
end, "starts with 4 channels .* its input has 3", "the wrong number of channels")
t.raises(function() hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1, 1 } } end, "couplings: expected 2",
  "one number of couplings per level")
t.raises(function() hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 }, heads = { scales = { 1, 4 } } } end,
  "no level has the scale 4", "a head where there is no level")
t.raises(function() hl.nn.unet { chanels = { 4, 8 } } end, "did you mean 'channels'", "a misspelt key")

t.done()
