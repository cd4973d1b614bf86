-- Values as text for people: what the prompt prints.

local value = require "hilum.value"

local DEPTH, ENTRIES, WIDTH = 3, 32, 100

local render

local function key_text(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return key end
  return "[" .. (type(key) == "table" and "table" or value.atom(key)) .. "]"
end

local function sorted_keys(t, n)
  local keys = {}
  for key in pairs(t) do
    if math.type(key) ~= "integer" or key < 1 or key > n then keys[#keys + 1] = key end
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
    return tostring(a) < tostring(b)
  end)
  return keys
end

local function entries(t, depth, seen)
  local parts, n = {}, #t
  for i = 1, math.min(n, ENTRIES) do parts[i] = render(t[i], depth + 1, seen) end
  if n > ENTRIES then parts[#parts + 1] = string.format("… %d more", n - ENTRIES) end
  local keys = sorted_keys(t, n)
  for i = 1, math.min(#keys, ENTRIES) do
    parts[#parts + 1] = key_text(keys[i]) .. " = " .. render(t[keys[i]], depth + 1, seen)
  end
  if #keys > ENTRIES then parts[#parts + 1] = string.format("… %d more", #keys - ENTRIES) end
  return parts
end

local function table_text(t, depth, seen)
  if seen[t] then return "{ … the same table again }" end
  if depth >= DEPTH then return next(t) == nil and "{}" or "{ … }" end
  seen[t] = true
  local parts = entries(t, depth, seen)
  seen[t] = nil
  if #parts == 0 then return "{}" end
  local line = "{ " .. table.concat(parts, ", ") .. " }"
  if #line + 2 * depth <= WIDTH and not line:find("\n") then return line end
  local indent = ("  "):rep(depth + 1)
  return "{\n" .. indent .. table.concat(parts, ",\n" .. indent) .. ",\n" .. ("  "):rep(depth) .. "}"
end

function render(x, depth, seen)
  if type(x) == "table" and not getmetatable(x) and not value.is(x) then return table_text(x, depth, seen) end
  if type(x) == "string" then return value.atom(x) end
  if type(x) == "number" and math.type(x) == "float" then return value.atom(x) end
  return tostring(x)
end

--- Any Lua value as text; tables to a few levels and entries.
return function(x)
  return render(x, 0, {})
end
