-- What stops a training because a number is not finite: the sample, the layer and what to try are named, and the last
-- complete epoch stays.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local model = require "hilum.model"
local progress = require "hilum.progress"
local toy = require "toy"
local train = require "hilum.train"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))
local files = {}

local function start(name, change)
  local raw = {
    name = "trouble", seed = 3, data = toy.source {}, split = { train = 0.8 },
    model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
    loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
    optim = hl.optim.adam { rate = 1e-2 }, train = { epochs = 3, batch = 4 },
  }
  for key, part in pairs(change) do raw[key] = part end
  local spec = experiment.new(raw)
  local bar = progress.new { bar = false, out = function() end }
  local set, sides = train.data(spec, bar)
  local out = folder .. "/" .. name
  files[#files + 1] = out
  local run, err = train.run(spec, { out = out, bar = bar, set = set, sides = sides, ready = train.prepare(spec) })
  t.is(run, nil, name .. ": the training stops")
  t.is(err and err.code, "nan", name .. ": with a code of its own")
  if os.getenv "SHOW" then print(err) end
  return tostring(err), out
end

-- ---- a sample ----

for _, what in ipairs { "nan", "inf", "-inf" } do
  local text = start("sample" .. what .. ".h5", { data = toy.source { broken = 5, value = what }, seed = 1 })
  t.like(text, "in epoch 1, step %d+ %(cases .*case%-5[,;].*scale 1: ",
    what .. " in an image: epoch, step, cases, scales")
  t.like(text, "\n  sample   case%-5 %(1 voxel of its image is not finite%)\n", what .. ": the case and the image")
  t.like(text, "\n  layer    model%.[%w%.%[%]]+: %d+ of %d+ numbers are not finite after conv\n",
    what .. ": the first layer that the number reaches")
  t.like(text, "\n  try      hilum data check", what .. ": the data is to blame")
end

-- ---- a rate that is far too high ----

do
  local text, out = start("rate.h5", { optim = hl.optim.sgd { rate = hl.schedule.step { from = 1e-3, every = 2,
    factor = 1e33 } }, train = { epochs = 9, batch = 4 } })
  t.like(text, "\n  try      a smaller rate %(it is 1e%+30%), optim%.clip_norm, a warm%-up",
    "the rate and what to do are told")
  t.like(text, "holds the run up to epoch 2; %-%-resume", "what is kept is told")
  local run = assert(archive.run_read(out))
  t.is(run.state.epoch, 2, "the last complete epoch stays")
  local bad = 0
  for _, tensor in pairs(run.weights.last) do
    local s = tensor:stats()
    bad = bad + s.nan + s.infinite
  end
  t.is(bad, 0, "with finite weights")
end

do -- steps that overflow at once
  local text = start("overflow.h5", { optim = hl.optim.sgd { rate = 3e38, momentum = 0.9, decay = 100 },
    train = { epochs = 3, batch = 2 } })
  t.like(text, "layer    the weights model[%w%.%[%],_ ]+ and %d+ more are not finite since the last update",
    "weights that are lost are named")
end

-- ---- a gradient, while the loss is finite ----

do
  local schema = require "hilum.schema"
  local op = hl.op
  local steep = schema.constructor("test.steep", { family = "loss", fields = {}, methods = {
    build = function(_, logits) -- the slope of the logarithm there is 1e37
      local tiny = op.affine(op.sigmoid(logits), { scale = 1e-37, shift = 1e-37 })
      return op.mean(op.affine(op.log(tiny), { scale = 1e20 }))
    end,
  } })
  local text = start("gradient.h5", { loss = hl.loss.multiscale { term = steep {} } })
  t.like(text, "^the norm of the gradients is %-?nan in epoch 1, step 1 %(cases ",
    "a gradient that is no number is told")
  t.like(text, "\n  layer    backward pass, the gradient of loss%.scale%[%d%]: ", "with its place in the loss")
  t.like(text, "\n  sample   all of them\n", "it is not the fault of one sample")
  text = start("gradient-sum.h5", { loss = hl.loss.multiscale { term = steep {} },
    train = { epochs = 1, batch = 2, accumulate = 3 } })
  t.like(text, "\n  layer    backward pass, the gradient of loss%.scale%[%d%]: ", "summed over batches too")
end

-- ---- validation ----

do
  local text = start("validation.h5", { data = toy.source { broken = 5, value = "inf" },
    split = { validation = { "patient-3" } } })
  t.like(text, "^validation Dice: the loss is %-?%w+ in epoch 1 %(cases case%-5%)", "a bad validation case is told")
  t.like(text, "sample   case%-5 %(1 voxel of its image", "and is named")
end

-- ---- which sample of a batch, found out from the program ----

do
  local op = hl.op
  local m = model.new(hl.nn.unet { channels = { 4, 8 } }, { seed = 3 })
  local step = m:trainer { loss = hl.loss.dice {}, optim = hl.optim.sgd {}, batch = 3, size = { 4, 4, 4 } }
  local function image(item)
    local x = engine.zeros({ 3, 1, 4, 4, 4 }, { layout = "image" })
    engine.rng(5, "batch", 0, item):fill_uniform(x, 0, 1)
    return x
  end
  local batch = { image = image(1), truth = image(2), valid = op.affine(image(3), { scale = 0, shift = 1 }) }
  assert(step:run(batch))
  t.is(step:search(batch), nil, "where all is finite nothing is found")
  batch.image:set(2, 1, 1, 1, 1, math.huge)
  batch.image:set(3, 1, 4, 4, 4, -math.huge)
  local before = step.gradients[1]:raw()
  local found = step:search(batch)
  t.is(found.backward, false, "what is not finite is found in the forward pass")
  t.same(found.rows, { 2, 3 }, "with the samples that hold them")
  t.is(found.images, 3, "of so many")
  t.like(found.place, "^model%.", "and the place")
  t.ok(found.bad > 0 and found.bad <= found.numbers, "and how many")
  t.ok(step.gradients[1]:raw() == before, "the gradients stay")
  assert(step:run(batch))
  t.ok(pcall(step.search, step, { image = batch.image, truth = batch.truth, valid = engine.zeros { 1 } }) == false,
    "a batch of another shape is refused")
end

t.done(function()
  for _, name in ipairs(files) do os.remove(name) end
  os.remove(folder)
end)
