-- After the last epoch: what every metric says of every case with the last weights, and the panel.

local dataset = require "hilum.dataset"
local epoch = require "hilum.train.epoch"
local evaluate = require "hilum.evaluate"
local hooks = require "hilum.train.hooks"
local notes = require "hilum.train.notes"

local ending = {}

--- Evaluates the trained network; true, or nil and a problem.
function ending.run(s)
  s.step:swap_averages()
  local fine, err = evaluate.complete(s.run, {
    set = s.set, validation = s.sides.validation_cases, spec = s.spec, spacing_mm = dataset.spacing_mm(s.spec.data),
    measure = function(what, cases, visit, o) return epoch.measure(s, what, cases, visit, o) end,
  })
  s.step:swap_averages()
  if not fine then return nil, err end
  fine, err = hooks.epoch_end(s, notes.last_epoch(s), "run_end")
  if not fine then return nil, err end
  s.run.state.finished = true
  return true
end

return ending
