-- Batches that worker processes prepare before they are asked for.
--
-- The batches lie in slots: memory that all processes share. What will be asked for is known beforehand (feed:follow),
-- so the next batches are dealt out as soon as a slot is free: each case to the worker of its number, which then keeps
-- the samples of its own cases. A worker fills rows of the slot and replies what it has drawn. A batch is handed over
-- when all of its rows are there, in the order in which it was asked for, so nothing depends on who was faster.
--
-- A worker that ends (killed, crashed) costs no sample: the others prepare what it was asked for. Where that kills a
-- second one, or nobody is left, the batch fails with the cases' names.

local engine = require "hilum.engine"
local json = require "hilum.json"
local problem = require "hilum.problem"

local ahead = {}
ahead.__index = ahead

-- ---- in the worker ----

-- Fills the rows of a part and says what was drawn for each, or what went wrong with which case.
local function fill_rows(o, part)
  local drawn = json.list {}
  for i, row in ipairs(part.rows) do
    local fine, found, err = pcall(o.put, o.slots[part.slot], row[1], row[2], part.epoch)
    if not fine then found, err = nil, problem.of(found) end
    if not found then return { id = part.id, failed = { case = row[2], code = err.code, message = tostring(err) } } end
    drawn[i] = found
  end
  return { id = part.id, drawn = drawn, kept = o.kept() }
end

-- ---- in this process ----

-- Request to reply, both text.
local function answer(o, text)
  local part = json.decode(text)
  local fine, reply = pcall(json.encode, fill_rows(o, part))
  if fine then return reply end
  return json.encode { id = part.id, failed = { case = part.rows[1][2], code = "error", message = tostring(reply) } }
end

--- o: { workers = how many, slots = batches of tensors that are shared, put = function(batch, row, case, epoch) that
--- fills a row and returns what was drawn, or nil and a problem, name = function(case), say = function(line), kept =
--- function() bytes of samples that the process keeps }. Returns nil and a problem if no processes can be had.
function ahead.new(o)
  local crew, err = engine.workers(o.workers, function(text) return answer(o, text) end)
  if not crew then return nil, err end
  local self = setmetatable({ crew = crew, slots = o.slots, name = o.name, say = o.say, alive = {}, kept = {},
    left = o.workers, vacant = {}, queue = {}, parts = {}, last = 0 }, ahead)
  for i = 1, o.workers do self.alive[i], self.kept[i] = true, 0 end
  for i = 1, #o.slots do self.vacant[i] = i end
  return self
end

-- The worker of a case: always the same one, as long as it lives.
local function worker_of(self, case)
  local n = #self.crew
  for step = 0, n - 1 do
    local i = (case + step) % n + 1
    if self.alive[i] then return i end
  end
end

-- Sends rows { { row, case }, … } of a batch to a worker.
local function send_part(self, entry, worker, rows, tries)
  self.last = self.last + 1
  local part = { entry = entry, worker = worker, rows = rows, tries = tries }
  self.parts[self.last], entry.missing = part, entry.missing + 1
  return self.crew:send(worker, json.encode { id = self.last, slot = entry.slot, epoch = entry.epoch, rows = rows })
end

-- Deals rows of a batch out. Returns true, or nil and a problem (cancelled).
local function deal(self, entry, rows, tries)
  local by_worker = {}
  for _, row in ipairs(rows) do
    local worker = worker_of(self, row[2])
    by_worker[worker] = by_worker[worker] or {}
    table.insert(by_worker[worker], row)
  end
  for worker = 1, #self.crew do
    if by_worker[worker] then
      local fine, err = send_part(self, entry, worker, by_worker[worker], tries)
      if not fine then return nil, err end
    end
  end
  return true
end

-- Asks for what comes next, as far as slots are free.
local function ask(self)
  while self.coming and #self.vacant > 0 and self.left > 0 do
    local cases, epoch = self.coming()
    if not cases then
      self.coming = nil
      return true
    end
    local entry = { cases = cases, epoch = epoch, slot = table.remove(self.vacant), missing = 0, drawn = {} }
    table.insert(self.queue, entry)
    local rows = {}
    for i, case in ipairs(cases) do rows[i] = { i, case } end
    local fine, err = deal(self, entry, rows, 1)
    if not fine then return nil, err end
  end
  return true
end

local function names(self, rows)
  local list = {}
  for i, row in ipairs(rows) do list[i] = self.name(row[2]) end
  return table.concat(list, ", ")
end

