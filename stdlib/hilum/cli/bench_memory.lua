-- hilum bench memory: what scripts/memory measured, as a table and as a figure.

local engine = require "hilum.engine"
local figure = require "hilum.figure.memory"
local problem = require "hilum.problem"

local memory = {}

-- The values that are needed of a JSON line that bench train, or a peer's script of the same form, printed.
local function field(line, name)
  local number = line:match('"' .. name .. '"%s*:%s*"?%[?%s*([%d.eE+-]+)')
  return number and math.tointeger(tonumber(number)) or line:match('"' .. name .. '"%s*:%s*"([^"]*)"')
end

local nets = { iunet = "iUNet", unet = "UNet", ["iunet-rebuilt"] = "iUNet", ["iunet-stored"] = "iUNet" }

local function row_of(line, path, i)
  local row = { who = field(line, "who"), net = nets[field(line, "net") or ""], size = field(line, "size"),
    blocks = field(line, "blocks"), parameters = field(line, "parameters"),
    resident = field(line, "peak_above_start_bytes") }
  for _, name in ipairs { "who", "net", "size", "blocks", "parameters", "resident" } do
    if not row[name] then
      error(problem.new("format", string.format("%s, line %d: no %s; expected what hilum bench train --json prints",
        path, i, name)), 0)
    end
  end
  local start = field(line, "start_ledger_bytes")
  if start then
    row.planned, row.ledger = field(line, "planned_bytes") - start, field(line, "peak_ledger_bytes") - start
    row.activations = field(line, "peak_ledger_activation_bytes")
  end
  row.mode = row.net == "iUNet" and (line:find("rebuil", 1, true) and "rebuilt" or "stored") or "stored"
  return row
end

local function read(path)
  local file, message = io.open(path, "r")
  if not file then error(problem.new("io", message), 0) end
  local rows, i = {}, 0
  for line in file:lines() do
    i = i + 1
    if line:find "%S" then rows[#rows + 1] = row_of(line, path, i) end
  end
  file:close()
  return rows
end

local function mib(bytes)
  return bytes and string.format("%.0f", bytes / 2 ^ 20) or ""
end

local function before(a, b)
  for _, name in ipairs { "who", "net", "mode", "size", "blocks" } do
    if a[name] ~= b[name] then return a[name] < b[name] end
  end
  return false
end

local function table_of(rows)
  local lines = { "| who | net | side | couplings | parameters | promised | ledger | resident | activations |",
    "|---|---|---|---|---|---|---|---|---|" }
  for _, r in ipairs(rows) do
    lines[#lines + 1] = string.format("| %s | %s %s | %d | %s | %d | %s | %s | %s | %s |", r.who, r.net, r.mode, r.size,
      r.net == "UNet" and "" or r.blocks, r.parameters, mib(r.planned), mib(r.ledger), mib(r.resident),
      mib(r.activations))
  end
  return table.concat(lines, "\n")
end

--- path: a file of JSON lines; o: { out = path of the figure without its ending, or nil }.
function memory.run(path, o)
  local rows = read(path)
  if #rows == 0 then error(problem.new("data", path .. ": nothing was measured"), 0) end
  table.sort(rows, before)
  print(table_of(rows))
  if not o.out then return end
  local folder = o.out:match "^(.*)/[^/]*$"
  if folder and folder ~= "" then
    local fine, err = engine.mkdir(folder)
    if not fine then error(problem.of(err), 0) end
  end
  local files, err = figure.draw(rows, o.out)
  if not files then error(problem.of(err), 0) end
  print(table.concat(files, "\n"))
end

return memory
