-- Drawing with gnuplot: the one place in hilum that starts a process.
--
-- A figure is a template plots/NAME.gp and tables. Nothing of a user's ever becomes part of a command or a
-- script: the command is fixed but for two paths of hilum's own, quoted; tables are written into a folder made
-- for them; all text (titles, names of patients) is data of labels, with quotes and backslashes as octal
-- numbers. So a title with backticks is shown as such.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local gnuplot = {}

--- In which figures can be drawn, and in which they are if nothing is said.
gnuplot.formats = { "svg", "png", "pdf" }
local DEFAULT = { "svg", "png" }

-- ---- tables ----

-- The characters that DejaVu Sans has for certain. gnuplot draws others as enormous boxes in PNG and PDF.
local glyphs = {
  { 0x20, 0x7E }, { 0xA0, 0x24F }, { 0x391, 0x3A1 }, { 0x3A3, 0x3CE }, { 0x400, 0x525 }, { 0x1E00, 0x1EFB },
  { 0x2010, 0x2027 }, { 0x2030, 0x205E }, { 0x2190, 0x22FF }, { 0x25A0, 0x25FF },
}

local function has_glyph(code)
  for _, range in ipairs(glyphs) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

-- The characters of a text; bytes that are not UTF-8 become U+FFFD, control characters blanks.
local function characters(s)
  local list, at = {}, 1
  while at <= #s do
    local fine, code = pcall(utf8.codepoint, s, at)
    local step = fine and #utf8.char(code) or 1
    if not fine then code = 0xFFFD end
    if code < 0x20 or code >= 0x7F and code < 0xA0 then code = 0x20 end
    list[#list + 1] = code
    at = at + step
  end
  return list
end

--- The text in at most n characters: the middle gives way.
function gnuplot.shortened(s, n)
  local list = characters(s)
  if #list <= n then return utf8.char(table.unpack(list)) end
  local head, tail = (n - 1) // 2, n - 1 - (n - 1) // 2
  return utf8.char(table.unpack(list, 1, head)) .. "…" .. utf8.char(table.unpack(list, #list - tail + 1))
end

-- A text as a field of a table.
local function field(s, format)
  local parts = { '"' }
  for _, code in ipairs(characters(s)) do
    local c = utf8.char(code)
    if format ~= "svg" and not has_glyph(code) then c = "□" end
    if c:find '["\\`$]' then c = string.format("\\%03o", c:byte()) end
    parts[#parts + 1] = c
  end
  parts[#parts + 1] = '"'
  return table.concat(parts)
end

local function cell(value, format)
  if type(value) == "string" then return field(value, format) end
  if type(value) ~= "number" or value ~= value or value == math.huge or value == -math.huge then return "NaN" end
  return string.format(math.type(value) == "integer" and "%d" or "%.9g", value)
end

-- Rows of cells, tab-separated; an empty row is an empty line (a new line, a new curve). A table of no rows has
-- one of NaN, which draws nothing: gnuplot complains about empty files.
local function text_of(rows, format)
  local lines = {}
  for i, row in ipairs(rows) do
    local cells = {}
    for j = 1, #row do cells[j] = cell(row[j], format) end
    lines[i] = table.concat(cells, "\t")
  end
  if #lines == 0 then lines[1] = "NaN\tNaN\tNaN" end
  return table.concat(lines, "\n") .. "\n"
end

local function write_tables(folder, tables, format)
  for name, rows in pairs(tables) do
    local fine, err = engine.write_file(folder .. "/" .. name .. ".tsv", text_of(rows, format))
    if not fine then return nil, err end
  end
  return true
end

-- ---- the process ----

-- Beside the modules: ../../plots in the source tree, share/hilum/plots where installed.
local function find_plots()
  local here = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or "."
  for _, folder in ipairs { here .. "/../../plots", here .. "/../../../hilum/plots" } do
    if engine.exists(folder .. "/page.gp") then return engine.real_path(folder) end
  end
  return nil, problem.new("io", "the templates of the figures are not there: no folder 'plots' beside " .. here)
end

local function quoted(path)
  return "'" .. path:gsub("'", "'\\''") .. "'"
end

-- Runs gnuplot in `folder`; true, or nil and what it said.
local function run(folder, plots, name, format)
  local command = { "cd", quoted(folder), "&& LC_ALL=C exec gnuplot -d" }
  for _, script in ipairs { "page", format, name } do
    command[#command + 1] = quoted(plots .. "/" .. script .. ".gp")
  end
  command[#command + 1] = "2>&1 </dev/null"
  local pipe = io.popen(table.concat(command, " "), "r")
  if not pipe then return nil, problem.new("io", "no process can be started for gnuplot") end
  local said = pipe:read "a"
  local fine, how, code = pipe:close()
  if fine then return true, said end
  if how == "exit" and code == 127 then
    return nil, problem.new("missing", "gnuplot is not installed, and figures are drawn with it (Debian: apt-get "
      .. "install gnuplot-nox)")
  end
  return nil, problem.new("gnuplot", string.format("gnuplot could not draw %s (%s %d): %s", name, how, code,
    said:gsub("%s+", " "):sub(1, 400)))
end

local function read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

-- Fonts that look alike where DejaVu is not installed, pixels as they are, no tool tip "Gnuplot", no blanks at
-- the ends of lines.
local function finished(format, bytes)
  if format ~= "svg" then return bytes end
  return (bytes:gsub('font%-family="DejaVu Sans"', 'font-family="DejaVu Sans, Verdana, Arial, sans-serif"')
    :gsub("<image ", "<image style='image-rendering:pixelated' "):gsub("<title>Gnuplot</title>%s*", "", 1)
    :gsub("[ \t]+\n", "\n"))
end

-- One file; its path, or nil, err.
local function draw(folder, plots, name, tables, path, format)
  local fine, err = write_tables(folder, tables, format)
  if not fine then return nil, err end
  local said
  fine, said = run(folder, plots, name, format)
  if not fine then return nil, said end
  local bytes = finished(format, read_file(folder .. "/figure." .. format))
  if #bytes == 0 then
    return nil, problem.new("gnuplot", string.format("gnuplot drew no %s: %s", name, said:gsub("%s+", " "):sub(1, 400)))
  end
  fine, err = engine.write_file(path, bytes)
  if not fine then return nil, err end
  return path
end

--- Draws plots/NAME.gp from tables ({ table name = list of rows of numbers and texts }) to BASENAME.svg, BASENAME.png
--- or what else is in `formats`. The table `page` holds one row that begins with width and height in pixels. Returns
--- the list of files, or nil, err.
function gnuplot.draw(name, tables, basename, formats)
  local plots, err = find_plots()
  if not plots then return nil, err end
  local scratch <close>, failure = engine.scratch()
  if not scratch then return nil, failure end
  local files = {}
  for i, format in ipairs(formats or DEFAULT) do
    files[i], err = draw(scratch:path(), plots, name, tables, basename .. "." .. format, format)
    if not files[i] then return nil, err end
  end
  return files
end

return gnuplot
