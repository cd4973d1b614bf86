-- Loading scripts: text only, strict globals, every source kept for the archive.
--
-- A script sees the pure part of Lua's library, `require`, and nothing of the operating system. Reading
-- or assigning an undefined global is an error at the script's line. `require` finds hilum's own modules
-- and text modules beside the script; the sources of the latter are recorded.

local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local sandbox = {}

local LARGEST = 16 * 1024 * 1024 -- bytes of one source file

-- Bare functions and libraries a script sees. Drawing random numbers or asking for the time would make
-- an experiment another one each time, so math is without random, and there is no os.
local plain = { "assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen",
  "select", "setmetatable", "getmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION" }
local libraries = { "math", "string", "table", "utf8" }
local left_out = { math = { random = true, randomseed = true }, string = { dump = true } }
local reasons = {
  io = "a script reads and writes no files", os = "a script does not use the operating system",
  load = "a script loads code through require only", dofile = "use require", loadfile = "use require",
  debug = "it is not there in scripts", package = "use require", _G = "it is not there in scripts",
  hl = "it comes from the module hilum: require it",
}

--- The text of a source file, or nil and a problem.
function sandbox.read(path)
  local file, message = io.open(path, "rb")
  if not file then return nil, problem.new("io", (message:gsub("^(.-):%s*", "%1: cannot be read: "))) end
  local text, err = file:read(LARGEST + 1)
  file:close()
  if err then return nil, problem.new("io", path .. ": cannot be read: " .. err) end
  text = text or ""
  if text:sub(1, 4) == "\27Lua" then
    return nil, problem.new("format", path .. ": is a compiled Lua chunk; only text is loaded")
  end
  if #text > LARGEST then
    return nil, problem.new("format", string.format("%s: is larger than %d MiB, too large for a script", path,
      LARGEST // (1024 * 1024)))
  end
  return text
end

--- Compiles text (never a binary chunk) under a name, or returns nil and a problem.
function sandbox.compile(text, path, env)
  local body = text:gsub("^#[^\n]*", "")
  local chunk, message = load(body, "@" .. path, "t", env)
  if chunk then return chunk end
  return nil, problem.new("syntax", message)
end

local function copy_of(name)
  local copy, without = {}, left_out[name] or {}
  for key, part in pairs(_G[name]) do
    if not without[key] then copy[key] = part end
  end
  return copy
end

-- Lines meant for people go where they disturb no result.
local function say(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  io.stderr:write(table.concat(parts, "\t"), "\n")
end

local function environment(require_in)
  local env = { print = say, require = require_in }
  for _, name in ipairs(plain) do env[name] = _G[name] end
  for _, name in ipairs(libraries) do env[name] = copy_of(name) end
  local known = {}
  for name in pairs(env) do known[#known + 1] = name end
  return setmetatable(env, {
    __metatable = false,
    __index = function(_, name)
      local near = suggest.nearest(name, known)
      local hint = reasons[name] and " (" .. reasons[name] .. ")"
        or near and string.format(" (did you mean '%s'?)", near) or ""
      problem.raise("global", string.format("undefined global '%s'%s", tostring(name), hint))
    end,
    __newindex = function(_, name)
      name = tostring(name)
      problem.raise("global", string.format("assignment to the global '%s' (write local %s = …)", name, name))
    end,
  })
end

local function folder_of(path)
  return path:match("^(.*[/\\])[^/\\]*$") or ""
end

-- `require` for one script: hilum's modules as they are, others as text from the script's folder.
local function requirer(folder, record)
  local loaded, loading, env = {}, {}, nil

  local function require_in(name)
    if type(name) ~= "string" or not name:find("^[%w_][%w_.%-]*$") then
      problem.raise("module", "require: expected the name of a module, got " .. tostring(name))
    end
    if name == "hilum" or name:find("^hilum%.") then return (require(name)) end
    if loaded[name] ~= nil then return loaded[name] end
    if loading[name] then problem.raise("module", string.format("module '%s' requires itself", name)) end
    local path = folder .. name:gsub("%.", "/") .. ".lua"
    local text, err = sandbox.read(path)
    local chunk
    if text then chunk, err = sandbox.compile(text, path, env) end
    if not chunk then
      if err.code == "syntax" then error(err, 0) end
      problem.raise("module", string.format("module '%s': %s", name, err.message))
    end
    record.modules[name] = { path = path, source = text }
    loading[name] = true
    local result = chunk(name, path)
    loading[name] = nil
    loaded[name] = result == nil and true or result
    return loaded[name]
  end

  env = environment(require_in)
  return env, require_in
end

local current -- `require` of the script that is running

--- Whether a script is running.
function sandbox.running()
  return current ~= nil
end

--- What the script that is running would get from require(name); raises where it would.
function sandbox.module(name)
  return (current(name))
end

--- Runs the script in its own environment. Returns its first result and a record of what was loaded:
--- { path, source, modules = { [name] = { path, source } } }. Raises problems. `every`, optional, is called
--- now and then and may raise (to end a script that never ends).
function sandbox.run(path, every)
  local text, err = sandbox.read(path)
  if not text then error(err, 0) end
  local record = { path = path, source = text, modules = {} }
  local env, require_in = requirer(folder_of(path), record)
  local chunk
  chunk, err = sandbox.compile(text, path, env)
  if not chunk then error(err, 0) end
  local outer = current
  current = require_in
  local result = table.pack(pcall(problem.watch, every, chunk))
  current = outer
  if not result[1] then error(result[2], 0) end
  return result[2], record
end

return sandbox
