-- The kinds of which schemas are made. Private to hilum.schema, which lists them.
--
-- A kind is { name = "int", options,
-- text = "an integer >= 1", accept = function(x, path, report) -> normal form }. accept calls
-- report(path, sentence) for each problem. Fields are printed in the order in which their kinds were made.

local fields = require "hilum.schema.fields"
local suggest = require "hilum.suggest"
local value = require "hilum.value"

local kinds = {}

local made = 0

local function kind(name, options, text, accept)
  made = made + 1
  local k = { name = name, options = options, text = text, accept = accept, seq = made, doc = options.doc,
    default = options.default, unhashed = options.unhashed }
  return k
end

local function expected(k, x)
  return string.format("expected %s, got %s", k.text, value.show(x))
end

local function range_text(o)
  local parts = {}
  if o.min then parts[#parts + 1] = ">= " .. value.atom(o.min) end
  if o.above then parts[#parts + 1] = "> " .. value.atom(o.above) end
  if o.max then parts[#parts + 1] = "<= " .. value.atom(o.max) end
  if o.below then parts[#parts + 1] = "< " .. value.atom(o.below) end
  return #parts > 0 and " " .. table.concat(parts, " and ") or ""
end

local function in_range(x, o)
  if o.min and x < o.min or o.max and x > o.max then return false end
  return not (o.above and x <= o.above or o.below and x >= o.below)
end

-- Text that every reader of an archive can show.
local function is_text(x)
  return utf8.len(x) ~= nil and not x:find "\0"
end

local function not_text(x)
  return string.format("expected UTF-8 text without zero bytes, got %s", value.show(x))
end

--- An integer: { min =, max = }. 3.0 counts as 3.
function kinds.int(o)
  local k
  k = kind("int", o, "an integer" .. range_text(o), function(x, path, report)
    local n = type(x) == "number" and math.tointeger(x)
    if n and in_range(n, o) then return n end
    report(path, expected(k, x))
  end)
  return k
end

--- A finite number: { min =, max =, above =, below = }, the last two exclusive. Kept as a float.
function kinds.number(o)
  local k
  k = kind("number", o, "a number" .. range_text(o), function(x, path, report)
    local finite = type(x) == "number" and x == x and x ~= math.huge and x ~= -math.huge
    if finite and in_range(x, o) then return x + 0.0 end
    report(path, expected(k, x))
  end)
  return k
end

function kinds.bool(o)
  local k
  k = kind("bool", o, "true or false", function(x, path, report)
    if type(x) == "boolean" then return x end
    report(path, expected(k, x))
  end)
  return k
end

--- A string; pattern: a Lua pattern the whole of it must match, with `text` saying so in words.
function kinds.string(o)
  local k
  k = kind("string", o, o.text or "a string", function(x, path, report)
    if type(x) == "string" and not is_text(x) then return report(path, not_text(x)) end
    if type(x) == "string" and (not o.pattern or x:find("^" .. o.pattern .. "$")) then return x end
    report(path, expected(k, x))
  end)
  return k
end

--- Where something lies on a disk. Does not count in hashes: content does.
function kinds.path(o)
  local k
  k = kind("path", o, "a path", function(x, path, report)
    if type(x) == "string" and x ~= "" and not x:find("\0") then return x end
    report(path, expected(k, x))
  end)
  k.unhashed = true
  return k
end

--- One of some words: kinds.one_of { "rebuild", "store", default = "rebuild" }.
function kinds.one_of(o)
  local quoted = {}
  for i, word in ipairs(o) do quoted[i] = value.atom(word) end
  local k
  k = kind("one_of", o, "one of " .. table.concat(quoted, ", "), function(x, path, report)
    for _, word in ipairs(o) do
      if x == word then return x end
    end
    local near = type(x) == "string" and suggest.nearest(x, o)
    report(path, expected(k, x) .. (near and string.format(" (did you mean %q?)", near) or ""))
  end)
  return k
end

local MOST = 100000 -- entries of a list

-- Entries 1 … n of a table, or nil and the reason why it is no list.
local function as_list(x)
  if type(x) ~= "table" or value.constructor(x) then return nil end
  local n = value.is(x) and #x or rawlen(x)
  for key in pairs(x) do
    if math.type(key) ~= "integer" or key < 1 or key > n then return nil, key end
  end
  return n
end

--- A list of one kind; o: { min =, max = } entries.
function kinds.list(of, o)
  o = o or {}
  local k
  local function count_text()
    if o.min and o.min == o.max then return string.format("a list of %d", o.min) end
    return o.min and o.min > 0 and string.format("a list of at least %d", o.min) or "a list"
  end
  k = kind("list", o, count_text() .. ", each " .. of.text, function(x, path, report)
    local n, stray = as_list(x)
    if not n then
      if stray == nil then return report(path, expected(k, x)) end
      return report(path, string.format("unexpected key '%s' in a list", value.text(tostring(stray))))
    end
    if o.min and n < o.min or o.max and n > o.max then
      return report(path, string.format("expected %s, got %d entries", k.text, n))
    elseif n > MOST then
      return report(path, string.format("expected at most %d entries, got %d", MOST, n))
    end
    local items = {}
    for i = 1, n do items[i] = of.accept(x[i], fields.join(path, i), report) end
    return value.new(nil, {}, {}, items)
  end)
  k.of = of
  return k
end

--- A table from names to one kind.
function kinds.map(of, o)
  local k
  k = kind("map", o or {}, "a table of named entries, each " .. of.text, function(x, path, report)
    if type(x) ~= "table" or value.constructor(x) then return report(path, expected(k, x)) end
    local props, order = {}, {}
    for key, part in pairs(x) do
      if type(key) ~= "string" then
        report(path, string.format("expected named entries, got [%s]", tostring(key)))
      elseif not is_text(key) then
        report(path, not_text(key))
      else
        props[key], order[#order + 1] = of.accept(part, fields.join(path, key), report), key
      end
    end
    table.sort(order)
    return value.new(nil, props, order, {})
  end)
  return k
end

--- Three numbers for the axes z, y, x; one number stands for all three. o: as int, or as number with
--- whole = false.
function kinds.zyx(o)
  local range = { min = o.min, max = o.max, above = o.above, below = o.below }
  local one = o.whole == false and kinds.number(range) or kinds.int(range)
  local k
  k = kind("zyx", o, one.text .. " or { z, y, x } of them", function(x, path, report)
    if type(x) == "number" then
      local n = one.accept(x, path, report)
      return value.new(nil, {}, {}, { n, n, n })
    end
    if as_list(x) ~= 3 then return report(path, expected(k, x)) end
    local items = {}
    for i = 1, 3 do items[i] = one.accept(x[i], fields.join(path, i), report) end
    return value.new(nil, {}, {}, items)
  end)
  return k
end

--- Some of the letters z, y, x, each once; kept in this order.
function kinds.axes(o)
  local k
  k = kind("axes", o, 'axes among "zyx", each once', function(x, path, report)
    local sorted = ""
    for axis in ("zyx"):gmatch(".") do
      if type(x) == "string" and x:find(axis, 1, true) then sorted = sorted .. axis end
    end
    if type(x) == "string" and #sorted == #x and #x > 0 then return sorted end
    report(path, expected(k, x))
  end)
  return k
end

--- The kind, or nil.
function kinds.optional(of)
  local k = kind("optional", { doc = of.doc }, of.text, of.accept)
  k.optional, k.of, k.unhashed = true, of, of.unhashed
  return k
end

--- The first of several kinds that accepts: kinds.any_of { kinds.int {}, kinds.string {}, default = 1 }.
function kinds.any_of(o)
  local texts = {}
  for i, one in ipairs(o) do texts[i] = one.text end
  local k
  k = kind("any_of", o, table.concat(texts, ", or "), function(x, path, report)
    local deepest
    for _, one in ipairs(o) do
      local found = {}
      local result = one.accept(x, path, function(at, sentence) found[#found + 1] = { at, sentence } end)
      if #found == 0 then return result end
      if found[1][1] ~= path then deepest = deepest or found end -- it had the right form, but wrong parts
    end
    if not deepest then return report(path, expected(k, x)) end
    for _, one in ipairs(deepest) do report(one[1], one[2]) end
  end)
  return k
end

--- A value made by a constructor: { family = "loss" } or { ctor = constructor }.
function kinds.value(o)
  local k
  local text = o.ctor and o.ctor.name .. " { … }" or string.format("a value of the family '%s'", o.family)
  k = kind("value", o, text, function(x, path, report)
    local fits = value.constructor(x) and (not o.family or value.family(x) == o.family)
      and (not o.ctor or value.constructor(x) == o.ctor)
    if fits then return x end
    if type(x) == "table" and rawget(x, "construct") and (not o.family or x.family == o.family) then
      return report(path, string.format("expected %s, got its constructor: write %s { … }", k.text, x.name))
    end
    report(path, expected(k, x))
  end)
  k.value_family = o.family
  return k
end

local DEEPEST = 32 -- tables in tables

local frozen

-- The parts of a table, frozen. seen: { count = parts so far, depth }.
local function frozen_parts(x, path, report, seen)
  local props, order, items = {}, {}, {}
  for i = 1, rawlen(x) do
    if seen.count > MOST then break end
    items[i] = frozen(x[i], fields.join(path, i), report, seen)
  end
  for key, part in next, x do
    if type(key) == "string" and not is_text(key) then
      report(path, not_text(key))
    elseif type(key) == "string" and seen.count <= MOST then
      props[key], order[#order + 1] = frozen(part, fields.join(path, key), report, seen), key
    elseif math.type(key) ~= "integer" or key < 1 or key > #items and seen.count <= MOST then
      report(path, string.format("unexpected key [%s]", tostring(key)))
    end
  end
  table.sort(order)
  return value.new(nil, props, order, items)
end

-- Numbers, text, booleans and values as they are; lists and tables of them frozen.
function frozen(x, path, report, seen)
  seen.count = seen.count + 1
  if type(x) == "string" and not is_text(x) then return report(path, not_text(x)) end
  if type(x) == "string" or type(x) == "number" or type(x) == "boolean" or value.is(x) then return x end
  if type(x) ~= "table" then
    return report(path, string.format("expected a number, text, a boolean, a value, or a table of them, got %s",
      value.show(x)))
  elseif rawget(x, "construct") then
    return report(path, string.format("got a constructor: write %s { … }", x.name))
  elseif seen.depth == DEEPEST or seen[x] then
    return report(path, seen[x] and "expected a table that does not hold itself"
      or string.format("expected at most %d tables in each other", DEEPEST))
  end
  seen.depth, seen[x] = seen.depth + 1, true
  local result = frozen_parts(x, path, report, seen)
  seen.depth, seen[x] = seen.depth - 1, nil
  return result
end

--- Whatever can be written down, frozen as it is.
function kinds.anything(o)
  local k
  k = kind("anything", o, o.text or "a value, or a table", function(x, path, report)
    if type(x) ~= "table" then return report(path, expected(k, x)) end
    local seen = { count = 0, depth = 0 }
    local result = frozen(x, path, report, seen)
    if seen.count > MOST then report(path, string.format("expected at most %d entries in all", MOST)) end
    return result
  end)
  return k
end

--- A table with named fields but no constructor: { fields = {…}, prepare = function(raw) -> raw, check =
--- function(self, report) }, the two as constructors have them.
function kinds.record(o)
  local names = fields.sorted_names(o.fields)
  local k
  k = kind("record", o, "a table { " .. table.concat(names, ", ") .. " }", function(x, path, report)
    if type(x) ~= "table" or value.constructor(x) then return report(path, expected(k, x)) end
    for key in pairs(x) do
      if math.type(key) == "integer" then
        report(path, "expected named entries only, got a positional one")
        break
      end
    end
    local clean = true
    if o.prepare then x = o.prepare(x) end
    local props = fields.accept(x, o.fields, names, path, function(...)
      clean = false
      report(...)
    end)
    local v = value.new(nil, props, names, {})
    if clean and o.check then
      o.check(v, function(name, sentence) report(name and fields.join(path, name) or path, sentence) end)
    end
    return v
  end)
  k.fields, k.names = o.fields, names
  return k
end

return kinds
