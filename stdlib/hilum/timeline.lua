-- What memory steps hold at each of their ops: an observer, as hilum.profile is.
--
--   local t = timeline.new()
--   t:begin()                           -- before each step
--   step:run(batch, t.observe)
--   print(t.steps[1][1].live)

local engine = require "hilum.engine"
local profile = require "hilum.profile"

local timeline = {}
timeline.__index = timeline

-- Bytes of the ledger by what they are for. The passing values of a run lie in one block, of which an op needs a part.
local function held(step)
  local now = engine.ledger().live
  local kept = now.parameters + now.gradients + now.optimiser
  return { kept = kept, data = now.all - kept - step.block, live = step.live, ledger = now.all,
    used = now.all - step.block + step.live }
end

--- A timeline; t.observe goes to a trainer's run. t.steps[i] is the i-th step that began, a list of its ops: { op,
--- place, backward, start, stop (seconds since the step began), kept = bytes of parameters, gradients and the
--- optimiser, data = of images and results, live = of passing values that the op needs, used = of all three, ledger =
--- with what is free in the block of passing values, resident = of the process, by the system }.
function timeline.new()
  local t = setmetatable({ steps = {} }, timeline)
  --- Notes an op that has just run, and lets its tensors be.
  function t.note(step)
    local row, rows = held(step), t.steps[#t.steps]
    row.op, row.place, row.backward = step.op, step.place, step.backward
    row.stop = engine.clock() - t.began
    row.start = math.max(row.stop - step.seconds, #rows > 0 and rows[#rows].stop or 0)
    row.resident = engine.resident()
    rows[#rows + 1] = row
  end
  function t.observe(step)
    t.note(step)
    profile.let_go(step)
  end
  return t
end

--- A new step begins now.
function timeline:begin()
  self.began = engine.clock()
  self.steps[#self.steps + 1] = {}
end

--- The op of a step's rows at which most is in use.
function timeline.peak(rows)
  local most
  for _, row in ipairs(rows) do
    if not most or row.used > most.used then most = row end
  end
  return most
end

return timeline
