-- Runs of programs that are watched: where the time of a step goes, and what memory it holds.

local t = require "tap"
local figure = require "hilum.figure"
local hl = require "hilum"
local model = require "hilum.model"
local profile = require "hilum.profile"
local timeline = require "hilum.timeline"

local size = { 8, 8, 8 }

local function net()
  return hl.nn.chain { hl.nn.conv { out = 4 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 } } }
end

local function new_step()
  local m = model.new(net(), { seed = 1 })
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

-- ---- the timeline ----

do
  collectgarbage()
  local before = require("hilum.engine").ledger().live.all
  local step, lives = new_step(), timeline.new()
  t.is(timeline.peak {}, nil, "no ops, no peak")
  lives:begin()
  step:run(batch, lives.observe)
  collectgarbage() -- its results
  lives:begin()
  assert(step:run(batch, lives.observe))
  local rows, block, plan, kept = lives.steps[2], 0, step:plan(), 0
  t.is(#lives.steps, 2, "each step has its rows")
  t.is(#lives.steps[1], #rows, "one for each op")
  for i, row in ipairs(rows) do
    if row.live > row.used or row.used > row.ledger then t.ok(false, row.op .. ": needs no more than there is") end
    if i > 1 and row.start < rows[i - 1].start then t.ok(false, row.op .. ": ops follow each other") end
    if row.stop < row.start or row.used ~= row.kept + row.data + row.live then t.ok(false, row.op .. ": sums") end
    block, kept = math.max(block, row.ledger - row.kept - row.data), math.max(kept, row.kept)
  end
  local peak = timeline.peak(rows)
  t.ok(peak.live > 0 and peak.used - before <= plan.bytes.peak, "no op needs more than was planned")
  t.ok(block >= peak.live and block <= plan.bytes.state + plan.bytes.workspace, "their block is in the plan")
  t.ok(kept > rows[1].kept, "gradients come")
  t.ok(rows[#rows].resident > 2 ^ 20, "and the system says what is resident")
end

do -- beside a profile, as hilum bench train has both
  local lives, p = timeline.new(), profile.new()
  local result = require("hilum.cost").of_steps { net = net(), size = size, n = 1, loss = hl.loss.dice {}, steps = 2,
    profile = p, timeline = lives }
  t.is(#lives.steps, 2, "a timeline has all steps")
  local calls = 0
  for _, row in ipairs(p:list()) do calls = calls + row.calls end
  t.is(calls, #lives.steps[2], "a profile all but the first")
  t.ok(result.start_rss_bytes > result.start_ledger_bytes, "the program takes more than its ledger")
end

-- ---- the figures ----

do -- of many ops those with most and least stand for all; a step without a backward pass; nothing at all
  local scratch <close> = require("hilum.engine").scratch()
  local what = { steps = { {} }, planned = 3 * 2 ^ 20, title = "`touch X`", note = "n" }
  local files, err = figure.draw("step_memory", what, scratch:path() .. "/none")
  t.ok(files == nil and err.code == "data", "no op watched, no memory drawn")
  local function rows_of(n, backward)
    local rows = {}
    for i = 1, n do
      local live = (i == 700 and 3 or i % 2 + 0.5) * 2 ^ 20
      rows[i] = { op = "op" .. i, place = "model[1]", backward = backward and i > n // 2, start = i - 1, stop = i,
        kept = 1000, data = 2000, live = live, used = live + 3000, ledger = 3.1 * 2 ^ 20, resident = 9 * 2 ^ 20 }
    end
    return rows
  end
  if os.execute "gnuplot --version >/dev/null 2>&1" then
    what.steps = { rows_of(1300, true), rows_of(1300, true) }
    what.own = 6 * 2 ^ 20
    files = assert(figure.draw("step_memory", what, scratch:path() .. "/many"))
    local f <close> = assert(io.open(files[1]))
    local svg = f:read "a"
    t.ok(svg:find("at most 3.00 MiB needed: op700 of model[1]; planned 3.00, resident 3.00", 1, true),
      "the op that needs most is named")
    t.ok(#svg < 1e5, "many ops make no large picture")
    what.steps = { rows_of(1) }
    t.ok(figure.draw("step_memory", what, scratch:path() .. "/one"), "one op of a forward pass alone is drawn too")
  else
    t.skip("gnuplot is not installed", 3)
  end
end

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
