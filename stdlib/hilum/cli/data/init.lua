-- hilum data: looking at folders of images, preparing them, making the phantom.

local commands = {}
-- One file each, in the order of the help text.
local names = { "scan", "audit", "check", "nodules", "agreement", "show", "export", "prepare", "cache", "phantom" }
for i, name in ipairs(names) do commands[i] = require("hilum.cli.data." .. name) end

return {
  name = "data", summary = "looks at folders of images, prepares them, makes the phantom", commands = commands,
}
