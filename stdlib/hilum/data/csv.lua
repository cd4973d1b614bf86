-- Tables as text: comma-separated values with a row of names (RFC 4180).

local problem = require "hilum.problem"

local csv = {}

local function refuse(path, line, text, ...)
  error(problem.new("format", string.format("%s:%d: " .. text, path, line, ...)), 0)
end

-- One cell from `at` on: its text, and the place behind it. Blanks around it do not count.
local function cell(path, line, text, at)
  at = text:match("^[ \t]*()", at)
  if text:sub(at, at) ~= '"' then
    local last = (text:find(",", at, true) or #text + 1) - 1
    return text:sub(at, last):match "^%s*(.-)%s*$", last + 1
  end
  local parts, first = {}, at + 1
  while true do
    local quote = text:find('"', first, true)
    if not quote then refuse(path, line, "a quoted cell does not end") end
    parts[#parts + 1] = text:sub(first, quote - 1)
    if text:sub(quote + 1, quote + 1) ~= '"' then return table.concat(parts), text:match("^[ \t]*()", quote + 1) end
    parts[#parts + 1], first = '"', quote + 2
  end
end

local function cells(path, line, text)
  local list, at = {}, 1
  while true do
    list[#list + 1], at = cell(path, line, text, at)
    if at > #text then return list end
    if text:sub(at, at) ~= "," then refuse(path, line, "expected a comma behind a quoted cell") end
    at = at + 1
  end
end

-- Names of the columns, each once.
local function names_of(path, line, list)
  local seen = {}
  for _, name in ipairs(list) do
    if name == "" or seen[name] then refuse(path, line, "the column name '%s' is %s", name, name == "" and "empty"
      or "there twice") end
    seen[name] = true
  end
  return list
end

--- The rows of text as { name = cell } with row.line, its line in the file; then the names. Empty lines and lines that
--- begin with # are left out. Raises a problem with file and line.
function csv.parse(text, path)
  local rows, names, line = {}, nil, 0
  for one in (text:gsub("^\239\187\191", ""):gsub("\r\n?", "\n") .. "\n"):gmatch "([^\n]*)\n" do
    line = line + 1
    if one:find "%S" and one:sub(1, 1) ~= "#" then
      local list = cells(path, line, one)
      if not names then
        names = names_of(path, line, list)
      else
        if #list ~= #names then refuse(path, line, "has %d cells, the first row %d", #list, #names) end
        local row = { line = line }
        for i, name in ipairs(names) do row[name] = list[i] end
        rows[#rows + 1] = row
      end
    end
  end
  return rows, names or {}
end

return csv
