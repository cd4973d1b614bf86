-- hilum data: looking at folders of images, making the phantom.

local commands = {}
-- One file each, in the order of the help text.
for i, name in ipairs { "scan", "audit", "export", "phantom" } do commands[i] = require("hilum.cli.data." .. name) end

return { name = "data", summary = "looks at folders of images, makes the phantom", commands = commands }
