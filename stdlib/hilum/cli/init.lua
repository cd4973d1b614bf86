-- The program `hilum`: finds the command, reports what went wrong, returns the exit code.
--
-- Exit codes: 0 done; 1 failed; 2 the command line is wrong; 130 interrupted.

local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local cli = {}

-- One file each, in the order of the help text.
local commands = { "run", "plan", "show", "plot", "data", "repl", "doctor" }

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

local function call(command, words)
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
    return dispatch { words[2], "--help" }
  elseif name == nil then
    if require("hilum.engine").terminal() then return dispatch { "repl" } end
    error(problem.new("usage", "no command\n\n" .. help()), 0)
  end
  for _, known in ipairs(commands) do
    if name == known then return call(load_command(name), table.move(words, 2, #words, 1, {})) end
  end
  error(problem.new("usage", string.format("unknown command '%s'%s", name, suggest.hint(name, commands))), 0)
end

-- What stays in sight of an error: the message; the way to it only if asked for.
local function handler(err)
  local found = problem.of(err)
  if os.getenv("HILUM_TRACEBACK") then io.stderr:write(debug.traceback(nil, 2), "\n") end
  return found
end

--- Runs the command line `words` (a list without the program's name); returns the exit code.
function cli.main(words)
  local fine, result = xpcall(dispatch, handler, words)
  if fine then return result end
  io.stdout:flush()
  io.stderr:write("hilum: ", tostring(result), "\n")
  return codes[result.code] or 1
end

return cli
