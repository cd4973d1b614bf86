-- Augmentations as a list: what is drawn, that it can be applied again, what goes with which data.
local t = require "tap"
local analytic = require "lua.analytic"
local augment = require "hilum.augment"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local metric = require "hilum.metric"
local problem = require "hilum.problem"

local Z, Y, X = 3, 4, 5

-- ---- mirrors and quarter turns ----

-- Each voxel holds its own place.
local function place(z, y, x) return 25 * z + 5 * y + x end

local function placed(size)
  return { image = analytic.image(size, place), truth = analytic.image(size, place, "u8"),
    valid = analytic.image(size, place, "u8"), readers = { analytic.image(size, place, "u8") } }
end

local function parts_of(s) return { s.image, s.truth, s.valid, s.readers[1] } end

-- How many voxels of any part are not what f says of their place.
local function wrong(s, f)
  local n, shape = 0, s.image.shape
  for z = 1, shape[3] do
    for y = 1, shape[4] do
      for x = 1, shape[5] do
        for _, part in ipairs(parts_of(s)) do
          if part:get(1, 1, z, y, x) ~= f(z, y, x) then n = n + 1 end
        end
      end
    end
  end
  return n
end

local function flipped(axes, s) return augment.again({ augment.flip {} }, { { flip = axes } }, s) end

for _, axes in ipairs { "z", "y", "x", "zy", "zx", "yx", "zyx" } do
  local n = wrong(flipped(axes, placed { Z, Y, X }), function(z, y, x)
    return place(axes:find "z" and Z - z or z - 1, axes:find "y" and Y - y or y - 1, axes:find "x" and X - x or x - 1)
  end)
  t.is(n, 0, "mirrored along '" .. axes .. "', image and masks alike")
end
local before = placed { Z, Y, X }
local raw = before.image:raw()
flipped("zyx", before)
t.ok(before.image:raw() == raw, "the sample itself is left as it was")
t.ok(flipped("zx", flipped("zx", before)).image:raw() == raw, "twice is not at all")
t.is(flipped("zx", before).image.layout, "image", "the layout stays")

local SIDE = 4
local square = placed { Z, SIDE, SIDE }
local function turned(k, s) return augment.again({ augment.turn {} }, { { turn = { k, 0, 0 } } }, s) end
local quarter = turned(1, square)
t.is(wrong(quarter, function(z, y, x) return place(z - 1, x - 1, SIDE - y) end), 0,
  "a quarter turn takes (y, x) from (x, side + 1 - y), image and masks alike")
local function raw_of(s) return s.image:raw() end
t.ok(raw_of(turned(2, square)) == raw_of(turned(1, quarter)), "two quarters are a half")
t.ok(raw_of(turned(3, quarter)) == raw_of(square), "one and three are none")
t.ok(raw_of(turned(2, square)) == raw_of(flipped("yx", square)), "a half turn is two mirrors")
t.raises(function() turned(1, before) end, "4 × 5 %(y, x%) is not square", "a crop that is not square")
t.is(wrong(turned(2, before), function(z, y, x) return place(z - 1, Y - y, X - x) end), 0,
  "which half a turn does not mind")

-- ---- what is drawn ----

local function rng(i) return engine.rng(1, "augment", 1, i) end
local about = { size = { 16, 16, 16 }, spacing_mm = { 1, 1, 1 }, window_hu = { -1000, 400 }, readers = 3 }
local counts, n = { z = 0, y = 0, x = 0 }, 2000
for i = 1, n do
  for axis in (augment.flip({}):draw(rng(i), about) or ""):gmatch "." do counts[axis] = counts[axis] + 1 end
end
for axis, count in pairs(counts) do
  t.ok(math.abs(count / n - 0.5) < 0.05, string.format("%s is mirrored half of the time: %d of %d", axis, count, n))
end
t.is(augment.flip({ axes = "y", probability = 1 }):draw(rng(1), about), "y", "only these axes")

