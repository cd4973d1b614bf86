-- hl.hook: a function of the user's own that a training calls. docs/experiments.md tells what it is given and may
-- return.

local engine = require "hilum.engine"
local own = require "hilum.own"
local problem = require "hilum.problem"
local schema = require "hilum.schema"

local hook = {}

hook.new = schema.constructor("hl.hook", {
  doc = "Calls a function of a module beside the script while a network is trained.", family = "hook",
  fields = own.fields {
    at = schema.one_of { "step_end", "epoch_end", "run_end", default = "epoch_end", doc = "when" },
  },
  check = own.check,
})

local answers = { stop = true, values = true }

-- What is wrong with an answer, or nil.
local function complaint(answer, is_taken)
  if answer == nil then return nil end
  if type(answer) ~= "table" then return "returned a " .. type(answer) .. ": nothing or a table { stop, values }" end
  for key in pairs(answer) do
    if not answers[key] then return string.format("returned '%s': stop and values are known", tostring(key)) end
  end
  if answer.stop ~= nil and type(answer.stop) ~= "string" and type(answer.stop) ~= "boolean" then
    return "returned a " .. type(answer.stop) .. " as stop: a reason is expected"
  end
  if answer.values ~= nil and type(answer.values) ~= "table" then
    return "returned a " .. type(answer.values) .. " as values: a table of numbers is expected"
  end
  for name, x in pairs(answer.values or {}) do
    if type(name) ~= "string" or not name:find "^[%a_][%w_]*$" or #name > 100 then
      return string.format("returned a value called '%s': a name of letters, digits and _ is expected", tostring(name))
    elseif type(x) ~= "number" then
      return string.format("returned a %s as %s: a number is expected", type(x), name)
    elseif is_taken(name) then
      return string.format("returned a value called '%s', which is a curve of the training", name)
    end
  end
end

local function interrupt()
  if engine.cancelled() then error(problem.new("cancelled", "interrupted"), 0) end
end

--- Calls the hooks of a list that belong to `at`, one after another, each with a table of its own from event().
--- is_taken(name): whether a curve of this name is the training's. Returns { values = { name = number }, stop = reason
--- or nil }, or nil and a problem that names the hook.
function hook.call(list, at, event, is_taken)
  local all = { values = {} }
  for _, one in ipairs(list) do
    if one.at == at then
      local given = event()
      given.at = at
      local fine, answer = pcall(problem.watch, interrupt, own.call, one, given)
      local err = not fine and problem.of(answer) or nil
      if err and err.code == "cancelled" then return nil, err end
      local wrong = err and "failed: " .. tostring(err) or complaint(answer, is_taken)
      if wrong then return nil, problem.new("hook", string.format("the hook %s at %s %s", own.name(one), at, wrong)) end
      for name, x in pairs(answer and answer.values or {}) do all.values[name] = x + 0.0 end
      local stop = answer and answer.stop
      if stop then all.stop = all.stop or own.name(one) .. (stop == true and "" or ": " .. stop) end
    end
  end
  return all
end

return hook
