-- hilum plan: what an experiment will be, without data and without computing.

local common = require "hilum.cli.common"
local plan = require "hilum.plan"

return {
  name = "plan",
  summary = "shapes, parameters and predicted bytes of an experiment",
  arguments = { { "EXPERIMENT.lua", "a script that returns an experiment" } },
  options = common.with(common.experiment_options, {
    { "json", nil, "one JSON object" },
  }),
  run = function(given)
    local spec = common.load(given)
    local ready = common.prepare(spec, given[1])
    if given.json then return common.emit(plan.table(spec, ready)) end
    print(table.concat(plan.lines(spec, ready), "\n"))
  end,
}
