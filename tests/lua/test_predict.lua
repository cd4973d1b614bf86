-- Prediction on scans: what the network sees, tiles, the way back to the scan's grid, positions, parts.
local tap = require "tap"
local hl = require "hilum"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local grids = require "hilum.grid"
local model = require "hilum.model"
local parts = require "hilum.predict.parts"
local positions = require "hilum.predict.positions"
local predict = require "hilum.predict"
local scan = require "hilum.data.scan"
local tiles = require "hilum.predict.tiles"

local folder <close> = assert(engine.scratch())
local function path(name) return folder:path() .. "/" .. name end

local function fill(size, dtype, value)
  local values, i = {}, 0
  for z = 1, size[1] do
    for y = 1, size[2] do
      for x = 1, size[3] do
        i = i + 1
        values[i] = value(z, y, x)
      end
    end
  end
  return hl.tensor(values, { dtype = dtype }):reshape(size)
end

-- ---- tiles ----

tap.same(tiles.starts(10, 10, 0.5), { 1 }, "one tile")
tap.same(tiles.starts(12, 4, 0), { 1, 5, 9 }, "side by side")
tap.same(tiles.starts(12, 4, 0.5), { 1, 3, 5, 7, 9 }, "half over each other")
tap.same(tiles.starts(11, 4, 0), { 1, 5, 8 }, "the last ends with the image, neighbours move together")
local weights = tiles.weights { 8, 4, 6 }
local function bell(i, side) return math.exp(-((i - (side + 1) / 2) / (side / 8)) ^ 2 / 2) end
tap.near(weights:get(3, 2, 5), bell(3, 8) * bell(2, 4) * bell(5, 6), 1e-7, "a weight is a product of bells")
tap.ok(weights:stats().min > 0, "no weight is zero")

local whole = { 13, 9, 17 }
local count = 0
local ones = tiles.blend(whole, { 8, 4, 6 }, 0.5, function(_, i, n)
  count = n
  tap.diag(string.format("tile %d of %d", i, n))
  local t = hl.zeros({ 8, 4, 6 }, { dtype = "f32" })
  t:fill(0.75)
  return t
end)
tap.ok(math.abs(ones:stats().min - 0.75) < 1e-6 and math.abs(ones:stats().max - 0.75) < 1e-6,
  "the weights of a voxel sum to one: a constant stays constant")
tap.is(count, 3 * 4 * 5, "all tiles")
local function wave(z, y, x) return 0.5 + 0.3 * math.sin(z) * math.cos(y) + 0.01 * x end
local blended = tiles.blend(whole, { 8, 4, 6 }, 0.25, function(at)
  return fill({ 8, 4, 6 }, "f32", function(z, y, x) return wave(at[1] + z - 1, at[2] + y - 1, at[3] + x - 1) end)
end)
tap.ok(blended:near(fill(whole, "f32", wave), 2e-6), "what tiles agree on has no seams")
-- Two tiles of 8 over 12 that do not agree: 0 and 1.
local step = tiles.blend({ 1, 1, 12 }, { 1, 1, 8 }, 0.5, function(at)
  local t = hl.zeros({ 1, 1, 8 }, { dtype = "f32" })
  t:fill(at[3] == 1 and 0 or 1)
  return t
end):table()
tap.is(step[4], 0.0, "where one tile is alone it counts alone")
tap.is(step[9], 1.0, "and the other")
tap.near(step[6], bell(2, 8) / (bell(6, 8) + bell(2, 8)), 1e-6, "between, the nearer middle counts more")
tap.near(step[6] + step[7], 1, 1e-6, "as much on either side")
local stopped, why = tiles.blend({ 2, 2, 2 }, { 2, 2, 2 }, 0.5, function() return nil, "stopped" end)
tap.ok(stopped == nil and why == "stopped", "a failure comes back")

-- ---- a network whose answer is known: above the middle of the window or not ----

