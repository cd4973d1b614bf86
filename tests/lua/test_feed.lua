-- Batches that workers prepare ahead are those that are prepared here, whoever is faster, dies or is asked for
-- something else; a training ends with the same bits.
package.path = (os.getenv("HILUM_SOURCE") or ".") .. "/tests/lua/?.lua;" .. package.path
local t = require "tap"
local augment = require "hilum.augment"
local difference = require "hilum.difference"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local feed = require "hilum.feed"
local hl = require "hilum"
local progress = require "hilum.progress"
local toy = require "toy"
local train = require "hilum.train"

local SIZE = { 8, 8, 8 }
local augmentation = { hl.augment.reader {}, hl.augment.flip {}, hl.augment.turn {}, hl.augment.rotate {},
  hl.augment.scale {}, hl.augment.translate {}, hl.augment.elastic {}, hl.augment.low_resolution {},
  hl.augment.noise {}, hl.augment.blur {}, hl.augment.gamma {} }
local quiet = { progress = function() end }

local function set_of(change) return (toy.source(change or {}):open(quiet)) end

local function feed_of(workers, o)
  o = o or {}
  local said = {}
  local f = feed.new(o.set or set_of(), { batch = o.batch or 3, size = SIZE, seed = 11, bytes = o.bytes,
    augment = augment.on(augmentation, toy.source {}), workers = workers,
    say = function(line) said[#said + 1] = line end })
  return f, said
end

local function list(...)
  local all, i = { ... }, 0
  return function()
    i = i + 1
    if all[i] then return all[i][1], all[i][2] end
  end
end

local ALL = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }

-- A value with its types, the same text for the same value.
local function shown(x)
  if type(x) ~= "table" then return string.format("%s:%s", math.type(x) or type(x), x) end
  local keys, parts = {}, {}
  for key in pairs(x) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do parts[i] = tostring(key) .. "=" .. shown(x[key]) end
  return "{" .. table.concat(parts, " ") .. "}"
end

-- What two epochs and a look at single cases are, as text: voxels and draws.
local function course(f)
  local lines = {}
  local function add(cases, epoch)
    local batch, drawn = assert(f:fill(cases, epoch))
    for _, name in ipairs { "image", "truth", "valid" } do lines[#lines + 1] = engine.sha256(batch[name]:raw()) end
    for i, one in ipairs(drawn) do
      lines[#lines + 1] = i .. " " .. shown(one)
    end
  end
  f:follow_training { first = 1, last = 2, train = ALL, after = { { 2, 4 }, { 7 } }, n = #ALL }
  for epoch = 1, 2 do
    for _, cases in ipairs(f:order(ALL, epoch)) do add(cases, epoch) end
    for _, case in ipairs { 2, 4, 7 } do add { case } end
  end
  for case = 1, #ALL do add { case } end
  return table.concat(lines, "\n")
end

-- ---- the same batches ----

do
  local expected = course(feed_of(0))
  for _, workers in ipairs { 1, 2, 4 } do
    local f, said = feed_of(workers)
    t.is(f.workers, workers, workers .. " workers")
    t.ok(course(f) == expected, "give the batches that are prepared here, and the draws")
    t.same(said, {}, "without a word")
    f:free()
  end
  local f = feed_of(2, { bytes = 40000 }) -- two slots of 18 KiB, nothing kept
  t.ok(course(f) == expected, "so do they within a budget of two batches")
  f:free()
  local narrow, said = feed_of(2, { bytes = 30000 })
  t.is(narrow.workers, 0, "a budget that does not hold two batches does without workers")
  t.like(said[1], "not ahead: the feed's budget of 29.3 KiB holds no two batches of 18 KiB$", "and says why")
  t.ok(course(narrow) == expected, "the batches are the same")
end

-- ---- other questions than expected ----

do
  local here, f = feed_of(0), feed_of(2)
  local function same(cases, epoch, name)
    local a, b = here:fill(cases, epoch), f:fill(cases, epoch)
    t.ok(a.image:raw() == b.image:raw() and a.truth:raw() == b.truth:raw(), name)
  end
  same({ 1, 2, 3 }, 1, "nothing is foreseen")
  f:follow(list({ { 1, 2, 3 }, 1 }, { { 4, 5, 6 }, 1 }, { { 7, 8, 9 }, 1 }))
  same({ 1, 2, 3 }, 1, "the first of three is")
  same({ 9, 9, 9 }, 1, "something in between is not")
  same({ 4, 5, 6 }, 2, "nor is another epoch")
  same({ 4, 5, 6 }, 1, "the second is still there")
  f:follow(list({ { 10, 1 }, 3 }))
  same({ 10, 1 }, 3, "another order from there on, with a smaller batch")
  same({ 7, 8, 9 }, 1, "what was dropped is prepared here")
  f:expect { 5, 6 }
  f:expect { 5, 6 }
  same({ 5 }, nil, "single cases")
  f:expect { 6 }
  same({ 6 }, nil, "as they are")
  for round = 1, 40 do -- slots come back however often the order changes
    f:follow(list({ { 1, 2, 3 }, round }, { { 4, 5, 6 }, round }, { { 7, 8, 9 }, round }))
    if round % 3 == 0 then f:fill({ 1, 2, 3 }, round) end
  end
  same({ 4, 5, 6 }, 40, "after many changes of mind")
  t.is(#f.ahead.vacant + #f.ahead.queue + (f.ahead.lent and 1 or 0), #f.ahead.slots, "no slot is lost")
  f:free()
  same({ 1, 2, 3 }, 1, "without its workers it goes on alone")
end

-- ---- what goes wrong ----

local function kill(f, i) os.execute("kill -9 " .. f.ahead.crew:process(i)) end

do
  local expected = course(feed_of(0))
  local f, said = feed_of(3)
  f:follow_training { first = 1, last = 2, train = ALL, after = { { 2, 4 }, { 7 } }, n = #ALL }
  kill(f, 2)
  t.ok(course(f) == expected, "a worker that is killed costs nothing")
  t.is(#said, 1, "but a line:")
  t.like(said[1], "^data worker 2 of 3 ended with signal 9 %(Killed%).*: the others take over$", said[1])
  f:free()

  f, said = feed_of(1)
  f:follow(list({ { 1, 2, 3 }, 1 }, { { 4, 5, 6 }, 1 }))
  assert(f:fill({ 1, 2, 3 }, 1))
  kill(f, 1)
  f:follow(list({ { 7, 8, 9 }, 1 }, { { 1, 2, 3 }, 1 }))
  local batch, err = f:fill({ 7, 8, 9 }, 1)
  t.is(batch, nil, "the last one that is killed ends it")
  t.is(err.code, "worker", "with a code of its own")
  t.like(err.message, "^the data worker that prepared case%-7, case%-8, case%-9 ended with signal 9 %(Killed%)$",
    "and the names of the cases")
  t.like(said[1], "^data worker 1 of 1 ended with signal 9 %(Killed%)", "after a line")
  f:free()

  -- A sample that ends whoever prepares it.
  local deadly = set_of()
  local load = deadly.load
  function deadly:load(i)
    if i == 5 then os.execute("kill -9 $PPID") end
    return load(self, i)
  end
  f, said = feed_of(4, { set = deadly })
  f:follow(list({ { 1, 2, 3 }, 1 }, { { 4, 5, 6 }, 1 }, { { 7, 8, 9 }, 1 }))
  t.ok(f:fill({ 1, 2, 3 }, 1), "the batch before it")
  batch, err = f:fill({ 4, 5, 6 }, 1)
  t.is(batch, nil, "a case that ends two workers is given up")
  t.like(tostring(err), "the data worker that prepared case%-5 ended with signal 9 %(Killed%)$", tostring(err))
  t.is(#said, 2, "two were lost")
  t.ok(f:fill({ 7, 8, 9 }, 1), "the batch behind it")
  f:free()
end

for _, workers in ipairs { 0, 2 } do
  local f = feed_of(workers, { set = set_of { lost = 5 } })
  f:follow(list({ { 4, 5, 6 }, 1 }, { { 1, 2, 3 }, 1 }))
  local batch, err = f:fill({ 4, 5, 6 }, 1)
  t.is(batch, nil, workers .. " workers: a case that cannot be loaded")
  t.is(err.code .. ": " .. tostring(err), "io: case case-5: case-5.dcm: is gone", "is named with what is wrong")
  t.ok(f:fill({ 1, 2, 3 }, 1), "the next batch can be had")
  f:free()
end

do -- an error that is raised
  local wild = set_of()
  function wild.load() error("no such thing", 0) end
  local f = feed_of(1, { set = wild })
  f:follow(list({ { 1 } }))
  local batch, err = f:fill { 1 }
  t.is(batch, nil, "what raises in a worker")
  t.like(tostring(err), "^case case%-1: no such thing$", "is a problem with the case's name")
  f:free()
end

do -- a worker has its own account of memory
  local large = set_of()
  local load = large.load
  function large:load(i)
    if i == 2 then engine.memory_limit(1) end
    return load(self, i)
  end
  local f = feed_of(2, { set = large })
  f:follow(list({ { 1, 2 } }, { { 3, 4 } }))
  local batch, err = f:fill { 1, 2 }
  t.is(batch, nil, "no memory in a worker")
  t.is(err.code, "memory", "has the code of it")
  t.like(tostring(err), "^case case%-2: .*the budget is 0%.0 MiB", "and is said of the case")
  f:free()
end

-- ---- trainings ----

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))

local spec = experiment.new {
  name = "toy", seed = 3, data = toy.source {}, split = { train = 0.6 }, augment = augmentation,
  model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
  loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
  optim = hl.optim.adam { rate = 1e-2 },
  train = { epochs = 3, batch = 4, average = 0.9 },
}

local function run_of(workers, o)
  local bar = progress.new { bar = false, out = function() end }
  local set, sides = train.data(spec, bar)
  o = o or {}
  o.out, o.bar, o.set, o.sides, o.ready, o.workers = folder .. "/run.h5", bar, set, sides, train.prepare(spec), workers
  return assert(train.run(spec, o))
end

do
  local plain = run_of(0)
  for _, workers in ipairs { 1, 2, 4 } do
    local run = run_of(workers)
    t.same(difference.of(plain, run), {}, workers .. " workers: weights, curves, draws and predictions to the bit")
    t.is(run.provenance.data_workers, workers, "their number is noted")
    t.is(run.provenance.feed_bytes, feed.BYTES, "and their budget")
    for _, name in ipairs { "waiting", "saving" } do
      local rows = run.curves.epoch[name]
      t.ok(#rows == 3 and rows[1] >= 0 and rows[1] <= 1 and rows[3] >= 0 and rows[3] <= 1,
        "the share of " .. name .. " is there for each epoch")
    end
  end
end

os.remove(folder .. "/run.h5")
os.remove(folder)
t.done(function() t.is(engine.ledger().live.data, 0, "nothing is left in memory") end)
