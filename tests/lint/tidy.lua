-- Plain things about every file of the project: no paths of one machine, nothing left for later, no file too
-- long or too large, clean line ends.
local t = require "tap"
local files = require "lint.files"

local MOST_LINES, MOST_BYTES = 900, 1024 * 1024

-- Written in pieces, so that this file does not find itself.
local machine = {}
for name in ("work root home farm Users"):gmatch "%S+" do machine[#machine + 1] = "/" .. name .. "/" end
local later = { "TO" .. "DO", "FIX" .. "ME" }

local function is_text(text)
  return not text:find "\0"
end

local function has_machine_path(line)
  for _, path in ipairs(machine) do
    local first = 1
    while true do
      local at = line:find(path, first, true)
      if not at then break end
      if at == 1 or not line:sub(at - 1, at - 1):find "[%w_.%-}$/]" then return true end
      first = at + 1
    end
  end
  return false
end

local function has_mark(line)
  for _, word in ipairs(later) do
    if line:find("%f[%w]" .. word .. "%f[%W]") then return true end
  end
  return false
end

local found = { machine = {}, later = {}, long = {}, large = {}, ends = {} }
local function note(list, fmt, ...)
  list[#list + 1] = string.format(fmt, ...)
end

local function check_lines(path, text)
  local number = 0
  for line in (text:sub(-1) == "\n" and text or text .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    if has_machine_path(line) then note(found.machine, "%s:%d", path, number) end
    if has_mark(line) then note(found.later, "%s:%d", path, number) end
    if line:find "[ \t\r]$" then note(found.ends, "%s:%d", path, number) end
  end
  local drawn = path:find "%.svg$" -- a figure is not read line by line
  if number > MOST_LINES and path ~= "LICENSE" and not drawn then note(found.long, "%s: %d lines", path, number) end
  if #text > 0 and text:sub(-1) ~= "\n" then note(found.ends, "%s: no line break at the end", path) end
end

for _, path in ipairs(files.all) do
  local text = files.read(path)
  if #text > MOST_BYTES then note(found.large, "%s: %d KiB", path, #text // 1024) end
  if is_text(text) then check_lines(path, text) end
end

local function report(list, name)
  if not t.is(#list, 0, name) then
    for i = 1, math.min(#list, 40) do t.diag(list[i]) end
  end
end
t.ok(#files.all > 0, "there are files")
report(found.machine, "no path of somebody's machine")
report(found.later, "nothing is marked for later")
report(found.long, "no file over " .. MOST_LINES .. " lines")
report(found.large, "no file over 1 MiB")
report(found.ends, "no blanks at line ends, a line break at the end of each file")
t.done()
