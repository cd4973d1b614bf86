-- Experiments and networks from archives, a stranger's among them; grids.
local tap = require "tap"
local hl = require "hilum"
local archived = require "hilum.archived"
local experiment = require "hilum.experiment"
local grid = require "hilum.grid"
local model = require "hilum.model"

local function made(average)
  return hl.experiment { name = "x", data = hl.data.phantom { cases = 2, crop = 8 },
    augment = { hl.augment.flip {} },
    model = hl.nn.chain { hl.nn.conv { out = 4 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 },
      heads = { scales = { 1, 2 }, out = 1 } } },
    loss = hl.loss.multiscale { term = 0.5 * hl.loss.dice {} + hl.loss.bce {}, weights = "learned" },
    optim = hl.optim.adamw { rate = hl.schedule.cosine { from = 1e-3, to = 1e-5 } },
    train = { average = average }, evaluate = { hl.metric.dice {}, hl.metric.hausdorff { percentile = 95 } },
    predict = { keep = "central", flips = "x" } }
end

local spec = made()
local run = { experiment = experiment.text(spec) }
local again, err = archived.experiment(run, "run.h5")
tap.ok(again == spec, "an experiment comes back as it was")
if not again then tap.diag(tostring(err)) end

local function refused(text, pattern, name)
  local found, why = archived.experiment({ experiment = text }, "run.h5")
  tap.ok(found == nil and why ~= nil, name .. ": refused")
  tap.like(tostring(why), pattern, name .. ": and says why")
end
refused(nil, "^run.h5: is not the archive of a training run", "nothing")
refused("return hl.experiment {", "^run.h5: its experiment is no program: run.h5:/experiment:1: ", "half a program")
refused(string.dump(function() end), "^run.h5: its experiment is no program: .*binary", "bytecode")
refused("return 1", "holds no experiment that trains", "a number")
refused("local hl = require 'hilum' return hl.measure.memory {}", "holds no experiment that trains", "a measurement")
refused("local hl = require 'hilum' return hl.engine.write_file('x', 'y')", "cannot be built", "the engine")
refused("return io.open '/etc/passwd'", "made of 'io', which is not part of this hilum", "files")
refused("return require 'os'", "needs the module 'os'", "another module")
refused("return my.layer {}", "made of 'my'", "layers of one's own")
refused("while true do end", "runs for too long", "a loop without an end")
refused("return { (\"x\"):rep(1 << 30) }", "takes too much memory", "a text of a gibibyte")
refused("local s = \"x\" for _ = 1, 60 do s = s .. s end return s", "takes too much memory", "one that doubles")
refused("local hl = require 'hilum' return hl.experiment { name = 'x' }", "cannot be built: .*data",
  "half an experiment")

-- ---- weights ----

local size = { 8, 8, 8 }
local function network(seed)
  local net = model.new(spec.model, { seed = seed })
  net:draw { size = size }
  return net
end
local a, b, c = network(1), network(2), network(3)
local optimiser = {}
for name, tensor in pairs(c:weights()) do optimiser[name .. ".average"] = tensor end
run.weights, run.optimiser = { last = a:weights(), best = b:weights() }, optimiser

local image = hl.zeros({ 1, 1, 8, 8, 8 }, { dtype = "f32", layout = "image" })
hl.rng(1, "image", 0, 0):fill_uniform(image, 0, 1)
local function predicts(net) return net:predictor { batch = 1, size = size }:run(image) end
tap.ok(predicts(archived.model(run, spec, "run.h5", "last", size)):same(predicts(a)), "the last weights")
tap.ok(predicts(archived.model(run, spec, "run.h5", "best", size)):same(predicts(b)), "the best weights")
tap.ok(predicts(archived.model(run, made(0.9), "run.h5", "last", size)):same(predicts(c)),
  "with a moving average it is what was evaluated")
tap.ok(predicts(archived.model(run, made(0.9), "run.h5", "best", size)):same(predicts(b)),
  "the best are averages already")
local none, why = archived.model({ weights = { last = a:weights() } }, spec, "run.h5", "best", size)
tap.ok(none == nil, "weights that are not there")
tap.like(tostring(why), "^run.h5: holds no best weights", "are named")
local short = {}
for name, tensor in pairs(a:weights()) do short[name] = tensor end
local lost = next(short)
short[lost] = nil
none, why = archived.model({ weights = { last = short } }, spec, "run.h5", "last", size)
tap.ok(none == nil, "one weight is missing")
tap.like(tostring(why), "its weights do not fit its network: the weights lack '", "and is named")
short[lost] = hl.zeros({ 3, 5, 7 }, { dtype = "f32" }) -- no parameter has it
none = archived.model({ weights = { last = short } }, spec, "run.h5", "last", size)
tap.ok(none == nil, "a weight of another shape")

-- ---- grids ----

local even = { size = { 4, 5, 6 }, spacing_mm = { 2.5, 0.5, 0.75 }, origin_mm = { -10, 20, 30 } }
local uneven = { size = { 4, 5, 6 }, spacing_mm = { 2, 0.5, 0.75 }, origin_mm = { -10, 20, 30 },
  z_mm = { -10, -8, -5, -3 } }
tap.is(grid.position(even, 1, 3), -5.0, "a slice's place")
tap.is(grid.position(uneven, 1, 2.5), -6.5, "between two slices")
tap.is(grid.position(uneven, 1, 0), -12, "before the first the first step goes on")
for _, g in ipairs { even, uneven } do
  local worst = 0
  for axis = 1, 3 do
    for index = -1, 8, 0.25 do
      worst = math.max(worst, math.abs(grid.index(g, axis, grid.position(g, axis, index)) - index))
    end
  end
  tap.near(worst, 0, 1e-12, "index → millimetre → index")
end
tap.is(grid.thickness_mm(uneven, 1), 2.0, "thickness at the end")
tap.is(grid.thickness_mm(uneven, 2), 2.5, "and between")
tap.is(grid.thickness_mm(even, 2), 2.5, "without positions the spacing")
local around = grid.around({ 0, 0, 0 }, { 4, 3, 1 }, { 1, 2, 3 })
tap.same(around.origin_mm, { -1.5, -2.0, -0.0 }, "around a middle")
local over = grid.over(even, { 2, 5, 3 })
tap.same(over.spacing_mm, { 5.0, 0.5, 1.5 }, "from edge to edge")
tap.same({ grid.edges(over, 1) }, { grid.edges(even, 1) }, "the edges are the same")
local first, last = grid.box_within(even, grid.around({ -5, 21, 31.5 }, { 1, 2, 2 }, { 2.5, 0.5, 0.75 }))
tap.same({ first, last }, { { 3, 2, 2 }, { 3, 4, 4 } }, "voxels with their middles within another grid")
tap.is(grid.box_within(even, grid.around({ 500, 0, 0 }, { 1, 1, 1 }, { 1, 1, 1 })), nil, "none")
local part = grid.part(uneven, { 2, 1, 3 }, { 3, 2, 6 })
tap.same(part, { size = { 2, 2, 4 }, spacing_mm = uneven.spacing_mm, origin_mm = { -8, 20.0, 31.5 },
  z_mm = { -8, -5 } }, "a part")

tap.done()
