-- What differs between two runs: experiment, code, data, split, curves, weights, predictions. Times, host, versions,
-- memory, log, resumptions and where files lay are not compared.

local archived = require "hilum.archived"

local difference = {}

local MOST = 20 -- differences named of each part

local parts = { "name", "seed", "experiment", "modules", "data", "split", "cases", "drawn", "curves", "weights",
  "optimiser", "state", "interreader", "panel", "parameters", "measured", "evaluation" }
local ignored = { ["curves.epoch.seconds"] = true, ["curves.epoch.waiting"] = true,
  ["curves.epoch.saving"] = true, ["state.resumed"] = true }

local function is_tensor(x)
  return type(x) == "userdata"
end

-- NaN is equal to NaN here.
local function equal(a, b)
  return a == b or a ~= a and b ~= b
end

local function atom(x)
  if type(x) == "number" then return string.format("%.9g", x) end
  if type(x) ~= "string" then return x == nil and "nothing" or is_tensor(x) and "a tensor" or tostring(x) end
  local line = x:match("^[^\n]*")
  return #line > 60 and line:sub(1, 57) .. "…" or line
end

local function tensor_text(a, b)
  if table.concat(a.shape, "x") ~= table.concat(b.shape, "x") or a.dtype ~= b.dtype then
    return string.format("%s[%s] and %s[%s]", a.dtype, table.concat(a.shape, ","), b.dtype, table.concat(b.shape, ","))
  end
  local d = (a:to("f64") - b:to("f64")):stats()
  return string.format("differ by up to %.3g", math.max(math.abs(d.min), math.abs(d.max)))
end

local function keys_of(a, b)
  local keys, known = {}, {}
  for _, t in ipairs { a, b } do
    for key in pairs(t) do
      if not known[key] then keys[#keys + 1] = key end
      known[key] = true
    end
  end
  table.sort(keys, function(x, y)
    if type(x) == type(y) then return x < y end
    return type(x) == "number"
  end)
  return keys
end

-- The first lines in which two texts differ.
local function text_lines(a, b)
  local x, y = {}, {}
  for line in a:gmatch("[^\n]+") do x[#x + 1] = line:match("^%s*(.*)") end
  for line in b:gmatch("[^\n]+") do y[#y + 1] = line:match("^%s*(.*)") end
  for i = 1, math.max(#x, #y) do
    if x[i] ~= y[i] then return string.format("line %d: %s | %s", i, atom(x[i]), atom(y[i])) end
  end
end

local walk

local function compare(a, b, path, add)
  if ignored[path] then return end
  if is_tensor(a) and is_tensor(b) then
    if not a:same(b) then add(path, tensor_text(a, b)) end
  elseif type(a) == "table" and type(b) == "table" then
    walk(a, b, path, add)
  elseif type(a) == "string" and type(b) == "string" and a ~= b and (a .. b):find("\n") then
    add(path, text_lines(a, b) or "differ in blanks")
  elseif not equal(a, b) then
    add(path, atom(a) .. " | " .. atom(b))
  end
end

function walk(a, b, path, add)
  for _, key in ipairs(keys_of(a, b)) do
    local step = type(key) == "number" and string.format("[%d]", key) or "." .. tostring(key)
    compare(a[key], b[key], path .. step, add)
  end
end

--- { { path, what } … } for two runs as archive.run_read gives them; empty if they agree. At most so many of each part
--- are listed, the rest counted.
function difference.of(a, b)
  local list = {}
  for _, key in ipairs(parts) do
    local n = 0
    if key == "experiment" and a[key] ~= b[key] and archived.same_experiment(a[key], b[key]) then goto continue end
    compare(a[key], b[key], key, function(path, what)
      n = n + 1
      if n <= MOST then list[#list + 1] = { path = path, what = what } end
    end)
    if n > MOST then list[#list + 1] = { path = key, what = string.format("and %d more", n - MOST) } end
    ::continue::
  end
  return list
end

return difference