local always = {
  { augment.rotate { degrees = { 10, 20, 0 }, probability = 1 }, { -10, -20, 0 }, { 10, 20, 0 } },
  { augment.scale { factor = { 0.5, 2 }, probability = 1 }, { 0.5, 0.5, 0.5 }, { 2, 2, 2 } },
  { augment.translate { distance_mm = 3, probability = 1, whole = false }, { -3, -3, -3 }, { 3, 3, 3 } },
  { augment.noise { sigma = 0.1, probability = 1 }, { 0, 0 }, { 0.1, 1 << 31 } },
  { augment.gamma { gamma = { 0.7, 1.5 }, probability = 1 }, { 0.7, 0 }, { 1.5, 1 } },
  { augment.brightness { factor = { 0.8, 1.25 }, probability = 1 }, { 0.8 }, { 1.25 } },
  { augment.shift_hu { hu = 30, probability = 1 }, { -30 }, { 30 } },
  { augment.blur { sigma_voxels = { 0.5, 1 }, probability = 1 }, { 0.5 }, { 1 } },
  { augment.low_resolution { factor = { 0.5, 1 }, probability = 1 }, { 0.5 }, { 1 } },
  { augment.reader { probability = 1 }, { 1 }, { 3 } },
}
for _, one in ipairs(always) do
  local member, low, high = one[1], one[2], one[3]
  local least, most, inside = {}, {}, true
  for i = 1, 400 do
    local drawn = member:draw(rng(i), about)
    for k, x in ipairs(type(drawn) == "table" and drawn or { drawn }) do
      inside = inside and x >= low[k] and x <= high[k]
      least[k], most[k] = math.min(least[k] or x, x), math.max(most[k] or x, x)
    end
  end
  local spread = true
  for k = 1, #low do spread = spread and most[k] - least[k] >= 0.95 * (high[k] - low[k]) end
  t.ok(inside and spread, tostring(member):match "%w+%.%w+%.[%w_]+" .. " draws all of its range and nothing else")
end
local half = 0
for i = 1, n do half = half + (augment.scale({ factor = { 0.5, 2 }, probability = 1 }):draw(rng(i),
  about)[1] < 1 and 1 or 0) end
t.ok(math.abs(half / n - 0.5) < 0.05, "a factor shrinks as often as it grows")
local alone = augment.scale({ axes = "yx", probability = 1, together = false }):draw(rng(1), about)
t.ok(alone[1] == 1 and alone[2] ~= alone[3], "each axis by its own factor, and only those asked for")
for _, constructor in ipairs { "flip", "turn", "rotate", "scale", "translate", "elastic", "low_resolution", "noise",
  "blur",
  "brightness", "contrast", "gamma", "shift_hu", "reader" } do
  local member = augment[constructor] { probability = 0 }
  local found
  for i = 1, 50 do found = found or member:draw(rng(i), about) end
  t.is(found, nil, constructor .. " with probability 0 never does anything")
end
local unknown = { size = about.size, readers = 0 }
t.same({ table.unpack(augment.rotate({ probability = 1 }):draw(rng(3), unknown), 2) }, { 0.0, 0.0 },
  "where slices lie at an unknown distance, one angle means z alone")
t.is(augment.translate({ probability = 1 }):draw(rng(3), unknown)[1], 0, "one distance y and x")
t.is(augment.reader({ probability = 1 }):draw(rng(3), unknown), nil, "no reader is drawn where there is none")

-- ---- a whole list ----

local all = { augment.reader { probability = 0.5 }, augment.flip {}, augment.turn {},
  augment.rotate { probability = 0.6 },
  augment.scale { probability = 0.6 }, augment.translate { probability = 0.6 }, augment.elastic { probability = 0.6 },
  augment.low_resolution { probability = 0.4 }, augment.blur { probability = 0.4 },
    augment.brightness { probability = 0.5 },
  augment.contrast { probability = 0.5 }, augment.gamma { probability = 0.6 }, augment.shift_hu { probability = 0.6 },
  augment.noise { probability = 0.6 }, augment.flip { axes = "x" },
  about = { spacing_mm = { 2, 1, 1 }, window_hu = { -1000, 400 } } }
local size = { 12, 16, 16 }
local sample = analytic.sample(size, analytic.smooth, function(z, y,
  x) return (z - 5) ^ 2 + (y - 8) ^ 2 + (x - 6) ^ 2 < 16 end)
sample.readers = { sample.truth:clone(), analytic.mask(size, function(z, y) return z < 4 and y < 5 end) }

local function bits(s) return s.image:raw() .. s.truth:raw() .. s.valid:raw() end
local known = { bits(sample), sample.readers[1]:raw() }
local threads, by_threads, texts = engine.threads(), {}, {}
for count = 1, 2 do
  engine.threads(count)
  by_threads[count] = {}
  for case = 1, 12 do
    local made, drawn = augment.apply(all, sample, 7, 3, case)
    by_threads[count][case] = bits(made)
    texts[case] = augment.text(all, drawn)
  end
end
engine.threads(threads)
t.ok(table.concat(by_threads[1]) == table.concat(by_threads[2]), "the same bits in one thread and in two")
local backwards = true
for case = 12, 1, -1 do backwards = backwards and bits((augment.apply(all, sample, 7, 3,
  case))) == by_threads[1][case] end
t.ok(backwards, "in any order")
t.ok(bits(sample) == known[1] and sample.readers[1]:raw() == known[2], "the sample is left as it was")
local again, different = true, {}
for case = 1, 12 do
  again = again and bits(augment.again(all, augment.parse(all, texts[case]), sample)) == by_threads[1][case]
  different[by_threads[1][case]] = true
