-- Losses where they are used: with masks, at several scales, in a trainer, and with wrong values. Their numbers are
-- compared with references in tests/golden/golden_losses.lua.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local model = require "hilum.model"

local op = engine.op

local function image(list, shape)
  return engine.from(list, { dtype = "f64" }):reshape(shape):dense "image"
end

local function random(shape, item, low, high)
  local tensor = engine.zeros(shape, { dtype = "f64", layout = "image" })
  return engine.rng(7, "loss", 0, item):fill_uniform(tensor, low, high) and tensor
end

-- Value and gradient of a term.
local function measured(term, logits, truth, valid)
  local p = engine.program { live = true }
  local x = p:bind("x", logits, true)
  local l = term:build(x, truth, valid)
  return l:tensor():table()[1], p:gradient(l, { x })[1]:tensor()
end

local terms = {
  { "dice", hl.loss.dice {} },
  { "dice, squared", hl.loss.dice { squared_pred = true, batch = true } },
  { "dice, softmax", hl.loss.dice { activation = "softmax", include_background = false } },
  { "jaccard", hl.loss.jaccard { class_weights = { 1, 2, 3 } } },
  { "tversky", hl.loss.tversky { alpha = 0.3, beta = 0.7 } },
  { "generalized dice", hl.loss.generalized_dice { activation = "softmax" } },
  { "bce", hl.loss.bce {} },
  { "bce, weighted", hl.loss.bce { pos_weight = { 1, 2, 0.5 } } },
  { "cross entropy", hl.loss.cross_entropy { class_weights = { 1, 2, 0.5 }, label_smoothing = 0.1 } },
  { "focal", hl.loss.focal { alpha = 0.25 } },
  { "focal, softmax", hl.loss.focal { activation = "softmax", gamma = 0.5 } },
  { "a sum", hl.loss.dice {} + 0.5 * hl.loss.focal { gamma = 0 } },
}

-- ---- what is not valid does not matter ----

-- Truth of three classes, one of them in each voxel.
local indices = op.affine(random({ 2, 1, 3, 2, 4 }, 1, 0, 1), { scale = 2.99 })
for i, k in ipairs(indices:table()) do
  local at = { (i - 1) // 24 + 1, 1, (i - 1) // 8 % 3 + 1, (i - 1) // 4 % 2 + 1, (i - 1) % 4 + 1 }
  at[6] = math.floor(k)
  indices:set(table.unpack(at))
end
local one_hot = op.equal(indices, image({ 0, 1, 2 }, { 1, 3, 1, 1, 1 }))

for _, one in ipairs(terms) do
  local name, term = one[1], one[2]
  local logits = random({ 2, 3, 3, 2, 4 }, 2, -2, 2)
  local valid = engine.zeros({ 2, 1, 3, 2, 4 }, { dtype = "f64", layout = "image" }):fill(1)
  valid:slice("z", 3, 3):fill(0)
  local l, g = measured(term, logits, one_hot, valid)
  t.near(measured(term, logits, indices, valid), l, 1e-14,
    name .. ": class indices are as good as one channel per class")
  local changed, other = logits:clone(), one_hot:clone()
  changed:slice("z", 3, 3):fill(5)
  other:slice("z", 3, 3):fill(1)
  t.near(measured(term, changed, other, valid), l, 1e-14, name .. ": what is not valid does not matter")
  local s = g:slice("z", 3, 3):stats()
  t.ok(s.min == 0 and s.max == 0, name .. ": and gets no gradient")
  local cut = measured(term, logits:slice("z", 1, 2):dense(), one_hot:slice("z", 1, 2):dense(),
    valid:slice("z", 1, 2):dense())
  t.near(cut, l, 1e-14, name .. ": the loss is that of the valid part alone")
  local none = measured(term, logits, one_hot, engine.zeros({ 2, 1, 3, 2, 4 }, { dtype = "f64", layout = "image" }))
  t.ok(none == none and math.abs(none) < math.huge, name .. ": where nothing is valid it is a number")
end

-- ---- worked out by hand ----

local x = image({ 0, 0, 0, 0 }, { 1, 1, 1, 1, 4 })
local truth = image({ 1, 0, 0, 0 }, { 1, 1, 1, 1, 4 })
local valid = image({ 1, 1, 1, 1 }, { 1, 1, 1, 1, 4 })
t.near(measured(hl.loss.dice { smooth_nr = 0, smooth_dr = 0 }, x, truth, valid), 1 - 1 / 3, 1e-15,
  "dice: 1 - 2·0.5 / 3")
t.near(measured(hl.loss.dice {}, x, truth, valid), 1 - 2 / 4, 1e-15, "dice, smooth by default")
t.near(measured(hl.loss.bce {}, x, truth, valid), math.log(2), 1e-15, "bce of probability 1/2")
t.near(measured(hl.loss.bce { pos_weight = 3, reduction = "sum" }, x, truth, valid), 6 * math.log(2), 1e-14,
  "weighted bce, summed")
t.near(measured(hl.loss.focal {}, x, truth, valid), math.log(2) / 4, 1e-15, "focal: a quarter of it")
local large = image({ 90, -90, 80, -80 }, { 1, 1, 1, 1, 4 })
local all, gradient = measured(hl.loss.bce {}, large:to "f32", truth:to "f32", valid:to "f32")
t.near(all, 20, 1e-5, "large logits do not overflow")
t.is(gradient:stats().nan, 0, "nor do their gradients")

-- ---- in f32, sure voxels keep their digits ----

local function voxel(number) return image({ number }, { 1, 1, 1, 1, 1 }):to "f32" end
local sure = measured(hl.loss.bce {}, voxel(10), voxel(1), voxel(1))
t.near(sure / math.log(1 + math.exp(-10)), 1, 1e-6, "bce of a sure voxel in f32")

-- ---- in a trainer, at several scales ----

local function batch(size)
  local shape = { 2, 1, table.unpack(size) }
  return { image = random(shape, 3, -1, 1):to "f32", truth = random(shape, 4, 0, 1):to "f32",
    valid = random(shape, 5, 1, 1):to "f32" }
end

for _, one in ipairs {
  { "dice", hl.loss.dice {} }, { "jaccard", hl.loss.jaccard {} }, { "tversky", hl.loss.tversky {} },
  { "generalized dice", hl.loss.generalized_dice {} }, { "weighted bce", hl.loss.bce { pos_weight = 2 } },
  { "focal", hl.loss.focal {} }, { "dice and focal", hl.loss.dice {} + hl.loss.focal {} },
} do
  local net = model.new(hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } }, { seed = 1 })
  local loss = hl.loss.multiscale { term = one[2], weights = "halving" }
  local step = net:trainer { loss = loss, optim = hl.optim.adam {}, batch = 2, size = { 4, 4, 4 } }
  local data = batch { 4, 4, 4 }
  local first, last
  for _ = 1, 8 do
    last = step:run(data).loss
    first = first or last
    step:update(1e-2)
  end
  t.ok(last < first, string.format("%s at two scales: falls from %.4f to %.4f", one[1], first, last))
