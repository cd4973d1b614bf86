-- What a command line hands to an experiment script: hl.arg("data", "phantom").

local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local args = {}

local given = {} -- name -> text, of the command that is loading a script
local asked = {} -- name -> true, what the script read

--- The text given for `name` on the command line (--data …), or the default. A number as default makes
--- the text a number.
function args.get(name, default)
  if type(name) ~= "string" then
    problem.raise("argument", "hl.arg: expected a name, got " .. tostring(name))
  end
  asked[name] = true
  local text = given[name]
  if text == nil then return default end
  if type(default) ~= "number" then return text end
  local number = tonumber(text)
  if not number then
    problem.raise("argument", string.format("--%s: expected a number, got '%s'", name, text))
  end
  return number
end

--- Calls fn(...) with these arguments in force. One that was given but not read raises.
function args.with(values, fn, ...)
  local old_given, old_asked = given, asked
  given, asked = values, {}
  local result = table.pack(pcall(fn, ...))
  local read = asked
  given, asked = old_given, old_asked
  if not result[1] then error(result[2], 0) end
  for name in pairs(values) do
    if not read[name] then
      local names = {}
      for known in pairs(read) do names[#names + 1] = known end
      error(problem.new("usage", string.format("--%s: this experiment does not read it%s", name,
        suggest.hint(name, names))), 0)
    end
  end
  return table.unpack(result, 2, result.n)
end

return args
