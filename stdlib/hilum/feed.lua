-- Samples on their way to the network: kept in memory as far as they fit, augmented, put into batches.

local augment = require "hilum.augment"
local engine = require "hilum.engine"
local split = require "hilum.split"

local feed = {}
feed.__index = feed

local KEPT = 1 << 30 -- bytes of samples that stay in memory

--- A feed over the cases of a set. o: { batch =, size = { z, y, x }, seed =, augment = list, gathered = batches that
--- make one step (1) }.
function feed.new(set, o)
  return setmetatable({ set = set, size = o.size, seed = o.seed, augment = o.augment, n = o.batch,
    gathered = o.gathered or 1, kept = {},
    kept_bytes = 0, batches = {} }, feed)
end

-- The tensors for n cases, made once.
local function batch_of(self, n)
  if self.batches[n] then return self.batches[n] end
  local shape, batch = { n, 1, self.size[1], self.size[2], self.size[3] }, {}
  for _, name in ipairs { "image", "truth", "valid" } do
    batch[name] = engine.zeros(shape, { dtype = "f32", layout = "image", category = "data" })
  end
  self.batches[n] = batch
  return batch
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
  if self.kept_bytes + n <= KEPT then
    self.kept[case], self.kept_bytes = sample, self.kept_bytes + n
  end
  return sample
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

--- A batch of these cases, augmented if an epoch is given. Returns { image, truth, valid }, whose tensors are
--- used again for the next batch, and what was drawn for each case; or nil and a problem.
function feed:fill(cases, epoch)
  local drawn, batch = {}, batch_of(self, #cases)
  for i, case in ipairs(cases) do
    local sample, err = self:sample(case)
    if not sample then return nil, err end
    if epoch then sample, drawn[i] = augment.apply(self.augment, sample, self.seed, epoch, case) end
    for name, whole in pairs(batch) do
      local place <close> = whole:slice(1, i)
      place:copy_(sample[name])
    end
  end
  return batch, drawn
end

return feed