-- A slot is free once nobody writes to it any more and nobody reads it.
local function settle(self, entry)
  if entry.dropped and entry.missing == 0 then table.insert(self.vacant, entry.slot) end
end

-- A part is done, or lost with its worker.
local function take_part(self, id)
  local part = self.parts[id]
  self.parts[id] = nil
  part.entry.missing = part.entry.missing - 1
  return part
end

local function take_reply(self, reply)
  local part = take_part(self, reply.id)
  local entry, failed = part.entry, reply.failed
  self.kept[part.worker] = reply.kept or self.kept[part.worker]
  for i, row in ipairs(part.rows) do entry.drawn[row[1]] = reply.drawn and reply.drawn[i] end
  if failed then
    entry.err = entry.err
      or problem.new(failed.code, string.format("case %s: %s", self.name(failed.case), failed.message))
  end
  settle(self, entry)
end

-- What an ended worker was asked for, in that order.
local function parts_of(self, worker)
  local ids = {}
  for id, part in pairs(self.parts) do
    if part.worker == worker then ids[#ids + 1] = id end
  end
  table.sort(ids)
  return ids
end

-- Worker i has ended: the others do what it leaves behind, but for what has now ended two of them.
local function bury(self, i, how)
  self.alive[i], self.kept[i], self.left = false, 0, self.left - 1
  local ids = parts_of(self, i)
  local doing = ids[1] and " while it prepared " .. names(self, self.parts[ids[1]].rows) or ""
  self.say(string.format("data worker %d of %d ended with %s%s%s", i, #self.crew, how, doing,
    self.left > 0 and ": the others take over" or ""))
  for at, id in ipairs(ids) do
    local part = take_part(self, id)
    local entry = part.entry
    if self.left == 0 or at == 1 and part.tries > 1 then
      entry.err = entry.err or problem.new("worker", string.format("the data worker that prepared %s ended with %s",
        names(self, part.rows), how))
    elseif not entry.dropped then
      local fine, err = deal(self, entry, part.rows, at == 1 and part.tries + 1 or part.tries)
      if not fine then return nil, err end
    end
    settle(self, entry)
  end
  return true
end

-- Waits for one reply. Returns true, or nil and a problem.
local function hear(self)
  local i, text, how = self.crew:receive()
  if not i then return nil, text end
  if not text then return bury(self, i, how) end
  take_reply(self, json.decode(text))
  return true
end

--- What will be asked for from now on: next() gives cases and epoch of one batch after the other, then nil. What was
--- prepared for another order is dropped.
function ahead:follow(next)
  for _, entry in ipairs(self.queue) do
    entry.dropped = true
    settle(self, entry)
  end
  self.queue, self.coming = {}, next
  return ask(self)
end

-- What was asked for first; waits for a slot that is still written to for nobody. Nil if nothing is foreseen, nil and a
-- problem if it cannot be known.
local function front(self)
  local fine, err = ask(self)
  while fine and not self.queue[1] and self.coming and next(self.parts) do
    fine, err = hear(self)
    if fine then fine, err = ask(self) end
  end
  return self.queue[1], err
end

local function is_for(entry, cases, epoch)
  if entry.epoch ~= epoch or #entry.cases ~= #cases then return false end
  for i, case in ipairs(cases) do
    if entry.cases[i] ~= case then return false end
  end
  return true
end

-- The batch that was handed over last is not read any more.
local function give_back(self)
  if self.lent then
    self.lent.dropped = true
    settle(self, self.lent)
  end
  self.lent = nil
end

--- Whether these cases of that epoch are what comes next.
function ahead:foresees(cases, epoch)
  local first = front(self)
  return first ~= nil and is_for(first, cases, epoch)
end

--- The slot with these cases, which may be read until the next call, and what was drawn for each row; nil alone if
--- they were not foreseen, nil and a problem if they cannot be had.
function ahead:take(cases, epoch)
  give_back(self)
  local entry, err = front(self)
  if err or not entry or not is_for(entry, cases, epoch) then return nil, err end
  while entry.missing > 0 do
    local fine
    fine, err = hear(self)
    if not fine then return nil, err end
  end
  table.remove(self.queue, 1)
  self.lent = entry
  if entry.err then return nil, entry.err end
  return self.slots[entry.slot], entry.drawn
end

--- Bytes of samples that the workers keep.
function ahead:bytes_kept()
  local sum = 0
  for _, bytes in ipairs(self.kept) do sum = sum + bytes end
  return sum
end

--- Ends the workers.
function ahead:free()
  self.crew:free()
end

return ahead
