-- Augmentations on analytic cases: image, truth and validity stay on one grid.
local t = require "tap"
local augment = require "hilum.augment"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local metric = require "hilum.metric"

local Z, Y, X = 3, 4, 5

-- Each voxel holds its own place: 100 z + 10 y + x.
local function grid(layout)
  local g = engine.zeros({ 1, 1, Z, Y, X }, layout)
  for z = 1, Z do
    for y = 1, Y do
      for x = 1, X do g:set(1, 1, z, y, x, 100 * z + 10 * y + x) end
    end
  end
  return g
end

local function sample()
  return { image = grid { layout = "image" }, truth = grid { layout = "image", dtype = "i16" },
    valid = grid { layout = "image", dtype = "i32" } }
end

local flip = augment.flip {}
for _, axes in ipairs { "", "z", "y", "x", "zy", "zx", "yx", "zyx" } do
  local s = flip:apply({ flip = axes }, sample())
  local wrong = 0
  for z = 1, Z do
    for y = 1, Y do
      for x = 1, X do
        local expected = 100 * (axes:find("z") and Z + 1 - z or z) + 10 * (axes:find("y") and Y + 1 - y or y)
          + (axes:find("x") and X + 1 - x or x)
        for _, part in ipairs { s.image, s.truth, s.valid } do
          if part:get(1, 1, z, y, x) ~= expected then wrong = wrong + 1 end
        end
      end
    end
  end
  t.is(wrong, 0, "mirrored along '" .. axes .. "', image, truth and validity alike")
end
local before = sample()
local raw = before.image:raw()
flip:apply({ flip = "zyx" }, before)
t.ok(before.image:raw() == raw, "the sample itself is left as it was")
local twice = flip:apply({ flip = "zx" }, flip:apply({ flip = "zx" }, before))
t.ok(twice.image:raw() == raw, "twice is not at all")

-- ---- quarter turns ----

local SIDE = 4

local function square_sample()
  local g = engine.zeros({ 1, 1, Z, SIDE, SIDE }, { layout = "image" })
  engine.rng(2, "square", 0, 0):fill_uniform(g)
  return { image = g, truth = g:to("f64"), valid = g:clone() }
end

local turn, square = augment.turn {}, square_sample()
local function turned(k, s) return turn:apply({ quarter_turns = k }, s) end
local quarter, off = turned(1, square), 0
for z = 1, Z do
  for y = 1, SIDE do
    for x = 1, SIDE do
      for _, part in ipairs { "image", "truth", "valid" } do
        if quarter[part]:get(1, 1, z, y, x) ~= square[part]:get(1, 1, z, x, SIDE + 1 - y) then off = off + 1 end
      end
    end
  end
end
t.is(off, 0, "a quarter turn takes (y, x) from (x, side + 1 - y), image, truth and validity alike")
local function raw_of(s) return s.image:raw() end
t.ok(raw_of(turned(2, square)) == raw_of(turned(1, quarter)), "two quarters are a half")
t.ok(raw_of(turned(3, quarter)) == raw_of(square), "one and three are none")
t.ok(raw_of(turned(2, square)) == raw_of(flip:apply({ flip = "yx" }, square)), "a half turn is two mirrors")
t.is(quarter.image.layout, "image", "the layout stays")
t.raises(function() turned(1, sample()) end, "4 × 5 %(y, x%) is not square", "a crop that is not square")

-- ---- what is drawn ----

local counts, n = { z = 0, y = 0, x = 0 }, 2000
for i = 1, n do
  local axes = flip:draw(engine.rng(1, "augment", 1, i)).flip
  for axis in axes:gmatch(".") do counts[axis] = counts[axis] + 1 end
end
for axis, count in pairs(counts) do
  t.ok(math.abs(count / n - 0.5) < 0.05, string.format("%s is mirrored half of the time: %d of %d", axis, count, n))
end
t.is(augment.flip({ axes = "y", probability = 1 }):draw(engine.rng(1, "augment", 1, 1)).flip, "y", "only these axes")
t.is(augment.flip({ probability = 0 }):draw(engine.rng(1, "augment", 1, 1)).flip, "", "probability 0 is never")

local list = experiment.new({
  name = "x", data = hl.data.phantom {}, model = hl.nn.unet {}, loss = hl.loss.dice {}, optim = hl.optim.adam {},
  augment = { augment.flip { axes = "z" }, augment.flip { axes = "yx" } },
}).augment
local one, drawn = augment.apply(list, sample(), 7, 3, 5)
local same, drawn_again = augment.apply(list, sample(), 7, 3, 5)
t.ok(one.image:raw() == same.image:raw(), "seed, epoch and case decide what is drawn")
t.same(drawn, drawn_again, "and it is told")
t.is(#drawn, 2, "for each augmentation")
local different = 0
for case = 1, 20 do
  local _, d = augment.apply(list, sample(), 7, 3, case)
  if d[1].flip .. d[2].flip ~= drawn[1].flip .. drawn[2].flip then different = different + 1 end
end
t.ok(different > 5, "other cases draw otherwise")
t.raises(function() augment.flip { axes = "zw" } end, "axes: expected axes among", "no such axis")
t.raises(function() augment.flip { probability = 1.5 } end, "probability: expected a number >= 0", "too probable")

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
