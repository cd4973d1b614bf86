-- Errors that carry where they belong.
--
-- Two kinds reach a user. What depends on the world (files, data, disks) is returned as nil, err. What is
-- wrong in a script or a call is raised. Both are tables { code, message, where } that print as one line
-- ("where: message"), or as several where several things are wrong at once.
--
--   error(problem.new("schema", "unknown key 'chanels'", "unet.lua:12"), 0)

local problem = {}

local mt = { __name = "hl.problem" }

function mt.__tostring(self)
  if not self.where then return self.message end
  return self.where .. ": " .. self.message
end

--- code: a word a program can branch on; where: "file:line", or nil.
function problem.new(code, message, where)
  return setmetatable({ code = code, message = message, where = where }, mt)
end

--- Several problems as one; each is { where =, message =, code = }.
function problem.join(list)
  if #list == 1 then return problem.new(list[1].code, list[1].message, list[1].where) end
  local lines = { #list .. " problems" }
  for _, one in ipairs(list) do
    lines[#lines + 1] = "  " .. tostring(problem.new(one.code, one.message, one.where)):gsub("\n", "\n  ")
  end
  return problem.new(list[1].code, table.concat(lines, "\n"))
end

-- ---- the user's line ----

-- Everything below this folder is hilum itself; the first caller outside it is the user.
local root = debug.getinfo(1, "S").source:match("^(@.-)[^/\\]*$") or "@"

local function internal(source)
  return source:sub(1, #root) == root
end

-- The place in front of a message, if it is one of hilum's own files. Lua shortens long paths to "...tail".
local function own_place(place)
  local lead = place:match("^%.%.%.(.*)hilum/[%w_/]+%.lua$")
  if not lead then return internal("@" .. place) end
  return root:sub(-#lead - #"hilum/") == lead .. "hilum/"
end

-- The engine's errors begin with the line that called it; where that is hilum's own, it helps nobody.
local function without_place(message)
  local place, rest = tostring(message):match("^(.-%.lua):%d+: (.*)$")
  return place and own_place(place) and rest or tostring(message)
end

--- Whatever was raised or returned, as { code, message, where }.
function problem.of(err)
  if getmetatable(err) == mt then return err end
  if type(err) ~= "table" or not err.message then return problem.new("error", tostring(err)) end
  return problem.new(err.code or "error", without_place(err.message))
end

--- For xpcall: the same; the way to the error is shown if the environment asks for it (HILUM_TRACEBACK).
function problem.caught(err)
  if os.getenv("HILUM_TRACEBACK") then io.stderr:write(debug.traceback(nil, 2), "\n") end
  return problem.of(err)
end

local last_function, last_line -- where a watched script executed its last line

local function text(source, line)
  local first = source:sub(1, 1)
  local name = (first == "@" or first == "=") and source:sub(2) or "(code)"
  return line and line > 0 and name .. ":" .. line or name
end

local function last_text()
  return text(debug.getinfo(last_function, "S").source, last_line)
end

--- "file:line" of the innermost caller that is not part of hilum, or nil.
function problem.place()
  local level, lost = 2, false
  while true do
    local info = debug.getinfo(level, "Slt")
    if not info then return lost and last_line and last_text() or nil end
    if info.what ~= "C" and internal(info.source) then
      lost = lost or info.istailcall
    elseif lost and last_line then
      return last_text() -- `return hl.experiment {…}` leaves no frame behind
    elseif info.what ~= "C" then
      return text(info.source, info.currentline)
    end
    level = level + 1
  end
end

--- Raises at the user's line.
function problem.raise(code, message)
  error(problem.new(code, message, problem.place()), 0)
end

local outside = setmetatable({}, { __mode = "k" }) -- function -> it is not part of hilum

local function is_outside(f)
  if outside[f] == nil then
    local info = debug.getinfo(f, "S")
    outside[f] = info.what ~= "C" and not internal(info.source)
  end
  return outside[f]
end

--- Calls fn(...) while remembering the last line executed outside hilum, so that tail calls in a script
--- keep their place. `every()`, optional, is called now and then and may raise.
function problem.watch(every, fn, ...)
  local lines, raised = 0, false
  local function hook(_, line)
    local f = debug.getinfo(2, "f").func
    local theirs = is_outside(f)
    if theirs then last_function, last_line = f, line end
    lines = lines + 1
    if every and (raised and theirs or lines % 10000 == 0) then -- each turn of a loop counts as a line
      raised = true -- and it raises again in each line of the script from then on: it may catch errors
      every()
      raised = false
    end
  end
  local old, mask, count = debug.gethook()
  debug.sethook(hook, "l")
  local result = table.pack(pcall(fn, ...))
  debug.sethook(old, mask, count)
  last_function, last_line = nil, nil
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

return problem
