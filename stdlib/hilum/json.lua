-- Values as JSON, always the same text for the same value: keys sorted, numbers in the shortest form that
-- reads back exactly. What JSON has no word for (NaN, infinities) is null.

local json = {}

local array = {}

--- Marks a table as a list, so that an empty one prints as [] and not as {}.
function json.list(t)
  return setmetatable(t, array)
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t" }

local function escape(c)
  return escapes[c] or string.format("\\u%04x", c:byte())
end

-- Bytes that are not UTF-8 become U+FFFD: JSON is Unicode.
local function unicode(s)
  local _, bad = utf8.len(s)
  while bad do
    s = s:sub(1, bad - 1) .. "\u{FFFD}" .. s:sub(bad + 1)
    _, bad = utf8.len(s, bad)
  end
  return s
end

local function text(s)
  return '"' .. unicode(s):gsub('[%c"\\\127]', escape) .. '"'
end

local function number(x)
  if math.type(x) == "integer" then return string.format("%d", x) end
  if x ~= x or x == math.huge or x == -math.huge then return "null" end
  for digits = 15, 17 do
    local s = string.format("%." .. digits .. "g", x):gsub(",", ".")
    if tonumber(s) == x then return s:find "[.e]" and s or s .. ".0" end
  end
end

local encode

local function is_list(t)
  if getmetatable(t) == array then return true end
  local n = #t
  if n == 0 then return false end
  for key in pairs(t) do
    if math.type(key) ~= "integer" or key < 1 or key > n then return false end
  end
  return true
end

local function members(t, inner, above)
  local parts, keys = {}, {}
  if is_list(t) then
    for i, value in ipairs(t) do parts[i] = encode(value, inner, above) end
    return parts, "[", "]"
  end
  for key in pairs(t) do
    if type(key) ~= "string" then error("json: a key must be text, not " .. tostring(key), 0) end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = text(key) .. ": " .. encode(t[key], inner, above) end
  return parts, "{", "}"
end

function encode(value, indent, above)
  local kind = type(value)
  if kind == "nil" then return "null" end
  if kind == "boolean" then return tostring(value) end
  if kind == "number" then return number(value) end
  if kind == "string" then return text(value) end
  if kind ~= "table" then error("json: cannot write a " .. kind, 0) end
  if above[value] then error("json: a table contains itself", 0) end
  above[value] = true
  local parts, open, close = members(value, indent .. "  ", above)
  above[value] = nil
  if #parts == 0 then return open .. close end
  local line = "\n" .. indent
  return open .. line .. "  " .. table.concat(parts, "," .. line .. "  ") .. line .. close
end

--- The value (nil, boolean, number, string, or table of such) as indented JSON, without a line break at the
--- end. A table with the keys 1 … n is a list; one without keys is {} unless json.list marked it.
function json.encode(value)
  return encode(value, "", {})
end

return json
