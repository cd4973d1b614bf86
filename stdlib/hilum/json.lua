-- Values as JSON and back; always the same text for the same value: keys sorted, numbers in the shortest form that
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

-- ---- reading ----

local DEEPEST = 100

local plain = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }
local words = { ["true"] = true, ["false"] = false }

local function fail(at, what)
  error({ json = string.format("JSON, byte %d: %s", at, what) }, 0)
end

-- The character of \uXXXX at `at`, of two of them for one beyond U+FFFF; and the place behind it.
local function escaped(s, at)
  local high = tonumber(s:match("^\\u(%x%x%x%x)", at) or fail(at, "expected \\u and four digits"), 16)
  if high < 0xD800 or high > 0xDFFF then return utf8.char(high), at + 6 end
  local low = tonumber(s:match("^\\u(%x%x%x%x)", at + 6) or "0", 16)
  if high > 0xDBFF or low < 0xDC00 or low > 0xDFFF then fail(at, "half a character") end
  return utf8.char(0x10000 + (high - 0xD800) * 0x400 + low - 0xDC00), at + 12
end

local function read_text(s, at)
  local parts, first = {}, at + 1
  while true do
    local stop = s:find('[%c"\\]', first)
    if not stop then fail(at, "a text does not end") end
    parts[#parts + 1] = s:sub(first, stop - 1)
    local c, after = s:sub(stop, stop), s:sub(stop + 1, stop + 1)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c ~= "\\" then fail(stop, "a control character in a text") end
    if after == "u" then
      parts[#parts + 1], first = escaped(s, stop)
    else
      parts[#parts + 1], first = plain[after] or fail(stop, "an unknown escape"), stop + 2
    end
  end
end

local read

local function skip(s, at)
  return s:match("^[ \t\r\n]*()", at)
end

-- What stands between open and close, by one(at) -> the place behind it.
local function read_members(s, at, close, one)
  at = skip(s, at + 1)
  if s:sub(at, at) == close then return at + 1 end
  while true do
    at = skip(s, one(at))
    local c = s:sub(at, at)
    if c == close then return at + 1 end
    if c ~= "," then fail(at, "expected , or " .. close) end
    at = skip(s, at + 1)
  end
end

local function read_list(s, at, depth)
  local list, n = json.list {}, 0
  return list, read_members(s, at, "]", function(from)
    n = n + 1
    list[n], from = read(s, from, depth)
    return from
  end)
end

local function read_object(s, at, depth)
  local object = {}
  return object, read_members(s, at, "}", function(from)
    if s:sub(from, from) ~= '"' then fail(from, "expected a key") end
    local key
    key, from = read_text(s, from)
    from = skip(s, from)
    if s:sub(from, from) ~= ":" then fail(from, "expected :") end
    object[key], from = read(s, skip(s, from + 1), depth)
    return from
  end)
end

-- The value at `at`, and the place behind it.
function read(s, at, depth)
  if depth > DEEPEST then fail(at, "there is no end to its lists") end
  local c = s:sub(at, at)
  if c == "{" then return read_object(s, at, depth + 1) end
  if c == "[" then return read_list(s, at, depth + 1) end
  if c == '"' then return read_text(s, at) end
  local word = s:match("^%a+", at)
  if word == "null" then return nil, at + 4 end
  if words[word] ~= nil then return words[word], at + #word end
  local digits = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", at)
  local n = digits and not digits:find "^-?0%d" and tonumber(digits)
  if not n then fail(at, "expected a value") end
  return n, at + #digits
end

--- The value that a JSON text stands for; or nil and a sentence. Whole numbers stay whole, null is nil (and leaves a
--- hole in a list).
function json.decode(s)
  local fine, result, at = pcall(read, s, skip(s, 1), 0)
  if not fine then
    if type(result) == "table" and result.json then return nil, result.json end
    error(result, 0)
  end
  if skip(s, at) <= #s then return nil, string.format("JSON, byte %d: something follows the value", skip(s, at)) end
  return result
end

return json
