-- Rooms and doors: the table in ARCHITECTURE.md against every #include, require and forbidden call.
local t = require "tap"
local files = require "lint.files"

-- ---- the table ----

local function cells(line)
  local list = {}
  for cell in line:sub(2):gmatch "([^|]*)|" do list[#list + 1] = cell:match "^%s*(.-)%s*$" end
  return list
end

local function words(text)
  local list = {}
  for word in text:gsub("`", ""):gmatch "%S+" do list[#list + 1] = word end
  return list
end

-- A glob as a Lua pattern; `*` stays within one folder unless it ends a vendor's name.
local function pattern(glob, star)
  local escaped = glob:gsub("[%^%$%(%)%%%.%[%]%+%-%?]", "%%%0")
  return "^" .. escaped:gsub("%*", star)
end

local function read_table()
  local text = assert(files.read "ARCHITECTURE.md", "ARCHITECTURE.md is missing")
  local header = "| room | provides | may use | private doors | vendor headers |\n|---|---|---|---|---|\n"
  local _, last = text:find(header, 1, true)
  assert(last, "ARCHITECTURE.md: the table of rooms is not there, or its form has changed")
  local rooms = {}
  for line in text:sub(last + 1):gmatch "([^\n]*)\n" do
    if line:sub(1, 1) ~= "|" then break end
    local cell = cells(line)
    assert(#cell == 5, "ARCHITECTURE.md: a row without five cells: " .. line)
    local path = words(cell[1])[1]
    local room = {
      path = path,
      pattern = pattern(path, "[^/]+") .. (path:find "%.%w+$" and "$" or "/"),
      name = path:match "^engine/([^/]+)" or path,
      provides = words(cell[2]),
      uses = {}, private = {}, vendors = {},
    }
    room.uses[room.name] = true
    for _, name in ipairs(words(cell[3])) do room.uses[name] = true end
    for _, name in ipairs(words(cell[4])) do room.private[name] = true end
    for _, glob in ipairs(words(cell[5])) do room.vendors[#room.vendors + 1] = pattern(glob, ".*") .. "$" end
    rooms[#rooms + 1] = room
  end
  return rooms
end

local rooms = read_table()
t.ok(#rooms >= 10, "ARCHITECTURE.md names the rooms")

local provider = {} -- public header -> name of its room
for _, room in ipairs(rooms) do
  for _, header in ipairs(room.provides) do
    t.is(provider[header], nil, "hilum/" .. header .. ".h is provided by one room")
    provider[header] = room.name
  end
end

local function room_of(path)
  local best
  for _, room in ipairs(rooms) do
    if path:find(room.pattern) and (not best or #room.path > #best.path) then best = room end
  end
  return best
end

-- ---- includes ----

local standard = {} -- C11 and POSIX; anything else is a vendor's and needs a row
for name in ([[assert ctype dirent dlfcn errno fcntl fenv float ftw inttypes libgen limits locale math poll
  pthread pwd sched semaphore signal spawn stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib
  stdnoreturn string strings termios time unistd wchar wctype immintrin]]):gmatch "%S+" do
  standard[name .. ".h"] = true
end

local function is_standard(header, path)
  if standard[header] or header:find "^sys/[%w_]+%.h$" then return true end
  return not header:find "%.h" and path:find "%.c[px][px]$" ~= nil -- the library of C++
end

local function allows_vendor(room, header)
  for _, vendor in ipairs(room.vendors) do
    if header:find(vendor) then return true end
  end
  return false
end

local function exists(path)
  for _, known in ipairs(files.all) do
    if known == path then return true end
  end
  return false
end

-- The room whose private header a quoted include names; its own folder and the room's top folder come first.
local function private_owner(room, path, header)
  if header:find "%.inc$" or header:find "%.def$" then return room.name end -- tables, some made by the build
  if exists(path:gsub("[^/]*$", "") .. header) then return room.name end
  for _, known in ipairs(files.all) do
    if known:sub(-#header - 1) == "/" .. header and known:find("^engine/" .. room.name .. "/") then
      return room.name
    end
  end
  for name in pairs(room.private) do
    if exists("engine/" .. name .. "/" .. header) then return name end
  end
  return nil
end

local function complaint(room, path, bracket, header)
  local public = header:match "^hilum/([%w_]+)%.h$"
  if public then
    if not provider[public] then return "no room in ARCHITECTURE.md provides it" end
    if not room.uses[provider[public]] then return "it belongs to " .. provider[public] end
  elseif bracket == '"' then
    if not private_owner(room, path, header) then return "it is private to another room, or nowhere" end
  elseif not is_standard(header, path) and not allows_vendor(room, header) then
    return "a vendor's header that has no door here"
  end
  return nil
end

local function check_includes(path, text)
  local room = room_of(path)
  if not room then return { path .. ": belongs to no room of ARCHITECTURE.md" } end
  local wrong, number = {}, 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    local bracket, header = line:match '^%s*#%s*include%s*([<"])([^>"]+)[>"]'
    local why = header and complaint(room, path, bracket, header)
    if why then wrong[#wrong + 1] = string.format("%s:%d: %s: %s", path, number, header, why) end
  end
  return wrong
end

-- ---- forbidden calls ----

-- Code without comments and strings, line breaks kept.
local function bare(text)
  local function lines_only(comment) return (comment:gsub("[^\n]", "")) end
  text = text:gsub("\\\n", " \n"):gsub("/%*.-%*/", lines_only)
  text = text:gsub('\\[\\"]', ""):gsub('"[^"\n]*"', '""'):gsub("//[^\n]*", "")
  return text
end

local forbidden = {} -- function -> pattern of the files that may call it, or false
for name in ("abort exit longjmp siglongjmp printf vprintf puts putchar perror system popen"):gmatch "%S+" do
  forbidden[name] = false
end
for name in ("malloc calloc realloc aligned_alloc posix_memalign strdup strndup"):gmatch "%S+" do
  forbidden[name] = "^engine/core/"
end

forbidden.setjmp = "^engine/io/png%.c$" -- libpng knows no other way to return an error

local function check_calls(path, text)
  local wrong, number = {}, 0
  for line in (bare(text) .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    for name in line:gmatch "%f[%w_]([%a_][%w_]*)%s*%(" do
      local only = forbidden[name]
      if only ~= nil and not (only and path:find(only)) then
        wrong[#wrong + 1] = string.format("%s:%d: calls %s", path, number, name)
      end
    end
    if line:find "^%s*#%s*pragma%s+omp" and path ~= "engine/core/parallel.c" then
      wrong[#wrong + 1] = string.format("%s:%d: OpenMP outside engine/core/parallel.c", path, number)
    end
  end
  return wrong
end

local function report(name, wrong)
  if not t.is(#wrong, 0, name) then
    for _, line in ipairs(wrong) do t.diag(line) end
  end
end

local function append(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
end

local includes, calls, seen = {}, {}, 0
for _, path in ipairs(files.code()) do
  local text = files.read(path)
  local public = path:match "^engine/include/hilum/([%w_]+)%.h$"
  if public then
    -- A public header lives by its room's doors and includes only plain C and other public headers.
    if not provider[public] then
      includes[#includes + 1] = path .. ": no room of ARCHITECTURE.md provides it"
    end
    for line in text:gmatch "[^\n]+" do
      local header = line:match '^%s*#%s*include%s*[<"]([^>"]+)'
      local inner = header and header:match "^hilum/([%w_]+)%.h$"
      if inner then
        local home = room_of("engine/" .. tostring(provider[public]) .. "/x.c")
        if not (home and home.uses[provider[inner]]) then
          includes[#includes + 1] = path .. ": includes " .. header .. " of another room"
        end
      elseif header and header ~= "stdbool.h" and header ~= "stddef.h" and header ~= "stdint.h" then
        includes[#includes + 1] = path .. ": includes " .. header
      end
    end
  elseif path:find "^engine/" or path:find "^lua/" then
    seen = seen + 1
    append(includes, check_includes(path, text))
    if path:find "^engine/" then append(calls, check_calls(path, text)) end
  end
end
t.ok(seen > 0, "there is code to look at")
report("every #include goes through a door", includes)
report("the engine does not abort, exit, jump, print, start programs or allocate past the ledger", calls)

-- ---- Lua ----

-- Lua without comments; strings stay, for require's sake.
local function bare_lua(text)
  return (text:gsub("%-%-%[(=*)%[.-%]%1%]", ""):gsub("%-%-[^\n]*", ""))
end

local function required(text)
  local list = {}
  for name in text:gmatch "%f[%w_]require%s*%(?%s*[\"']([%w_.%-]+)[\"']" do list[#list + 1] = name end
  return list
end

local wrong, graph = {}, {}
for _, path in ipairs(files.with "lua") do
  local text = bare_lua(files.read(path))
  if path:find "^stdlib/" and not path:find "^stdlib/meta/" then
    local module = path:match "^stdlib/(.*)%.lua$":gsub("/init$", ""):gsub("/", ".")
    graph[module] = required(text)
    for _, name in ipairs(graph[module]) do
      if name ~= "hilum" and not name:find "^hilum%." then
        wrong[#wrong + 1] = path .. ": requires " .. name .. ", which is not hilum's"
      end
    end
    for _, call in ipairs { "os.execute", "io.popen" } do
      if text:find(call, 1, true) and path ~= "stdlib/hilum/gnuplot.lua" then
        wrong[#wrong + 1] = path .. ": calls " .. call
      end
    end
    if text:find "%f[%w_]loadfile%s*[%(\"']" or text:find "%f[%w_]dofile%s*[%(\"']" then
      wrong[#wrong + 1] = path .. ": loadfile or dofile would take bytecode"
    end
  elseif path:find "^experiments/" then
    for _, call in ipairs { "os.execute", "io.popen", "io.open", "print" } do
      if text:find("%f[%w_]" .. call:gsub("%.", "%%.") .. "%s*[%(\"']") then
        wrong[#wrong + 1] = path .. ": calls " .. call .. "; an experiment only returns a value"
      end
    end
  end
end
report("Lua modules stay within hilum and away from the shell", wrong)

-- A module that, through others, requires itself.
local function circle(module, path, done)
  if done[module] == "open" then return table.concat(path, " -> ") .. " -> " .. module end
  if done[module] or not graph[module] then return nil end
  done[module] = "open"
  path[#path + 1] = module
  for _, next_module in ipairs(graph[module]) do
    local found = circle(next_module, path, done)
    if found then return found end
  end
  path[#path] = nil
  done[module] = "closed"
  return nil
end

local circles, done, modules = {}, {}, {}
for module in pairs(graph) do modules[#modules + 1] = module end
table.sort(modules)
for _, module in ipairs(modules) do circles[#circles + 1] = circle(module, {}, done) end
report("no Lua module requires itself through others", circles)

t.done()
