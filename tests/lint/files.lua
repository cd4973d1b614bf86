-- What the lint tests share: the files that belong to the project, and reading them.

local files = {}

files.root = assert(os.getenv "HILUM_SOURCE", "HILUM_SOURCE is not set")

local function shell_quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end
files.shell_quoted = shell_quoted

--- The output lines of a shell command, and whether it succeeded.
function files.run(command)
  local pipe = assert(io.popen("cd " .. shell_quoted(files.root) .. " && " .. command, "r"))
  local lines = {}
  for line in pipe:lines() do lines[#lines + 1] = line end
  local fine = pipe:close()
  return lines, fine == true
end

--- Whether a program is there.
function files.has_program(name)
  local _, fine = files.run("command -v " .. name .. " >/dev/null 2>&1")
  return fine
end

--- The whole text of a file given relative to the root; nil if it is not there.
function files.read(path)
  local file = io.open(files.root .. "/" .. path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

-- Tracked files and those that would be; in an unpacked archive without git, all outside build/.
local function list()
  local lines, fine = files.run "git -c safe.directory='*' ls-files -co --exclude-standard 2>/dev/null"
  if not fine then lines = files.run "find . -path ./build -prune -o -type f -print | sed 's|^./||'" end
  table.sort(lines)
  local here = {}
  for _, path in ipairs(lines) do
    local file = io.open(files.root .. "/" .. path, "rb")
    if file then -- not one that was deleted and is still in the index
      file:close()
      here[#here + 1] = path
    end
  end
  return here
end

files.all = list()

--- The files with one of the given extensions.
function files.with(...)
  local wanted = {}
  for _, extension in ipairs { ... } do wanted[extension] = true end
  local found = {}
  for _, path in ipairs(files.all) do
    if wanted[path:match "%.([%w]+)$"] then found[#found + 1] = path end
  end
  return found
end

--- C and C++ and CUDA.
function files.code()
  return files.with("c", "h", "cpp", "hpp", "cxx", "cu", "cuh")
end

return files