end
t.ok(again, "what is written down can be applied again, bit by bit")
local kinds = 0
for _ in pairs(different) do kinds = kinds + 1 end
t.is(kinds, 12, "each case has its own")
t.diag(texts[1])
local first = augment.apply(all, sample, 7, 4, 1)
t.ok(bits(first) ~= by_threads[1][1], "and each epoch")
t.is(augment.text({ augment.flip {}, augment.flip {}, augment.noise {} }, { {}, { flip = "zy" },
  { noise = { 0.0125, 99 } } }),
  "flip2=zy noise=0.0125,99", "two of a kind are told apart, numbers are short")
t.same(augment.parse({ augment.flip {}, augment.flip {} }, "flip2=zy"), { {}, { flip = "zy" } }, "and read back")
t.is(augment.text({ augment.flip {} }, { {} }), "nothing", "nothing is a word, too")
t.same(augment.parse({ augment.flip {} }, "nothing"), { {} }, "which reads back")
t.raises(function() augment.parse({ augment.flip {} }, "rotate=1,2,3") end, "'rotate=1,2,3' was not drawn",
  "from another list")
t.raises(function() augment.parse({ augment.noise {} }, "noise=1,x") end, "was not drawn", "a number that is none")
local nothing, drawn = augment.apply({}, sample, 1, 1, 1)
t.ok(nothing.image == sample.image, "an empty list hands the sample on")
t.same(drawn, {}, "and draws nothing")
local same_list = { augment.reader {}, augment.flip {} }
t.ok(augment.again(same_list, { { reader = 2 }, {} }, sample).truth == sample.readers[2],
  "a reader's mask becomes the truth")
t.ok(raw_of(augment.again(same_list, { { reader = 2 }, { flip = "x" } }, sample))
  == raw_of(augment.again(same_list, { {}, { flip = "x" } }, sample)), "and the image what it is without")
t.raises(function() augment.again(same_list, { { reader = 5 }, {} }, sample) end, "has 2 readers' masks, not 5",
  "a reader too many")

-- ---- with which data ----

local function message(list, data, crop)
  local fine, err = pcall(experiment.new, { name = "x", data = data or hl.data.phantom { crop = crop or 32 },
    model = hl.nn.unet { channels = { 4, 8 } }, loss = hl.loss.dice {}, optim = hl.optim.adam {}, augment = list })
  return fine and "no error" or tostring(problem.of(err))
end

