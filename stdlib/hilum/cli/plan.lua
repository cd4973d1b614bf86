-- hilum plan: what an experiment or a study will be, without data.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local index = require "hilum.study.index"
local json = require "hilum.json"
local plan = require "hilum.plan"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local timing = require "hilum.timing"
local value = require "hilum.value"

local function settings_text(settings)
  local parts = {}
  for i, one in ipairs(settings) do
    local text = value.show(one.value)
    parts[i] = one.path .. " = " .. (#text > 30 and text:sub(1, 27) .. "..." or text)
  end
  return #parts > 0 and table.concat(parts, ", ") or "as the base"
end

-- The plan of every variant, one after another, so that only one network is there at a time.
local function plan_study(study, path)
  local plans = {}
  for i, variant in ipairs(study:variants()) do
    plans[i] = plan.table(variant.spec, common.prepare(variant.spec, path .. ", variant " .. variant.name))
    plans[i].settings = settings_text(variant.settings)
    collectgarbage()
  end
  return plans
end

local function say_study(study, plans)
  local rows = { { "variant", "parameters", "memory", "batch", "epochs", "settings" } }
  for i, one in ipairs(plans) do
    rows[i + 1] = { one.name, tostring(one.parameters), progress.bytes(one.bytes.peak), tostring(one.batch),
      tostring(one.epochs), one.settings }
  end
  print(string.format("study %s, %d variants\n%s", study.name, #plans, index.aligned(rows)))
end

local function measure(spec, ready)
  local found = timing.measure(spec, ready)
  if engine.cancelled() then error(problem.new("cancelled", "stopped while measuring a step"), 0) end
  return found
end

return {
  name = "plan",
  summary = "shapes, parameters, predicted bytes and time of an experiment or a study",
  arguments = { { "EXPERIMENT.lua", "a script that returns an experiment or a study" } },
  options = common.with(common.experiment_options, {
    { "no-time", nil, "measures no step (a matter of seconds): without the time of a step, an epoch and the run" },
    { "json", nil, "one JSON object" },
  }),
  run = function(given)
    local spec = common.load(given)
    if value.family(spec) == "study" then
      local plans = plan_study(spec, given[1])
      if given.json then return common.emit { name = spec.name, variants = json.list(plans) } end
      return say_study(spec, plans)
    end
    local ready = common.prepare(spec, given[1])
    local measured = not given["no-time"] and function() return measure(spec, ready) end
    if given.json then
      local found = plan.table(spec, ready)
      if measured then found.time = plan.time_table(spec, measured()) end
      return common.emit(found)
    end
    print(table.concat(plan.lines(spec, ready), "\n"))
    if measured then print(table.concat(plan.time_lines(spec, measured()), "\n")) end
  end,
}
