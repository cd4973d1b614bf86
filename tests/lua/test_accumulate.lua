-- Several batches in one update: the step of a batch as large as all of them, in the memory of one.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local hl = require "hilum"
local model = require "hilum.model"
local progress = require "hilum.progress"
local resume = require "hilum.resume"
local toy = require "toy"
local train = require "hilum.train"

-- ---- a trainer ----

local size = { 4, 4, 4 }
local net = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } }

local function images(first, last, item, low, high)
  local n = last - first + 1
  local x = engine.zeros({ n, 1, 4, 4, 4 }, { layout = "image" })
  for i = first, last do
    local place <close> = x:slice(1, i - first + 1)
    engine.rng(5, "batch", i, item):fill_uniform(place, low, high)
  end
  return x
end

local function batch_of(first, last)
  return { image = images(first, last, 1, -1, 1), truth = images(first, last, 2, 0, 1),
    valid = images(first, last, 3, 1, 1) }
end

local function trainer(o)
  o.size = size
  o.loss = o.loss or hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {}, weights = "learned" }
  local m = model.new(o.net or net, { seed = 3 })
  return m:trainer(o), m
end

local function largest_difference(a, b)
  local worst, of = 0, 0
  for name, tensor in pairs(a:weights()) do
    local s, size_of = (tensor - b:weights()[name]):stats(), tensor:stats()
    worst = math.max(worst, s.max, -s.min)
    of = math.max(of, size_of.max, -size_of.min)
  end
  return worst / of
end

local function run(step, batch, k)
  if k == 1 then return step:run(batch) end
  return step:add(batch)
end

-- `updates` updates of `gathered` batches of n images each.
local function learn(step, n, gathered, updates)
  local losses, norm = {}, nil
  for update = 1, updates do
    local sum = 0
    for k = 1, gathered do
      local first = (update - 1) * n * gathered + (k - 1) * n + 1
      sum = sum + run(step, batch_of(first, first + n - 1), k).loss / gathered
    end
    losses[update] = sum
    local fine
    fine, norm = step:update(0.05)
    assert(fine, norm)
  end
  return losses, norm
end

for _, one in ipairs {
  { "sgd with momentum", hl.optim.sgd { momentum = 0.9 } },
  { "sgd, clipped", hl.optim.sgd { clip_norm = 0.05 } },
} do
  local whole, m1 = trainer { optim = one[2], batch = 6 }
  local parts, m2 = trainer { optim = one[2], batch = 2, accumulate = 3 }
  local a, norm_a = learn(whole, 6, 1, 4)
  local b, norm_b = learn(parts, 2, 3, 4)
  t.near(b[4], a[4], 1e-5, one[1] .. ": the mean of three losses is that of the large batch")
  t.near(norm_b, norm_a, 1e-4 * norm_a, one[1] .. ": so is the norm of the gradients")
  local off = largest_difference(m1, m2)
  t.ok(off < 2e-6, string.format("%s: 4 updates of 3 batches of 2 end like 4 of 6 images (%.1e)", one[1], off))
  t.is(parts:state().steps, 4, one[1] .. ": updates are counted, not batches")
end

do -- more gathered than planned, and fewer: the mean is of what there was
  local step, m1 = trainer { optim = hl.optim.sgd {}, batch = 2 }
  local again, m2 = trainer { optim = hl.optim.sgd {}, batch = 2 }
  local batch = batch_of(1, 2)
  step:run(batch)
  step:update(0.1)
  again:run(batch)
  again:add(batch)
  again:update(0.1)
  t.ok(largest_difference(m1, m2) < 1e-6, "the same batch twice is the batch once")
  again:run(batch_of(3, 4))
  again:run(batch) -- what was gathered is dropped
  step:run(batch)
  step:update(0.1)
  again:update(0.1)
  t.ok(largest_difference(m1, m2) < 1e-6, "run drops what was gathered")
end

do -- memory: that of one batch, and one set of gradients more
  local function plan(o)
    local step = trainer(o)
    return step:plan().bytes
  end
  local small, large = plan { optim = hl.optim.sgd {}, batch = 2 }, plan { optim = hl.optim.sgd {}, batch = 8 }
  local gathered = plan { optim = hl.optim.sgd {}, batch = 2, accumulate = 4 }
  t.is(gathered.peak - small.peak, small.parameters, "the sum so far is counted")
  t.ok(gathered.peak < large.peak, "and that is less than the large batch")
  local step = trainer { optim = hl.optim.sgd {}, batch = 2, accumulate = 4 }
  local batch = batch_of(1, 2)
  for k = 1, 2 do run(step, batch, k).probability:free() end -- everything exists now
  collectgarbage()
  local start = engine.ledger().live
  engine.reset_peak()
  step:add(batch)
  local peak = engine.ledger().peak.all - start.all
  t.ok(peak <= gathered.peak - 2 * small.parameters - gathered.optimiser + 64 * 1024,
    string.format("measured: %d bytes above what is there between the batches", peak))
