-- After the last epoch: what every metric says of every case with the last weights, and the panel.

local dataset = require "hilum.dataset"
local epoch = require "hilum.train.epoch"
local evaluate = require "hilum.evaluate"

local ending = {}

--- Evaluates the trained network; true, or nil and a problem.
function ending.run(s)
  local run, all, unknown = s.run, {}, {}
  s.step:swap_averages() -- and back at the end
  for i = 1, #s.set.cases do all[i] = i end
  for _, i in ipairs(s.sides.validation_cases) do unknown[i] = true end
  local result, err = epoch.measure(s, "final evaluation", all, nil, { metrics = s.spec.evaluate, calibrated = unknown,
    predict = s.spec.predict })
  if not result then return nil, err end
  for i, row in ipairs(run.cases) do
    for name, x in pairs(result.measured[i]) do row[name] = x end
    row.dice = result.dice[i]
  end
  run.metrics = evaluate.summary(run.cases, s.spec.evaluate, dataset.spacing_mm(s.spec.data) ~= nil)
  run.state.empty_truths, run.calibration = result.empty, result.calibration
  local chosen = evaluate.panel_cases(s.sides.validation_cases, result.dice)
  local fine
  fine, err = epoch.measure(s, "panel", chosen, function(case, batch, prediction, dice)
    local column = evaluate.column(s.set.cases[case], batch, prediction, dice)
    column.threshold = s.spec.predict.threshold
    local spacing = dataset.spacing_mm(s.spec.data)
    column.spacing_mm = spacing and { spacing[2], spacing[3] } or nil -- of the scale bar
    run.panel[#run.panel + 1] = column
  end, { predict = s.spec.predict })
  s.step:swap_averages()
  if not fine then return nil, err end
  run.state.finished = true
  return true
end

return ending
