-- From probabilities to a mask: flips, thresholds, connected parts.
local tap = require "tap"
local hl = require "hilum"
local model = require "hilum.model"
local prediction = require "hilum.prediction"

-- Probabilities { 1, 1, z, y, x } of 0.1, and boxes { value, first, last } in them.
local function boxes(size, list)
  local t = hl.zeros({ 1, 1, size[1], size[2], size[3] }, { dtype = "f32", layout = "image" })
  t:fill(0.1)
  for _, box in ipairs(list) do
    local part = t
    for a = 1, 3 do part = part:slice(2 + a, box[2][a], box[3][a]) end
    part:fill(box[1])
  end
  return t
end

local function voxels(t, threshold)
  local mask = prediction.mask(t, threshold or 0.5)
  return math.floor(mask:stats().mean * #mask + 0.5)
end

-- ---- parts ----

-- A cube of 3³ in the middle of 9³, a slab of 4 · 9 = 36 voxels at its border, one voxel touching nothing.
local three = boxes({ 9, 9, 9 }, { { 0.9, { 4, 4, 4 }, { 6, 6, 6 } }, { 0.8, { 1, 1, 1 }, { 1, 4, 9 } },
  { 0.7, { 9, 9, 9 }, { 9, 9, 9 } } })
tap.is(voxels(three), 64, "three parts")
tap.ok(prediction.kept(three, { threshold = 0.5, keep = "all" }) == three, "all of them stay as they are")
local largest = prediction.kept(three, { threshold = 0.5, keep = "largest" })
tap.is(voxels(largest), 36, "the largest")
tap.near(largest:get(1, 1, 1, 2, 2), 0.8, 1e-7, "keeps its probabilities")
tap.near(largest:get(1, 1, 2, 9, 9), 0.1, 1e-7, "and so does what is below the threshold")
tap.is(largest:get(1, 1, 5, 5, 5), 0.0, "the others are gone")
local central = prediction.kept(three, { threshold = 0.5, keep = "central" })
tap.is(voxels(central), 27, "the one in the middle")
tap.near(central:get(1, 1, 5, 5, 5), 0.9, 1e-7, "keeps its probabilities")
tap.is(voxels(prediction.kept(three, { threshold = 0.85, keep = "largest" }), 0.5), 64,
  "parts are those above the threshold: at 0.85 there is one, and nothing is taken away")
tap.is(voxels(prediction.kept(three, { threshold = 0.5, keep = "central" }, { middle = { 8, 8, 8 } })), 1,
  "the middle may be elsewhere")

-- Beside the middle (5, 5, 5): along x 3 voxels away, along z 2.
local beside = boxes({ 9, 9, 9 }, { { 0.9, { 5, 5, 8 }, { 5, 5, 9 } }, { 0.9, { 7, 5, 5 }, { 7, 5, 5 } } })
tap.is(voxels(prediction.kept(beside, { threshold = 0.5, keep = "central" })), 1, "the nearest, in voxels")
tap.is(voxels(prediction.kept(beside, { threshold = 0.5, keep = "central" }, { spacing_mm = { 2.5, 1, 1 } })), 2,
  "and in millimetres: 3 · 1 mm is nearer than 2 · 2.5 mm")
-- A box around the middle that is empty there: an L whose corner is far, against a voxel that is near.
local ell = boxes({ 9, 9, 9 }, { { 0.9, { 5, 1, 1 }, { 5, 1, 9 } }, { 0.9, { 5, 1, 1 }, { 5, 9, 1 } },
  { 0.9, { 5, 5, 8 }, { 5, 5, 8 } } })
tap.is(voxels(prediction.kept(ell, { threshold = 0.5, keep = "central" })), 1, "voxels count, not boxes")
local even = boxes({ 4, 4, 4 }, { { 0.9, { 2, 2, 2 }, { 2, 2, 2 } }, { 0.9, { 4, 4, 4 }, { 4, 4, 4 } } })
tap.is(prediction.kept(even, { threshold = 0.5, keep = "central" }):get(1, 1, 4, 4, 4), 0.0,
  "the middle of an even size lies between voxels")
local corner = boxes({ 4, 4, 4 }, { { 0.9, { 1, 1, 1 }, { 2, 2, 2 } }, { 0.9, { 3, 3, 3 }, { 3, 3, 3 } } })
tap.is(voxels(prediction.kept(corner, { threshold = 0.5, keep = "central" })), 9, "a corner joins")
local nothing = boxes({ 4, 4, 4 }, {})
for _, keep in ipairs { "all", "largest", "central" } do
  tap.is(voxels(prediction.kept(nothing, { threshold = 0.5, keep = keep })), 0, "nothing stays nothing: " .. keep)
end

-- ---- flips ----

tap.same(prediction.combinations "", { "" }, "no flips")
tap.same(prediction.combinations "zx", { "", "z", "x", "zx" }, "all combinations of two axes")
tap.is(#prediction.combinations "zyx", 8, "and of three")

local image = hl.zeros({ 1, 1, 3, 4, 5 }, { dtype = "f32", layout = "image" })
hl.rng(3, "image", 0, 0):fill_uniform(image, 0, 1)
local calls = 0
-- Equivariant: the same at every voxel.
local function squared(t)
  calls = calls + 1
  return (hl.op.square(t))
end
local mean = prediction.averaged(image, "zyx", squared)
tap.is(calls, 8, "eight passes")
tap.ok(mean:near(squared(image), 1e-6), "a network that does not care about mirrors predicts the same")
-- Not equivariant: multiplied with the place along x, whose mean over both directions is (n + 1) / 2.
local ramp = hl.zeros(image.shape, { dtype = "f32", layout = "image" })
for x = 1, 5 do ramp:slice(5, x):fill(x) end
local function ramped(t) return (hl.op.mul(t, ramp)) end
tap.ok(prediction.averaged(image, "x", ramped):near(hl.op.affine(image, { scale = 3 }), 1e-6),
  "what depends on the place is averaged over both directions")
tap.ok(prediction.averaged(image, "zy", ramped):near(ramped(image), 1e-6), "other axes do not help there")
tap.ok(prediction.averaged(image, "", ramped):same(ramped(image)), "without flips nothing is done")
local failed, err = prediction.averaged(image, "x", function() return nil, "stopped" end)
tap.ok(failed == nil and err == "stopped", "a failure comes back")

-- A convolution with a kernel that is its own mirror image, and no bias: equivariant up to rounding.
local net = model.new(hl.nn.conv { out = 1, kernel = 3 }, { seed = 5 })
local predictor = net:predictor { batch = 1, size = { 3, 4, 5 } }
for _, item in ipairs(net:parameters()) do
  if #item.tensor == 27 then item.tensor:fill(0.25) end
end
local once = predictor:run(image)
tap.ok(prediction.averaged(image, "zyx", function(t) return predictor:run(t) end):near(once, 1e-6),
  "a symmetric convolution")

-- ---- all of it ----

local bad = hl.zeros({ 1, 1, 2, 2, 2 }, { dtype = "f32", layout = "image" })
bad:set(1, 1, 1, 1, 1, 0 / 0)
local none, nan = prediction.of(bad, { threshold = 0.5, keep = "all", flips = "" }, function(t) return t:clone() end,
  { what = "case 7" })
tap.ok(none == nil, "a prediction that is no number is refused")
tap.is(nan.code, "nan", "with a code")
tap.like(tostring(nan), "^case 7: the prediction holds 1 numbers that are none %(of 8 voxels%)$", "and named")
local raw, kept = prediction.of(three, { threshold = 0.5, keep = "central", flips = "zyx" },
  function(t) return t:clone() end)
tap.ok(raw:near(three, 1e-6), "probabilities before the parts are chosen")
tap.is(voxels(kept), 27, "and after")

-- ---- the experiment ----

local function experiment(predict)
  return hl.experiment { name = "x", data = hl.data.phantom { cases = 2, crop = 8 }, model = hl.nn.conv { out = 1 },
    loss = hl.loss.dice {}, optim = hl.optim.sgd { rate = 0.1 }, predict = predict }
end
local plain = experiment(nil).predict
tap.ok(plain.threshold == 0.5 and plain.keep == "all" and plain.flips == "", "an experiment that says nothing")
local said = experiment { threshold = 0.4, keep = "central", flips = "xz" }.predict
tap.ok(said.threshold == 0.4 and said.keep == "central" and said.flips == "zx", "and one that says all")
tap.raises(function() experiment { keep = "biggest" } end, "predict.keep: expected", "an unknown word")
tap.raises(function() experiment { flips = "xx" } end, "predict.flips: expected axes among \"zyx\", each once, or",
  "an axis twice")
tap.raises(function() experiment { threshold = 1 } end, "predict.threshold", "a threshold that nothing passes")

tap.done()
