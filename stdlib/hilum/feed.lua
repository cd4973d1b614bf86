-- Samples on their way to the network: kept in memory as far as they fit, augmented, put into batches; by worker
-- processes before they are needed (feed/ahead.lua), or here when they are.
--
-- Who prepares a batch makes no difference to it: what is drawn depends on (seed, epoch, case) alone.

local ahead = require "hilum.feed.ahead"
local augment = require "hilum.augment"
local engine = require "hilum.engine"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local split = require "hilum.split"

local feed = {}
feed.__index = feed

--- Bytes of samples and batches that stay in memory, if nothing else is said.
feed.BYTES = 1 << 30

--- How many workers, if nothing is said: one prepares samples many times faster than a step uses them up, and they
--- share the processors with it.
function feed.default_workers()
  return math.max(1, math.min(4, engine.host().processors // 4))
end

local parts = { "image", "truth", "valid" }

-- The tensors for n cases.
local function new_batch(self, n, make)
  local shape, batch = { n, 1, self.size[1], self.size[2], self.size[3] }, {}
  for _, name in ipairs(parts) do batch[name] = make(shape, { dtype = "f32", layout = "image", category = "data" }) end
  return batch
end

-- Those for batches that are prepared here, made once.
local function batch_of(self, n)
  self.batches[n] = self.batches[n] or new_batch(self, n, engine.zeros)
  return self.batches[n]
end

local function bytes_of(sample)
  local n = sample.image.bytes + sample.truth.bytes + sample.valid.bytes
  for _, mask in ipairs(sample.readers or {}) do n = n + mask.bytes end
  return n
end

--- The sample of a case as it is: { image, truth, valid, readers }, or nil and a problem.
function feed:sample(case)
  if self.kept[case] then return self.kept[case] end
  local sample, err = self.set:load(case)
  if not sample then return nil, err end
  local n = bytes_of(sample)
  if self.kept_bytes + n <= self.room then
    self.kept[case], self.kept_bytes = sample, self.kept_bytes + n
  end
  return sample
end

local function copy_into(batch, i, sample)
  for _, name in ipairs(parts) do
    local place <close> = batch[name]:slice(1, i)
    place:copy_(sample[name])
  end
end

--- Puts a sample into row i of the batch that is prepared here.
function feed:place(sample, i)
  copy_into(batch_of(self, self.n), i, sample)
end

-- Puts a case into row i of a batch, augmented if an epoch is given. Returns what was drawn, or nil and a problem.
local function put(self, batch, i, case, epoch)
  local sample, err = self:sample(case)
  if not sample then return nil, err end
  local drawn = {}
  if epoch then sample, drawn = augment.apply(self.augment, sample, self.seed, epoch, case) end
  copy_into(batch, i, sample)
  return drawn
end

-- ---- ahead ----

-- So many batches that each worker has one sample at work and one to come, beside the batch that is read and the next;
-- 0 if the budget holds no two.
local function slots_for(self, workers)
  local one = #parts * 4 * self.n * self.size[1] * self.size[2] * self.size[3]
  local wanted = 2 + (2 * workers + self.n - 1) // self.n
  local most = self.bytes // one
  return most >= 2 and math.max(2, math.min(wanted, most // 2)) or 0, one
end

-- Starts the workers, each of which keeps its share of what the slots leave of the budget.
local function start(self, workers, say)
  local n, one = slots_for(self, workers)
  if n == 0 then
    return nil, problem.new("memory", string.format("the feed's budget of %s holds no two batches of %s",
      progress.bytes(self.bytes), progress.bytes(one)))
  end
  local slots = {}
  for i = 1, n do slots[i] = new_batch(self, self.n, engine.shared) end
  self.room = (self.bytes - n * one) // workers
  local crew, err = ahead.new { workers = workers, slots = slots, say = say,
    put = function(...) return put(self, ...) end, kept = function() return self.kept_bytes end,
    name = function(case) return self.set.cases[case].id end }
  self.room = crew and 0 or self.bytes -- here, nothing is kept beside them
  return crew, err
end

--- A feed over the cases of a set. o: { batch =, size = { z, y, x }, seed =, augment = list; optional: gathered =
--- batches that make one step (1), workers = processes that prepare batches ahead (default 0: none), bytes = budget of
--- batches and kept samples, say = function(line) for remarks }. Its workers end at feed:free() or with this process.
function feed.new(set, o)
  local self = setmetatable({ set = set, size = o.size, seed = o.seed, augment = o.augment, n = o.batch,
    gathered = o.gathered or 1, kept = {}, kept_bytes = 0, batches = {}, bytes = o.bytes or feed.BYTES, workers = 0,
    waited = 0 }, feed)
  self.room = self.bytes
  if (o.workers or 0) == 0 then return self end
  local say, err = o.say or function() end
  self.ahead, err = start(self, o.workers, say)
  self.workers = self.ahead and o.workers or 0
  if err then say("note          samples are prepared between the steps, not ahead: " .. tostring(err)) end
  return self
end

--- The order of an epoch: batches of the case indices, shuffled by (seed, epoch). The last step is filled
--- up with the first cases of the same order, so that every case is seen and all steps are of one size.
function feed:order(cases, epoch)
  local order = table.move(cases, 1, #cases, 1, {})
  split.shuffle(order, self.seed, "shuffle", epoch)
  local batches = {}
  local step = self.n * self.gathered
  for first = 1, (#order + step - 1) // step * step, self.n do
    local one = {}
    for i = 0, self.n - 1 do one[i + 1] = order[(first + i - 1) % #order + 1] end
    batches[#batches + 1] = one
  end
  return batches
end

--- Says what feed:fill will be asked for, in order: next() gives cases and epoch of a batch, then of the next one, at
--- last nil. A wrong guess costs time, nothing else.
function feed:follow(next)
  if self.ahead then self.ahead:follow(next) end
end

--- The same for a whole training: for the epochs from o.first to o.last the batches of the cases o.train, and each case
--- of the lists in o.after on its own; at the end each of the o.n cases.
function feed:follow_training(o)
  self:follow(coroutine.wrap(function()
    for epoch = o.first, o.last do
      for _, cases in ipairs(self:order(o.train, epoch)) do coroutine.yield(cases, epoch) end
      for _, list in ipairs(o.after) do
        for _, case in ipairs(list) do coroutine.yield { case } end
      end
    end
    for case = 1, o.n do coroutine.yield { case } end
  end))
end

--- The same for each of these cases on its own as it is, unless that is what is followed already.
function feed:expect(cases)
  if not self.ahead or #cases == 0 or self.ahead:foresees({ cases[1] }, nil) then return end
  local i = 0
  self:follow(function()
    i = i + 1
    return cases[i] and { cases[i] }
  end)
end

-- Here and now.
local function fill_here(self, cases, epoch)
  local drawn, batch = {}, batch_of(self, #cases)
  for i, case in ipairs(cases) do
    local err
    drawn[i], err = put(self, batch, i, case, epoch)
    if not drawn[i] then
      return nil, problem.new(err.code, string.format("case %s: %s", self.set.cases[case].id, tostring(err)))
    end
  end
  return batch, drawn
end

-- The first n rows of a batch.
local function rows(batch, n)
  if batch.image.shape[1] == n then return batch end
  local some = {}
  for _, name in ipairs(parts) do some[name] = batch[name]:slice(1, 1, n) end
  return some
end

local function fill(self, cases, epoch)
  if not self.ahead then return fill_here(self, cases, epoch) end
  local batch, drawn = self.ahead:take(cases, epoch)
  if batch then return rows(batch, #cases), drawn end
  if drawn then return nil, drawn end
  return fill_here(self, cases, epoch)
end

--- A batch of these cases, augmented if an epoch is given. Returns { image, truth, valid }, whose tensors are
--- used again for the next batch, and what was drawn for each case; or nil and a problem. feed.waited counts the
--- seconds that this took.
function feed:fill(cases, epoch)
  local start_s = engine.clock()
  local batch, drawn = fill(self, cases, epoch)
  self.waited = self.waited + engine.clock() - start_s
  return batch, drawn
end

--- Bytes of samples that the workers keep, beside what this process' ledger counts.
function feed:bytes_kept_by_workers()
  return self.ahead and self.ahead:bytes_kept() or 0
end

--- Ends the workers, if there are any, and lets their memory go.
function feed:free()
  if self.ahead then self.ahead:free() end
  self.ahead, self.room = nil, self.bytes
end

return feed
