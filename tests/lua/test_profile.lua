-- Runs of programs that are watched, and where the time of a step goes.

local t = require "tap"
local figure = require "hilum.figure"
local hl = require "hilum"
local model = require "hilum.model"
local profile = require "hilum.profile"

local size = { 8, 8, 8 }

local function new_step()
  local net = hl.nn.chain { hl.nn.conv { out = 4 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 } } }
  local m = model.new(net, { seed = 1 })
  return m:trainer { loss = hl.loss.dice {}, optim = hl.optim.adam {}, batch = 1, size = size }
end

local batch = require("hilum.cost").random_batch(1, size)

-- ---- the observer ----

do
  local step, seen, plain = new_step(), {}, new_step():run(batch)
  local result = assert(step:run(batch, function(one) seen[#seen + 1] = one end))
  t.is(result.loss, plain.loss, "a run that is watched has the same result")
  t.is(result.scales[1].loss, plain.scales[1].loss, "and losses of the scales")
  local forward, backward, places = 0, 0, 0
  for _, one in ipairs(seen) do
    if one.backward then backward = backward + 1 else forward = forward + 1 end
    if one.place:find("model", 1, true) then places = places + 1 end
    if one.seconds < 0 or #one.out < 1 then t.ok(false, one.op .. ": a duration and results") end
  end
  t.ok(forward > 10 and backward > forward, forward .. " ops forward, more backward")
  t.ok(places > 10, "they know their place in the model")
  t.is(seen[1].out[1].shape[5], 8, "results are tensors")
  t.ok(step:run(batch).loss == plain.loss, "nobody watches the next run")
end

do -- ending a run
  local step, n = new_step(), 0
  local result, err = step:run(batch, function(one)
    n = n + 1
    return n == 5 and "enough at " .. one.op or nil
  end)
  t.ok(result == nil and err.code == "cancelled", "what an observer returns ends the run")
  t.like(tostring(err), "enough at %w+", "with its words")
  t.is(n, 5, "at once")
  t.raises(function() step:run(batch, function() error("broken observer", 0) end) end, "broken observer",
    "its errors are raised")
  t.ok(step:run(batch).loss > 0, "the program runs again after it")
  t.raises(function() step.program:run({ batch.image, batch.truth, batch.valid }, 1) end, "function expected",
    "an observer is a function")
end

do -- the first op whose result is no number
  local step, where = new_step(), nil
  local bad = { image = batch.image:clone(), truth = batch.truth, valid = batch.valid }
  bad.image:set(1, 1, 4, 4, 4, 0 / 0)
  step:run(bad, function(one)
    for _, out in ipairs(one.out) do
      if out:stats().nan > 0 then
        where = one.op .. " of " .. one.place
        return where
      end
    end
  end)
  t.is(where, "conv of model[1]", "is found")
end

-- ---- the profile ----

do
  local step, p = new_step(), profile.new()
  step:run(batch, p.observe)
  step:run(batch, p.observe)
  local list, share, conv = p:list(), 0, nil
  for i, row in ipairs(list) do
    share = share + row.share
    if i > 1 and row.seconds > list[i - 1].seconds then t.ok(false, "the slowest first") end
    if row.op == "conv" and not row.backward then conv = row end
  end
  t.near(share, 1, 1e-9, "the shares of all kinds of ops are the whole")
  -- One 3×3×3 convolution from 1 to 4 channels; in the couplings of level 1 two from 2 to 2, in those of level 2 (64
  -- voxels) two from 4 to 4, each on the way down and up; the head, 1×1×1 from 4 to 1. Two runs.
  local voxels, fine, coarse = 512, 2 * 27 * 2 * 2, 2 * 27 * 4 * 4
  local couplings = 4 * fine * voxels + 4 * coarse * 64
  t.is(conv.work, 2 * (2 * 27 * 4 * voxels + couplings + 2 * 4 * voxels), "work of the convolutions, by hand")
  local text = p:table { triad = 1e10, multiply_add = 1e11 }
  t.like(text, "conv_grad_weight +backward", "as a table")
  t.is(select(2, text:gsub("\n", "\n")), #list, "with a line for each kind")
end

-- ---- the figure ----

do
  local scratch <close> = require("hilum.engine").scratch()
  local what = { rows = {}, machine = { triad = 3e10, multiply_add = 7e11 }, title = "`touch X`", note = "n" }
  local files, err = figure.draw("step", what, scratch:path() .. "/none")
  t.ok(files == nil and err.code == "data", "nothing watched, nothing drawn")
  for i = 1, 20 do
    what.rows[i] = { op = "op" .. i, backward = i % 2 == 0, seconds = 21 - i, share = (21 - i) / 210, bytes = 1e9,
      work = i == 1 and 1e12 or 0 }
  end
  if os.execute "gnuplot --version >/dev/null 2>&1" then
    files = assert(figure.draw("step", what, scratch:path() .. "/step"))
    local f <close> = assert(io.open(files[1]))
    local svg = f:read "a"
    t.ok(svg:find("all others", 1, true) and not svg:find("op15", 1, true), "the quickest are one row")
    t.ok(svg:find("9.5 %  ·  50 GF/s, 7 % of the peak", 1, true), "rates beside the peaks")
  else
    t.skip("gnuplot is not installed", 2)
  end
end

t.done()
