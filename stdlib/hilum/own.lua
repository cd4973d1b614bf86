-- Functions of the user's own in an experiment: by name, from a module beside the script.
--
--   hl.loss.own { from = "losses", call = "f2", with = { beta = 2 } }
--
-- names the function f2 of losses.lua, which is called with { beta = 2 } as its last argument. The value prints, hashes
-- and loads as any other; the module's source is archived with the script's. Where a value is made without its script
-- (out of an archive), the function is missing, which is said when it is needed.

local problem = require "hilum.problem"
local sandbox = require "hilum.sandbox"
local schema = require "hilum.schema"
local value = require "hilum.value"

local own = {}

local functions = setmetatable({}, { __mode = "k" }) -- value -> its function

--- The fields of such a value, added to `fields`.
function own.fields(fields)
  fields.from = schema.string { pattern = "[%w_][%w_.%-]*", text = "the name of a module beside the script",
    doc = "NAME.lua, archived with the run" }
  fields.call = schema.string { pattern = "[%a_][%w_]*", text = "the name of a function", doc = "a function of it" }
  fields.with = schema.anything { default = {}, text = "a table", doc = "what it is given, as the last argument" }
  return fields
end

--- Finds the function: for a constructor's check.
function own.check(self, report)
  if not sandbox.running() then return end
  local fine, module = pcall(sandbox.module, self.from)
  if not fine then
    module = problem.of(module)
    if module.code == "cancelled" then error(module, 0) end
    return report("from", module.message)
  end
  local found = type(module) == "table" and module[self.call]
  if type(found) ~= "function" then
    return report("call", string.format("the module '%s' has no function '%s'", self.from, self.call))
  end
  functions[self] = found
end

--- How it is called in messages: "losses.f2".
function own.name(self)
  return self.from .. "." .. self.call
end

--- Calls the function with these arguments and what it is given; raises what it raises.
function own.call(self, ...)
  local found = functions[self]
  if not found then
    error(problem.new("module", string.format("%s is not there: an experiment out of an archive knows the name of the "
      .. "function, and not its module", own.name(self))), 0)
  end
  local arguments = table.pack(...)
  arguments[arguments.n + 1] = value.plain(self.with)
  return found(table.unpack(arguments, 1, arguments.n + 1))
end

return own
