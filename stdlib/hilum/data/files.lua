-- What tells that files are still the same without reading them.

local engine = require "hilum.engine"

local files = {}

local function add(parts, path, name)
  local stat = engine.stat(path)
  if not stat then
    parts[#parts + 1] = name .. " gone"
  elseif stat.kind ~= "folder" then
    parts[#parts + 1] = string.format("%s %d %d", name, stat.bytes, stat.modified_ns)
  else
    for _, inner in ipairs(engine.list_folder(path) or {}) do add(parts, path .. "/" .. inner, name .. "/" .. inner) end
  end
end

--- Names, sizes and times of a file, or of all files below a folder, as text. The path itself does not count.
function files.identity(path)
  local parts = {}
  add(parts, path, path:match "[^/]*$")
  return table.concat(parts, "\n")
end

return files
