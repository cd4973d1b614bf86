-- Reads JSON, for the attribute `config` of golden cases. null becomes nil; a hole in a list is false.

local escapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local words = { ["true"] = true, ["false"] = false, NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge }

local read

local function skip(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

local function fail(text, at)
  error(string.format("no JSON at byte %d: %q", at, text:sub(at, at + 20)), 0)
end

local function read_string(text, at)
  local parts = {}
  while true do
    local stop = text:find('["\\]', at) or fail(text, at)
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:sub(stop, stop) == '"' then return table.concat(parts), stop + 1 end
    local code = text:sub(stop + 1, stop + 1)
    if code == "u" then
      parts[#parts + 1] = utf8.char(tonumber(text:sub(stop + 2, stop + 5), 16))
      at = stop + 6
    else
      parts[#parts + 1] = escapes[code] or fail(text, stop)
      at = stop + 2
    end
  end
end

-- Entries of a list or an object up to the closing bracket; entry(at) reads one and returns where it ends.
local function read_entries(text, at, closing, entry)
  at = skip(text, at)
  if text:sub(at, at) == closing then return at + 1 end
  while true do
    at = skip(text, entry(at))
    local c = text:sub(at, at)
    if c == closing then return at + 1 end
    if c ~= "," then fail(text, at) end
    at = skip(text, at + 1)
  end
end

local function read_list(text, at)
  local list = {}
  at = read_entries(text, at, "]", function(from)
    local value, stop = read(text, from)
    list[#list + 1] = value == nil and false or value
    return stop
  end)
  return list, at
end

local function read_object(text, at)
  local object = {}
  at = read_entries(text, at, "}", function(from)
    if text:sub(from, from) ~= '"' then fail(text, from) end
    local key, stop = read_string(text, from + 1)
    stop = skip(text, stop)
    if text:sub(stop, stop) ~= ":" then fail(text, stop) end
    object[key], stop = read(text, stop + 1)
    return stop
  end)
  return object, at
end

function read(text, at)
  at = skip(text, at)
  local c = text:sub(at, at)
  if c == '"' then return read_string(text, at + 1) end
  if c == "[" then return read_list(text, at + 1) end
  if c == "{" then return read_object(text, at + 1) end
  local word = text:match("^[%w.+-]+", at) or fail(text, at)
  local stop = at + #word
  if word == "null" then return nil, stop end
  if words[word] ~= nil then return words[word], stop end
  local number = tonumber(word)
  if not number then fail(text, at) end
  return number, stop
end

--- The value of a whole text.
return function(text)
  local value, stop = read(text, 1)
  if skip(text, stop) <= #text then fail(text, stop) end
  return value
end
