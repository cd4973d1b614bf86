-- Messages keep the user's place and lose hilum's own.
local t = require "tap"
local problem = require "hilum.problem"

local function shown(message)
  return tostring(problem.of { code = "x", message = message })
end

local own = debug.getinfo(problem.of, "S")
t.is(shown(own.source:sub(2) .. ":12: no disk"), "no disk", "hilum's own place is left out")
t.is(shown(own.short_src .. ":12: no disk"), "no disk", "also as Lua shortens it")
t.is(shown(own.source:sub(2):gsub("problem", "cli/run") .. ":1: no disk"), "no disk", "of any module")
for _, place in ipairs { "unet.lua:3: ", "my/hilum/experiments/unet.lua:3: ", "...s/my/hilum/unet.lua:3: " } do
  t.is(shown(place .. "no disk"), place .. "no disk", place .. "stays: it is the user's")
end
t.is(shown "no disk", "no disk", "no place, no change")
t.is(shown(own.source:sub(2) .. ":12: a\nb"), "a\nb", "several lines")
t.is(tostring(problem.of "text"), "text", "a string is a message")
t.is(problem.of(problem.new("io", "m", "f:1")).code, "io", "a problem stays what it is")
t.done()