end

do -- running statistics see every batch
  local layer = hl.nn.chain { hl.nn.conv { out = 4 },
    hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 },
      coupling = hl.nn.additive { inner = hl.nn.inner { norm = "batch" } } } }
  local step, m = trainer { optim = hl.optim.sgd {}, batch = 2, accumulate = 2, net = layer, loss = hl.loss.dice {} }
  local alone, m2 = trainer { optim = hl.optim.sgd {}, batch = 2, net = layer, loss = hl.loss.dice {} }
  step:run(batch_of(1, 2))
  step:add(batch_of(3, 4))
  step:update(0)
  for first = 1, 3, 2 do
    alone:run(batch_of(first, first + 1))
    alone:update(0)
  end
  local same, some = true, 0
  for _, item in ipairs(m.store.states) do
    same, some = same and item.tensor:same(m2:weights()[item.name]), some + 1
  end
  t.ok(some > 0 and same, "running statistics see one batch after another")
end

do -- dropout draws anew for each batch
  local layer = hl.nn.chain { hl.nn.dropout { rate = 0.5 }, hl.nn.conv { out = 1, kernel = 1 } }
  local step = trainer { optim = hl.optim.sgd {}, batch = 2, accumulate = 3, net = layer, loss = hl.loss.bce {} }
  local batch, seen = batch_of(1, 2), {}
  for _ = 1, 2 do
    for k = 1, 3 do
      local loss = run(step, batch, k).loss
      t.ok(not seen[loss], "what is dropped is drawn anew: " .. loss)
      seen[loss] = true
    end
    step:update(0)
  end
end

-- ---- a run ----

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))
local files = {}

local function spec_of(o)
  return experiment.new {
    name = "toy", seed = 3, data = toy.source {}, split = { train = 0.6 }, augment = { hl.augment.flip {} },
    model = hl.nn.unet { channels = { 4, 8 } }, loss = hl.loss.dice {},
    optim = hl.optim.sgd { momentum = 0.9, rate = hl.schedule.cosine { from = 2e-2, to = 1e-3 } }, train = o,
  }
end

local function start(spec, name, o)
  local bar = progress.new { bar = false, out = function() end }
  local set, sides = train.data(spec, bar)
  local out = folder .. "/" .. name
  files[#files + 1] = out
  local given = { out = out, bar = bar, set = set, sides = sides, ready = train.prepare(spec) }
  for key, part in pairs(o or {}) do given[key] = part end
  if given.archived then resume.restore(given.archived, given.ready) end
  return train.run(spec, given)
end

local large = assert(start(spec_of { epochs = 4, batch = 4 }, "large.h5"))
local gathered = assert(start(spec_of { epochs = 4, batch = 2, accumulate = 2 }, "gathered.h5"))
t.is(#gathered.curves.step.step, 8, "6 training cases, 2 batches of 2 in a step: 2 steps in an epoch")
t.is(gathered.state.step, 8, "the state counts updates")
t.same(gathered.curves.step.rate, large.curves.step.rate, "the schedule runs over updates")
t.same(gathered.drawn, large.drawn, "the cases are those of the large batch, in its order, with its draws")
for i, loss in ipairs(large.curves.step.loss) do
  t.near(gathered.curves.step.loss[i], loss, 1e-4, "loss of update " .. i)
end
t.near(gathered.curves.epoch.dice_validation[4], large.curves.epoch.dice_validation[4], 0.02, "the Dice is the same")

do -- stopped after the second epoch, and resumed: the same bits
  local spec = spec_of { epochs = 4, batch = 2, accumulate = 2 }
  local stopped, err = start(spec, "stopped.h5", { epoch = function(row)
    if row.epoch == 2 then error(require("hilum.problem").new("cancelled", "stopped"), 0) end
  end })
  t.ok(stopped == nil and err.code == "cancelled", "the run is stopped")
  local ended = assert(start(spec, "stopped.h5", { archived = assert(archive.run_read(folder .. "/stopped.h5")) }))
  t.same(ended.curves.step, gathered.curves.step, "resumed, it ends with the same curves")
  local same = true
  for name, w in pairs(gathered.weights.last) do same = same and w:same(ended.weights.last[name]) end
  t.ok(same, "and the same weights, bit for bit")
end

do -- five cases do not fill two steps of four
  local ended = assert(start(spec_of { epochs = 1, batch = 1, accumulate = 4 }, "rest.h5"))
  t.is(#ended.curves.step.step, 2, "a last step that is not full is filled up")
  t.is(#ended.drawn.case, 8, "with the first cases of the order")
end

t.done(function()
  for _, name in ipairs(files) do os.remove(name) end
  os.remove(folder)
end)