end

-- ---- wrong values ----

local function refuses(code, pattern)
  t.raises(function() assert(load("local hl = require 'hilum' return " .. code))() end, pattern, code)
end

refuses("hl.loss.dice { smooth = 1 }", "unknown key 'smooth'")
refuses("hl.loss.dice { activation = 'tanh' }", "activation: expected one of")
refuses("hl.loss.dice { class_weights = { -1 } }", "class_weights%[1%]: expected a number >= 0")
refuses("hl.loss.dice { reduction = 'none' }", "reduction: expected one of")
refuses("hl.loss.tversky { alpha = -1 }", "alpha: expected a number >= 0")
refuses("hl.loss.bce { pos_weight = 0 }", "pos_weight: expected a number > 0")
refuses("hl.loss.focal { gamma = -1 }", "gamma: expected a number >= 0")
refuses("hl.loss.focal { alpha = 2 }", "alpha: expected a number >= 0 and <= 1")
refuses("hl.loss.cross_entropy { label_smoothing = 2 }", "label_smoothing: expected a number")
refuses("hl.loss.cross_entropy { ignore_index = 0.5 }", "ignore_index: expected an integer")
refuses("hl.loss.generalised_dice {}", "nil value")

local three = random({ 1, 3, 1, 2, 2 }, 6, -1, 1)
local here = image({ 1, 1, 1, 1 }, { 1, 1, 1, 2, 2 })
local two = random({ 1, 2, 1, 2, 2 }, 6, 0, 1)
t.raises(function() measured(hl.loss.dice { class_weights = { 1, 2 } }, three, here, here) end,
  "2 numbers for the classes, but there are 3", "weights of other classes")
t.raises(function() measured(hl.loss.bce {}, three, two, here) end,
  "the truth has 2 channels and the prediction 3: it takes as many, or one of class indices", "another truth")
t.raises(function() measured(hl.loss.cross_entropy {}, here, here, here) end,
  "is for several classes; hl.loss.bce", "cross entropy of one channel")
t.raises(function() measured(hl.loss.cross_entropy { ignore_index = 1 }, three, three, here) end,
  "ignore_index needs a truth of class indices", "ignored classes without classes")
t.raises(function()
  local heads = { { stride = { 1, 1, 1 }, logits = three } }
  hl.loss.multiscale { term = hl.loss.dice {} }:build_scales(nil, heads, here, here)
end, "needs a truth with one channel per class", "class indices at several scales")

t.done()