-- The archive of an experiment with a 1 × 1 × 1 convolution: sigmoid(slope · (x - 1/2)).
local function archived(name, data, slope, how)
  local spec = hl.experiment { name = name, data = data, model = hl.nn.conv { out = 1, kernel = 1 },
    loss = hl.loss.dice {}, optim = hl.optim.sgd { rate = 0.1 }, predict = how }
  local net, weights_of = model.new(spec.model, { seed = 1 }), {}
  net:draw { size = { 1, 1, 1 } }
  for place, tensor in pairs(net:weights()) do
    weights_of[place] = tensor:clone()
    weights_of[place]:fill(#tensor.shape == 5 and slope or -slope / 2)
  end
  local file = path(name .. ".h5")
  assert(archive.run_write({ name = name, experiment = experiment.text(spec),
    weights = { last = weights_of, best = weights_of }, state = { epoch = 3, best_epoch = 2 } }, file))
  return file
end

local CT = { folder = "nowhere", crop = { 32, 32, 32 }, window_hu = { -1000, 200 } }
local run = archived("middle", hl.data.lidc(CT), 20)

-- A ball of 40 HU in lung of -840 HU around a place in mm; its border is one millimetre of ramp, whose middle is the
-- middle of the window, -400 HU.
local RADIUS, SPACING, SIZE = 9, { 2, 1.25, 1.25 }, { 24, 40, 44 }
local ORIGIN, CENTRE = { -100, 50, -200 }, { -78, 76, -172.5 }
local function ball(z, y, x)
  local at, sum = { z, y, x }, 0
  for a = 1, 3 do sum = sum + (ORIGIN[a] + (at[a] - 1) * SPACING[a] - CENTRE[a]) ^ 2 end
  local share = math.max(0, math.min(1, RADIUS + 0.5 - math.sqrt(sum)))
  return math.floor(-840 + share * 880 + 0.5)
end
local STRAIGHT = { 1, 0, 0, 0, 1, 0, 0, 0, 1 }
local voxels = fill(SIZE, "i16", ball)
assert(engine.write_nifti(path "ball.nii.gz", voxels, { spacing_mm = SPACING, origin_mm = ORIGIN,
  direction = STRAIGHT }, "ball"))
local image = assert(scan.read(path "ball.nii.gz"))
image.path = path "ball.nii.gz"

local p = assert(predict.open(run))
tap.is(p.epoch, 2, "the best weights, of the best epoch")
tap.is(assert(predict.open(run, { weights = "last" })).epoch, 3, "the last")
local at = assert(positions.one(image, CENTRE, true))
local crop = assert(predict.on(p, image, { positions = { at } }))
local volume = 4 / 3 * math.pi * RADIUS ^ 3
tap.is(#crop.parts, 1, "a ball is one part")
local one = crop.parts[1]
tap.diag(string.format("volume %.1f mm³ of %.1f", one.volume_mm3, volume))
tap.ok(math.abs(one.volume_mm3 / volume - 1) < 0.02, "its volume within 2 % (voxels of 3.1 mm³, seen at 1 mm)")
tap.near(one.equivalent_diameter_mm, 2 * RADIUS, 0.15, "its diameter")
for a, axis in ipairs { "z", "y", "x" } do
  tap.near(one.centre_mm[a], CENTRE[a], 0.1, "its middle along " .. axis)
end
tap.is(crop.positions[1].part, 1, "it lies at the position")
tap.same(crop.mask.shape, SIZE, "on the scan's own grid")
tap.near(one.voxels * 2 * 1.25 * 1.25, one.volume_mm3, 1e-6, "voxels and volume are one thing")

local all = assert(predict.on(p, image, { whole = true }))
tap.same(all.grid.size, { 48, 50, 55 }, "the whole scan from edge to edge, at the experiment's spacing")
-- The grids of crop and scan differ by a part of a voxel, so voxels at the border may fall either way.
tap.near(all.parts[1].volume_mm3, one.volume_mm3, 0.02 * volume, "the whole scan says the same as the crop")
local tiled = assert(predict.on(p, image, { whole = true, tile = { 16, 20, 24 }, overlap = 0.5 }))
tap.ok(tiled.probability:near(all.probability, 1e-5), "tiles say the same as one pass")
local corner = assert(predict.on(p, image, { positions = { { 1, 1, 1 } } }))
tap.is(#corner.parts, 0, "nothing at a corner, where most of the crop is outside")
tap.is(corner.positions[1].part, nil, "and no part is named")
-- A scan that is above the threshold everywhere stays so up to its edges.
local bright = { voxels = hl.zeros({ 6, 7, 8 }, { dtype = "i16" }), problems = {}, signs = { 1, 1, 1 },
  grid = { size = { 6, 7, 8 }, spacing_mm = { 2.5, 0.7, 0.7 }, origin_mm = { 0, 0, 0 } } }
local full = assert(predict.on(p, bright, { whole = true }))
tap.is(full.mask:stats().min, 1.0, "what lies outside the scan does not darken its edge")

-- Other rules than the experiment's.
local strict = assert(predict.open(run, { threshold = 0.99 }))
tap.ok(assert(predict.on(strict, image, { positions = { at } })).parts[1].voxels < one.voxels, "a higher threshold")
local flipped = assert(predict.open(run, { flips = "zyx" }))
tap.ok(assert(predict.on(flipped, image, { positions = { at } })).probability:near(crop.probability, 1e-6),
  "flips change nothing where the network does not care")
local central = assert(predict.open(archived("central", hl.data.lidc(CT), 20, { keep = "central" })))
tap.is(central.how.keep, "central", "what the experiment declares")
local none, err = predict.on(central, image, { whole = true })
tap.ok(none == nil, "the part in the middle of a whole scan")
tap.like(tostring(err), "say %-%-keep all or %-%-keep largest", "is no rule")
none, err = predict.on(p, image, { whole = true, tile = { 0, 20, 24 } })
tap.ok(none == nil and tostring(err):find "cannot be divided", "a tile of no voxels")

-- ---- what the network sees is what it saw in training ----

assert(engine.write_phantom(path "chest", { size = "small", cases = 1, nodules = 2, seed = 5 }))
for _, kind in ipairs { "linear", "cubic" } do
  local source = hl.data.lidc { folder = path "chest", crop = { 16, 16, 16 }, spacing_mm = { 1.5, 1, 1 },
    resample = { image = kind } }
  local set = assert(source:open { cache = false })
  local case, chest = set.cases[1], assert(scan.read(path "chest"))
  local seen = engine.seen(chest.voxels, { from = chest.grid, window = { -1000, 400 }, kind = kind,
    to = grids.around(case.centre_mm, { 16, 16, 16 }, { 1.5, 1, 1 }) })
  tap.ok(seen:same(assert(set:load(1)).image), "bit for bit the training's image: " .. kind)
  chest.series:free()
end

-- ---- files that lie otherwise ----

-- The same ball, stored as x, z, y with two axes the other way: in DICOM's space rows of (z, y, x).
local turned = voxels:permute { 3, 1, 2 }:dense "plain"
local place = { spacing_mm = { SPACING[3], SPACING[1], SPACING[2] },
  direction = { 0, 0, -1, 1, 0, 0, 0, -1, 0 },
  origin_mm = { ORIGIN[1], -(ORIGIN[2]), -(ORIGIN[3]) } }
assert(engine.write_nifti(path "turned.nii", turned, place, "turned"))
local odd = assert(scan.read(path "turned.nii"))
odd.path = path "turned.nii"
tap.same(odd.voxels.shape, SIZE, "read in hilum's order")
local found = assert(predict.on(p, odd, { whole = true }))
tap.is(#found.parts, 1, "the ball is found")
assert(scan.write_nifti(odd, path "turned-mask.nii", found.mask, "mask"))
local mask, stored = assert(engine.nifti_read(path "turned-mask.nii"))
local _, original = assert(engine.nifti_read(path "turned.nii"))
tap.same(stored.stored, original.stored, "the result lies as the scan does")
tap.ok(mask:same(found.mask:to(mask.dtype)), "with every voxel in its place")

-- ---- positions ----

local function table_file(name, text)
  local file = assert(io.open(path(name), "wb"))
  file:write(text)
  file:close()
  return path(name)
end
image.uid = "1.2.3"
local list = assert(positions.read(table_file("a.csv", "z,y,x\n3,4,5\n"), image))
tap.same(list, { { 3, 4, 5 } }, "voxels")
list = assert(positions.read(table_file("b.csv", string.format(
  "series,centre_mm_x,centre_mm_y,centre_mm_z\n1.2.3,%g,%g,%g\n9.9,1,1,1\n", CENTRE[3], CENTRE[2], CENTRE[1])), image))
tap.is(#list, 1, "lines of other series do not count")
tap.near(list[1][1], 12, 1e-9, "mm along the axes")
image.signs = { 1, -1, 1 }
list = assert(positions.read(table_file("c.csv", string.format("seriesuid,coordX,coordY,coordZ\n1.2.3,%g,%g,%g\n",
  CENTRE[3], -CENTRE[2], CENTRE[1])), image))
tap.near(list[1][2], 1 + (CENTRE[2] - ORIGIN[2]) / SPACING[2], 1e-9, "mm in the patient, whatever way the axes run")
image.signs = { 1, 1, 1 }
local function refused(name, text, pattern)
  local got, problem = positions.read(table_file("bad.csv", text), image)
  tap.ok(got == nil, name)
  tap.like(tostring(problem), pattern, name .. ": and says why")
end
refused("other columns", "a,b\n1,2\n", "bad.csv: has no columns that say a position")
refused("no lines", "z,y,x\n", "bad.csv: holds no position")
refused("a word", "z,y,x\n1,two,3\n", "bad.csv:2: y is 'two', expected a number")
refused("nan", "z,y,x\n1,nan,3\n", "bad.csv:2: y is 'nan', expected a number")
refused("outside", "z,y,x\n1,2,45\n", "bad.csv:2: x is 45, outside the scan %(1 to 44%)")
refused("outside in mm", "z_mm,y_mm,x_mm\n-100,50,0\n", "x is 0, outside the scan %(%-200 to %-146.25 mm%)")
refused("another series", "series,z,y,x\n7,1,1,1\n8,1,1,1\n", "no line is of series 1.2.3 %(it has lines of 2 others%)")
none, err = positions.read(path "nowhere.csv", image)
tap.ok(none == nil and err.code == "io", "no table")
none, err = positions.one(image, { 0, 1, 1 })
tap.ok(none == nil and tostring(err):find "z is 0, outside the scan", "an index counts from 1")

-- ---- parts ----

local uneven = { size = { 4, 5, 6 }, spacing_mm = { 2, 0.5, 0.5 }, origin_mm = { 0, 10, 20 }, z_mm = { 0, 1, 3, 7 } }
local two = fill(uneven.size, "u8", function(z, y, x)
  return (z <= 2 and y == 1 and x <= 2 or z == 4 and y == 5 and x == 6) and 1 or 0
end)
local probability = fill(uneven.size, "f32", function(z) return z / 10 end)
local rows, labels = parts.of(two, probability, uneven)
tap.is(#rows, 2, "two parts")
tap.is(rows[1].voxels, 4, "voxels")
tap.near(rows[1].volume_mm3, 2 * 0.25 * (1 + 1.5), 1e-12, "slices are as thick as what lies around them")
tap.near(rows[2].volume_mm3, 0.25 * 4, 1e-12, "at the end too")
tap.same(rows[1].centre_mm, { 0.5, 10.0, 20.25 }, "the middle in mm")
tap.near(rows[1].probability_mean, 0.15, 1e-7, "mean probability")
tap.near(rows[1].probability_max, 0.2, 1e-7, "the highest")
tap.is(parts.at(rows, labels, { 2, 1, 1 }, { 9, 9, 9 }), 1, "the part at a voxel")
tap.is(parts.at(rows, labels, { 4, 4, 4 }, { 9, 9, 9 }), 2, "or the nearest")
tap.is(parts.at(rows, labels, { 4, 4, 4 }, { 0, 0, 0 }), nil, "as far as the crop reached")

-- ---- memory ----

local deep = hl.experiment { name = "deep", data = hl.data.lidc(CT),
  model = hl.nn.chain { hl.nn.conv { out = 4 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 2, 2 } } },
  loss = hl.loss.dice {}, optim = hl.optim.sgd { rate = 0.1 } }
local net = model.new(deep.model, { seed = 4 })
local input = hl.zeros({ 1, 1, 16, 12, 12 }, { dtype = "f32", layout = "image" })
hl.rng(1, "input", 0, 0):fill_uniform(input, 0, 1)
local plain = net:predictor { batch = 1, size = { 16, 12, 12 } }
tap.ok(#plain.streams > 0, "couplings that can go through slabs")
local slabs = {}
for _, stream in ipairs(plain.streams) do slabs[stream.place] = 4 end
local thin = net:predictor { batch = 1, size = { 16, 12, 12 }, slabs = slabs }
tap.ok(thin:run(input):near(plain:run(input), 1e-5), "a prediction through slabs is the same")
local file = path "deep.h5"
assert(archive.run_write({ name = "deep", experiment = experiment.text(deep),
  weights = { last = net:weights(), best = net:weights() }, state = { epoch = 1, best_epoch = 1 } }, file))
none, err = predict.on(assert(predict.open(file, { memory = 2 ^ 20 })), image, { whole = true })
tap.ok(none == nil and err.code == "memory", "a whole scan that does not fit")
tap.like(tostring(err), "^the memory budget is 0.00 GiB, but the prediction of 48 × 50 × 56 voxels needs 0.%d+ GiB",
  "is refused with numbers, before anything is computed")
tap.like(tostring(err), "tiles %(%-%-tile%), crops %(%-%-at, %-%-nodules%) or a machine with more memory",
  "and advice")
local grown = assert(predict.on(assert(predict.open(file)), image, { whole = true }))
tap.same(grown.grid.size, { 48, 50, 56 }, "sizes grow to what the network can divide")
local tight = assert(predict.open(file, { memory = grown.grid.planned - 1 }))
local squeezed = predict.on(tight, image, { whole = true })
tap.ok(squeezed == nil or squeezed.probability:near(grown.probability, 1e-4),
  "with less it goes through slabs, or is refused")

-- A network trained in 16 bits predicts in 16 bits; what comes of it is f32.
local short = hl.experiment { name = "short", data = deep.data, model = deep.model, loss = deep.loss,
  optim = deep.optim, train = { precision = "bf16" } }
assert(archive.run_write({ name = "short", experiment = experiment.text(short),
  weights = { last = net:weights(), best = net:weights() }, state = { epoch = 1, best_epoch = 1 } }, path "short.h5"))
local half_bits = assert(predict.open(path "short.h5"))
tap.is(half_bits.net.precision, "bf16", "the precision of the training")
local rounded = assert(predict.on(half_bits, image, { positions = { at } }))
local exact = assert(predict.on(assert(predict.open(file)), image, { positions = { at } }))
tap.is(rounded.probability.dtype, "f32", "gives probabilities of 32 bits")
tap.ok(not rounded.probability:same(exact.probability) and rounded.probability:near(exact.probability, 0.05),
  "near those of 32 bits")

-- ---- archives and sources that do not say enough ----

none, err = predict.open(path "nowhere.h5")
tap.ok(none == nil and tostring(err):find "nowhere.h5", "no archive")
table_file("text.h5", "not an archive")
none, err = predict.open(path "text.h5")
tap.ok(none == nil and tostring(err):find "text.h5", "a file that is none")
assert(archive.run_write({ name = "empty" }, path "empty.h5"))
none, err = predict.open(path "empty.h5")
tap.ok(none == nil, "an archive without an experiment")
tap.like(tostring(err), "is not the archive of a training run", "is told so")

local sliced = archived("sliced", hl.data.slices { folder = "nowhere", crop = { 8, 16, 16 } }, 20)
local of_pictures = assert(predict.open(sliced))
local seen = assert(predict.on(of_pictures, image, { positions = { at } }))
-- The scan is smaller than a picture of 128 × 128, so every slice is stretched between its own extremes: as far as it
-- cuts the ball, from -840 to at most 40 HU.
local expected, differs = fill(SIZE, "u8", function(z, y, x)
  local near = z >= 8 and z <= 15 and y >= 13 and y <= 28 and x >= 15 and x <= 30
  return near and ball(z, y, x) > -400 and 1 or 0
end):table(), 0
for i, v in ipairs(seen.mask:table()) do differs = differs + (v ~= expected[i] and 1 or 0) end
tap.is(differs, 0, "a network of pictures sees voxels one to one, each slice from its darkest to its brightest")
none, err = predict.on(of_pictures, image, { whole = true })
tap.ok(none == nil, "and no whole scans")
tap.like(tostring(err), "predicts around positions: say %-%-at", "which is said")

local scans = archived("scans", hl.data.lidc { folder = "nowhere", crop = { 24, 20, 22 }, extent = "scan",
  window_hu = { -1000, 200 } }, 20)
none, err = predict.on(assert(predict.open(scans)), image, { positions = { at } })
tap.ok(none == nil and tostring(err):find "say %-%-whole", "a network of whole scans is asked about whole scans")
local over = assert(predict.on(assert(predict.open(scans)), image, { whole = true }))
tap.same(over.grid.size, { 24, 20, 22 }, "on the grid of its training")
tap.is(#over.parts, 1, "and finds the ball")

-- ---- at the prompt ----

local at_prompt = hl.predict(run)
tap.like(tostring(at_prompt), "middle.h5: the network of middle, best weights, of epoch 2",
  "a predictor says what it is")
local result = at_prompt(path "ball.nii.gz", { at_mm = CENTRE })
tap.like(tostring(result), "parts         1\n", "a result prints its parts")
tap.ok(result.mask:same(crop.mask), "it is the same prediction")
tap.is(result:save(path "prompt.nii.gz"), path "prompt.nii.gz", "it can be saved")
tap.raises(function() result:save(path "x.dcm") end, "refers to a DICOM series", "not as what it is not")
tap.raises(function() at_prompt(path "ball.nii.gz") end, "where%? at = { z, y, x }", "a position is asked for")
tap.raises(function() at_prompt(path "ball.nii.gz", { at = { 1, 2 } }) end, "expected { z, y, x }", "a whole one")
tap.raises(function() hl.predict(7) end, "expected the name of an archive", "of a run")
local half = fill({ 3, 4, 5 }, "f32", function(_, _, x) return x / 6 end)
tap.near(at_prompt(half):get(1, 1, 5), 1 / (1 + math.exp(-20 * (5 / 6 - 0.5))), 1e-5, "a tensor as the network sees it")

tap.done()