t.is(message(table.move(all, 1, #all, 1, {})), "no error", "all of them go with a source in mm and Hounsfield units")
local slices = hl.data.slices { folder = "x" }
t.is(message({ augment.rotate {}, augment.scale {}, augment.translate {}, augment.elastic {}, augment.blur {},
  augment.low_resolution {}, augment.reader {}, augment.turn {} }, slices), "no error",
    "most of them with slices of no spacing")
for name, case in pairs {
  ["shift_hu"] = { augment.shift_hu {}, "augment%[1%]: hl.data.slices has no window" },
  ["rotate about x"] = { augment.rotate { degrees = { 10, 0, 5 } },
    "augment%[1%].degrees: .* no distance of slices .* { z, 0, 0 }" },
  ["mm"] = { augment.translate { distance_mm = 2 }, "augment%[1%].distance_mm: .* write distance_voxels" },
  ["elastic in mm"] = { augment.elastic { spacing_mm = 20, magnitude_mm = 2 },
    "augment%[1%].magnitude_mm: .* write magnitude_voxels" },
  ["blur in mm"] = { augment.blur { sigma_mm = { 1, 2 } }, "augment%[1%].sigma_mm: .* write sigma_voxels" },
  ["turns of z"] = { augment.turn { planes = { "zx" } },
    "augment%[1%].planes%[1%]: a crop of 8 × 64 %(z, x%) is not square" },
} do
  t.like(message({ case[1] }, slices), case[2], name .. " needs what slices do not have")
end
t.like(message({ augment.flip {}, augment.turn {} }, nil, { 16, 32, 16 }),
  "augment%[2%].planes%[1%]: a crop of 32 × 16 %(y, x%) is not square",
  "turns need a square crop, and it is said when the experiment is made")
t.like(message({ augment.turn { planes = { "zy" } } }, hl.data.phantom { spacing_mm = { 2, 1, 1 } }),
  "voxels of 2 × 1 mm %(z, y%)",
  "and square voxels")
t.like(message({ augment.turn { planes = { "zy" } } }, hl.data.slices { folder = "x", crop = 64 }),
  "no distance of slices to turn z by",
  "of known size")
t.like(message { augment.translate { distance_voxels = 32 } }, "leave nothing of a crop of 32",
  "a crop is not moved out of itself")
t.like(message({ augment.elastic { spacing_voxels = 8, magnitude_mm = 3 } },
  hl.data.phantom { spacing_mm = { 2, 0.5, 1 } }),
  "6 is more than 0.4 of the 8", "nor folded over, whatever the units")
t.like(message({ augment.reader {} }, hl.data.phantom { extent = "scan" }), "whole scans keeps no readers' masks",
  "whole scans have no readers")

-- ---- bad input ----

for _, case in ipairs {
  { "flip", { axes = "zw" }, "axes: expected axes among" },
  { "flip", { probability = 1.5 }, "probability: expected a number >= 0" },
  { "turn", { planes = { "xy" } }, 'planes%[1%]: expected one of "yx"' },
  { "turn", { planes = { "yx", "yx" } }, '"yx" is there twice' },
  { "turn", { planes = {} }, "at least 1" },
  { "rotate", { degrees = 200 }, "degrees: expected a number >= 0 and <= 180" },
  { "rotate", { degrees = { 10, 10 } }, "degrees: expected" },
  { "rotate", { degrees = 0 / 0 }, "degrees: expected" },
  { "rotate", { interpolation = "cubc" }, 'did you mean "cubic"' },
  { "scale", { factor = { 0, 1 } }, "factor%[1%]: expected a number >= 0.1" },
  { "scale", { factor = { 1.2, 0.8 } }, "the lower end must come first, got { 1.2, 0.8 }" },
  { "scale", { factor = 1.2 }, "factor: expected a list of 2" },
  { "translate", { distance_mm = 2, distance_voxels = 2 }, "either this or distance_voxels" },
  { "translate", { distance = 2 }, "unknown key 'distance'" },
  { "translate", { distance_voxels = -1 }, "distance_voxels: expected a number >= 0" },
  { "elastic", { spacing_voxels = 10, magnitude_voxels = 5 }, "5 is more than 0.4 of the 10 between control points" },
  { "elastic", { spacing_voxels = 0 }, "spacing_voxels: expected a number >= 2" },
  { "noise", { sigma = -1 }, "sigma: expected a number >= 0" },
  { "noise", { sigma = 1e9 }, "sigma: expected a number >= 0 and <= 10" },
  { "blur", { sigma_voxels = 1 }, "sigma_voxels: expected a list of 2" },
  { "gamma", { gamma = { 0, 1 } }, "gamma%[1%]: expected a number >= 0.05" },
  { "brightness", { factor = { 2, 1 } }, "the lower end must come first" },
  { "low_resolution", { factor = { 0.5, 2 } }, "factor%[2%]: expected a number >= 0.05 and <= 1" },
  { "shift_hu", { hu = "20" }, "hu: expected a number" },
  { "reader", { probabilty = 1 }, "did you mean 'probability'" },
} do
  t.raises(function() augment[case[1]](case[2]) end, case[3], case[1] .. ": " .. case[3]:gsub("%%", ""))
end

-- ---- metrics ----

local function mask(values) return engine.from(values):reshape { 1, 1, 1, 1, #values } end
local p, q = mask { 0.9, 0.8, 0.2, 0.5 }, mask { 1, 0, 0, 1 }
t.near(metric.dice_of(p, q), 2 * 1 / (2 + 2), 1e-12, "Dice counts voxels above 0.5")
t.near(metric.dice_of(p, q, mask { 1, 0, 1, 1 }), 2 / (1 + 2), 1e-12, "invalid voxels count nowhere")
local empty = mask { 0, 0, 0, 0 }
t.is(metric.dice_of(empty, empty), 1.0, "both empty is 1")
t.is(metric.dice_of(p, empty), 0.0, "a prediction without truth is 0")
t.is(metric.dice_of(empty, q), 0.0, "no prediction of a truth is 0")
t.is(select(2, metric.dice_of(p, empty)), true, "an empty truth is told")
local readers = { mask { 1, 1, 0, 0 }, mask { 1, 1, 1, 0 }, mask { 1, 0, 0, 0 } }
local agreement = metric.interreader(readers)
t.is(#agreement, 3, "one value for each reader")
t.near(agreement[1], 2 * 2 / (2 + 3), 1e-12, "a voxel of half of the others counts")
t.near(agreement[2], 2 * 2 / (3 + 2), 1e-12, "for each of them")
t.near(agreement[3], 2 * 1 / (1 + 3), 1e-12, "in turn")
t.same(metric.interreader { readers[1] }, {}, "one reader agrees with nobody")
local summary = metric.summary { 3, 1, 2, 10 }
t.near(summary.mean, 4, 1e-12, "mean")
t.near(summary.median, 2.5, 1e-12, "median of an even number")
t.is(metric.summary {}, nil, "nothing has no mean")

t.done()
