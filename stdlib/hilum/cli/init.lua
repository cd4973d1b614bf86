-- The program `hilum`: finds the command, reports what went wrong, returns the exit code.
--
-- Exit codes: 0 done; 1 failed; 2 the command line is wrong; 130 interrupted; commands may add their own.

local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local cli = {}

-- One file each, in the order of the help text.
local commands = {
  "run", "plan", "evaluate", "compare", "report", "predict", "list", "show", "verify", "replay", "diff", "plot", "data",
  "repl", "bench", "doctor",
}

local codes = { usage = 2, cancelled = 130 }

local function load_command(name)
  return require("hilum.cli." .. name)
end

local function help()
  local rows = {}
  for i, name in ipairs(commands) do rows[i] = { name, load_command(name).summary } end
  return table.concat({
    "hilum: experiments on segmenting nodules in CT with invertible networks",
    "  hilum COMMAND [options]      hilum COMMAND --help      hilum --version",
    options.rows_text(rows),
    "Without a command, on a terminal: the prompt.\n"
      .. "Exit codes: 0 done, 1 failed, 2 the command line is wrong, 130 interrupted.",
  }, "\n\n")
end

-- A command that is a family of commands: "data" has scan, phantom.
local function choose(family, words)
  local name, rows, names = words[1], {}, {}
  for i, command in ipairs(family.commands) do
    local last = command.name:match("%S+$")
    if last == name then return command end
    rows[i], names[i] = { command.name, command.summary }, last
  end
  local text = "hilum " .. family.name .. " COMMAND: " .. family.summary .. "\n\n" .. options.rows_text(rows)
  if name == "--help" or name == "-h" then return nil, text end
  if not name then error(problem.new("usage", text), 0) end
  error(problem.new("usage", string.format("unknown command '%s %s'%s", family.name, name,
    suggest.hint(name, names))), 0)
end

local call

function call(command, words)
  if command.commands then
    local chosen, text = choose(command, words)
    if chosen then return call(chosen, table.move(words, 2, #words, 1, {})) end
    print(text)
    return 0
  end
  local given = options.parse(command, words)
  if given.help then
    print(options.help(command))
    return 0
  end
  options.check(command, given)
  return command.run(given, command) or 0
end

local function dispatch(words)
  local name = words[1]
  if name == "--version" then
    print("hilum " .. require("hilum.engine").version)
    return 0
  elseif name == "--help" or name == "-h" or name == "help" and not words[2] then
    print(help())
    return 0
  elseif name == "help" then
    return dispatch { words[2], words[3] or "--help", words[3] and "--help" or nil }
  elseif name == nil then
    if require("hilum.engine").terminal() then return dispatch { "repl" } end
    error(problem.new("usage", "no command\n\n" .. help()), 0)
  end
  for _, known in ipairs(commands) do
    if name == known then return call(load_command(name), table.move(words, 2, #words, 1, {})) end
  end
  error(problem.new("usage", string.format("unknown command '%s'%s", name, suggest.hint(name, commands))), 0)
end

--- Runs the command line `words` (a list without the program's name); returns the exit code.
function cli.main(words)
  local fine, result = xpcall(dispatch, problem.caught, words)
  if fine then return result end
  io.stdout:flush()
  io.stderr:write("hilum: ", tostring(result), "\n")
  return codes[result.code] or 1
end

return cli
