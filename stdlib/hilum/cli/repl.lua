-- hilum repl: the prompt, and running files and snippets as at the prompt.

local engine = require "hilum.engine"
local inspect = require "hilum.inspect"
local problem = require "hilum.problem"
local sandbox = require "hilum.sandbox"

local repl = {
  name = "repl",
  summary = "the prompt; or runs a file or a piece of Lua as at the prompt",
  arguments = { { "[FILE]", "a Lua file to run; what follows it is its arg", rest = true } },
  options = {
    { "eval", "CODE", "runs this Lua and prints its value", short = "e", many = true },
    { "stay", nil, "goes to the prompt afterwards", short = "i" },
  },
  notes = "At the prompt `hl` is the library and `_` the last value. A statement may go on over several\n"
    .. "lines; `;` at the end keeps a value from being printed. Ctrl-C stops what runs, Ctrl-D leaves.",
}

-- The prompt's own globals: everything Lua has, and hl. Nothing in _G is replaced.
local function environment()
  return setmetatable({ hl = require "hilum" }, { __index = _G })
end

-- Compiles an expression or a statement. Returns the function, or nil, the message and whether more input
-- could complete it.
local function compile(text, name, env)
  local chunk, as_expression = load("return " .. text, name, "t", env)
  if chunk then return chunk end
  local as_statement
  chunk, as_statement = load(text, name, "t", env)
  if chunk then return chunk end
  for _, err in ipairs { as_statement, as_expression } do
    if err:find("<eof>$") then return nil, err, true end
  end
  return nil, as_statement, false
end

local function show(results, env)
  if results.n == 0 then return end
  env._ = results[1]
  local parts = {}
  for i = 1, results.n do parts[i] = inspect(results[i]) end
  print(table.concat(parts, "\n"))
end

-- Runs a chunk; prints its values unless told to be silent. True unless it failed.
local function execute(chunk, silent, env)
  engine.cancel_clear()
  local results = table.pack(xpcall(chunk, function(err)
    if os.getenv("HILUM_TRACEBACK") then return debug.traceback(tostring(err), 2) end
    return tostring(err)
  end))
  if not results[1] then
    io.stdout:flush()
    io.stderr:write(tostring(results[2]), "\n")
    return false
  end
  results = table.pack(table.unpack(results, 2, results.n))
  if silent then
    if results.n > 0 then env._ = results[1] end
    return true
  end
  local fine, err = pcall(show, results, env)
  if not fine then io.stderr:write(tostring(err), "\n") end
  return fine
end

local function history_file()
  local home = os.getenv("XDG_STATE_HOME") or os.getenv("HOME") and os.getenv("HOME") .. "/.local/state"
  return home and home .. "/hilum/history"
end

local function remember(verb)
  local path = history_file()
  if not path or not engine.history then return end
  if verb == "write" then engine.mkdir(path:match("^(.*)/")) end
  engine.history(verb, path)
end

local function read_line(prompt)
  if engine.readline then return engine.readline(prompt) end
  io.stdout:write(prompt):flush()
  return io.read("l")
end

-- Reads until the text is whole: chunk, silent; or nil at the end of input, or false for an error.
local function read_statement(env, quiet)
  local text
  while true do
    local line = read_line(quiet and "" or text and ">> " or "> ")
    if line == nil then
      if text then io.stderr:write("the input ends in the middle of a statement\n") end
      return nil
    end
    text = text and text .. "\n" .. line or line
    local silent = text:find(";%s*$") ~= nil
    local chunk, err, more = compile((text:gsub(";%s*$", "")), "=prompt", env)
    if chunk then return chunk, silent end
    if not more then
      io.stderr:write(err, "\n")
      return false
    end
  end
end

local function loop(env)
  local terminal = engine.terminal()
  if terminal then
    print("hilum " .. engine.version .. ", " .. _VERSION .. ". Ctrl-D leaves.")
    remember("read")
  end
  local function once()
    local chunk, silent = read_statement(env, not terminal)
    if chunk then execute(chunk, silent, env) end
    return chunk ~= nil
  end
  while true do
    local fine, more = pcall(once)
    if fine and not more then break end
    if not fine then -- Ctrl-C while a line was typed or a value printed
      if not tostring(more):find("interrupted", 1, true) then error(more, 0) end
      print()
    end
  end
  if terminal then
    remember("write")
    print()
  end
end

local function run_file(words, env)
  local path = words[1]
  local text, err = sandbox.read(path)
  local chunk
  if text then chunk, err = sandbox.compile(text, path, env) end
  if not chunk then error(err, 0) end
  env.arg = table.move(words, 2, #words, 1, { [0] = path })
  chunk(table.unpack(words, 2))
end

function repl.run(given)
  local env = environment()
  for _, code in ipairs(given.eval or {}) do
    local chunk, err = compile(code, "=code", env)
    if not chunk then error(problem.new("syntax", err), 0) end
    if not execute(chunk, false, env) then return 1 end
  end
  if given[1] then run_file(given, env) end
  if (given.eval or given[1]) and not given.stay then return 0 end
  engine.on_interrupt("raise")
  loop(env)
  engine.on_interrupt("default")
  return 0
end

return repl
