-- Where a training calls the experiment's hooks, and what it does with their answers.

local hook = require "hilum.hook"
local notes = require "hilum.train.notes"

local hooks = {}

local function copy(t)
  local new = {}
  for key, part in pairs(t) do new[key] = type(part) == "table" and copy(part) or part end
  return new
end

-- Where the training stands, as every hook is told.
local function counters(s, epoch)
  local state = s.run.state
  return { epoch = epoch, epochs = s.spec.train.epochs, step = state.step, steps = s.total_steps,
    best = { epoch = state.best_epoch, dice = state.best_dice } }
end

-- Calls the hooks of a moment; their values go into the last row of the curves `what`. Returns the values, or nil and
-- a problem.
local function call(s, at, what, event)
  local answer, err = hook.call(s.spec.train.hooks, at, event, function(name) return notes.is_own(what, name) end)
  if not answer then return nil, err end
  local rows, state = s.run.curves[what], s.run.state
  for name, x in pairs(answer.values) do
    rows[name] = rows[name] or {}
    rows[name][#rows[what]] = x
  end
  state.stopped = state.stopped or answer.stop
  return answer.values
end

--- After a step and its row of the curves. Returns true, or nil and a problem.
function hooks.step_end(s, epoch, row)
  if #s.spec.train.hooks == 0 then return true end
  return call(s, "step_end", "step", function()
    local event = counters(s, epoch)
    event.row = copy(row)
    return event
  end)
end

--- After an epoch and its row of the curves; `at` is "epoch_end", or "run_end" after the last. Returns what they found,
--- by name, or nil and a problem.
function hooks.epoch_end(s, row, at)
  if #s.spec.train.hooks == 0 then return {} end
  return call(s, at, "epoch", function()
    local event = counters(s, row.epoch)
    event.row, event.curves = copy(row), copy(s.run.curves.epoch)
    return event
  end)
end

return hooks
