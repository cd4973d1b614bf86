-- The schema of the experiment language: kinds of fields, and constructors made of them.
--
-- How a new kind of value is declared:
--
--   local schema = require "hilum.schema"
--   local conv = schema.constructor("hl.nn.conv", {
--     doc = "A convolution.", family = "layer",
--     fields = {
--       out = schema.int { min = 1, doc = "number of output channels" },        -- no default: required
--       kernel = schema.zyx { default = 3, min = 1, doc = "size in voxels" },
--       bias = schema.bool { default = true },
--       norm = schema.optional(schema.value { family = "layer" }),               -- may be nil
--     },
--     children = nil,                  -- or a kind: what the positional entries must be
--     methods = { strides = function(self) … end },                              -- v:strides()
--     check = function(self, report) report("kernel", "must be odd") end,        -- across fields
--   })
--   local c = conv { out = 16 }        -- frozen; c.kernel[1] == 3; tostring(c) is Lua
--
-- Kinds: int, number, bool, string, path, one_of, zyx, axes, list, map, record, optional, any_of, value,
-- anything.
-- Each takes { doc =, default =, … }; a default may be a function, called when it is needed.
-- All problems of one call are reported together, at the user's line. Inside schema.gather (scripts are
-- loaded in it) the problems of all calls are.

local value = require "hilum.value"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local schema = {}

-- ---- kinds ----
-- A kind is { name = "int", options,
-- text = "an integer >= 1", accept = function(x, path, report) -> normal form }. accept calls
-- report(path, sentence) for each problem. Fields are printed in the order in which their kinds were made.

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

local function join(path, key)
  if math.type(key) == "integer" then return string.format("%s[%d]", path, key) end
  return path == "" and key or path .. "." .. key
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
function schema.int(o)
  local k
  k = kind("int", o, "an integer" .. range_text(o), function(x, path, report)
    local n = type(x) == "number" and math.tointeger(x)
    if n and in_range(n, o) then return n end
    report(path, expected(k, x))
  end)
  return k
end

--- A finite number: { min =, max =, above =, below = }, the last two exclusive. Kept as a float.
function schema.number(o)
  local k
  k = kind("number", o, "a number" .. range_text(o), function(x, path, report)
    local finite = type(x) == "number" and x == x and x ~= math.huge and x ~= -math.huge
    if finite and in_range(x, o) then return x + 0.0 end
    report(path, expected(k, x))
  end)
  return k
end

function schema.bool(o)
  local k
  k = kind("bool", o, "true or false", function(x, path, report)
    if type(x) == "boolean" then return x end
    report(path, expected(k, x))
  end)
  return k
end

--- A string; pattern: a Lua pattern the whole of it must match, with `text` saying so in words.
function schema.string(o)
  local k
  k = kind("string", o, o.text or "a string", function(x, path, report)
    if type(x) == "string" and not is_text(x) then return report(path, not_text(x)) end
    if type(x) == "string" and (not o.pattern or x:find("^" .. o.pattern .. "$")) then return x end
    report(path, expected(k, x))
  end)
  return k
end

--- Where something lies on a disk. Does not count in hashes: content does.
function schema.path(o)
  local k
  k = kind("path", o, "a path", function(x, path, report)
    if type(x) == "string" and x ~= "" and not x:find("\0") then return x end
    report(path, expected(k, x))
  end)
  k.unhashed = true
  return k
end

--- One of some words: schema.one_of { "rebuild", "store", default = "rebuild" }.
function schema.one_of(o)
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
function schema.list(of, o)
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
    for i = 1, n do items[i] = of.accept(x[i], join(path, i), report) end
    return value.new(nil, {}, {}, items)
  end)
  k.of = of
  return k
end

--- A table from names to one kind.
function schema.map(of, o)
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
        props[key], order[#order + 1] = of.accept(part, join(path, key), report), key
      end
    end
    table.sort(order)
    return value.new(nil, props, order, {})
  end)
  return k
end

--- Three numbers for the axes z, y, x; one number stands for all three. o: as int, or as number with
--- whole = false.
function schema.zyx(o)
  local range = { min = o.min, max = o.max, above = o.above, below = o.below }
  local one = o.whole == false and schema.number(range) or schema.int(range)
  local k
  k = kind("zyx", o, one.text .. " or { z, y, x } of them", function(x, path, report)
    if type(x) == "number" then
      local n = one.accept(x, path, report)
      return value.new(nil, {}, {}, { n, n, n })
    end
    if as_list(x) ~= 3 then return report(path, expected(k, x)) end
    local items = {}
    for i = 1, 3 do items[i] = one.accept(x[i], join(path, i), report) end
    return value.new(nil, {}, {}, items)
  end)
  return k
end

--- Some of the letters z, y, x, each once; kept in this order.
function schema.axes(o)
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
function schema.optional(of)
  local k = kind("optional", { doc = of.doc }, of.text, of.accept)
  k.optional, k.of, k.unhashed = true, of, of.unhashed
  return k
end

--- The first of several kinds that accepts: schema.any_of { schema.int {}, schema.string {}, default = 1 }.
function schema.any_of(o)
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
function schema.value(o)
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
    items[i] = frozen(x[i], join(path, i), report, seen)
  end
  for key, part in next, x do
    if type(key) == "string" and not is_text(key) then
      report(path, not_text(key))
    elseif type(key) == "string" and seen.count <= MOST then
      props[key], order[#order + 1] = frozen(part, join(path, key), report, seen), key
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
function schema.anything(o)
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

-- ---- records ----

local function sorted_names(fields)
  local names = {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if fields[a].seq ~= fields[b].seq then return fields[a].seq < fields[b].seq end
    return a < b
  end)
  return names
end

local function default_of(k)
  local d = k.default
  if type(d) == "function" then return d() end
  return d
end

-- Reads the named fields out of a raw table; problems go to report. Positional entries are left alone.
local function accept_fields(raw, fields, names, path, report)
  local props = {}
  for _, name in ipairs(names) do
    local k, given, at = fields[name], raw[name], join(path, name)
    if given == nil then given = default_of(k) end
    if given ~= nil then
      props[name] = k.accept(given, at, report)
    elseif not k.optional then
      report(at, "missing: expected " .. k.text)
    end
  end
  local strange = {}
  for key in pairs(raw) do
    if math.type(key) ~= "integer" and not fields[key] then strange[#strange + 1] = value.text(tostring(key)) end
  end
  table.sort(strange)
  for _, key in ipairs(strange) do
    report(path, string.format("unknown key '%s'%s", key, suggest.hint(key, names)))
  end
  return props
end

--- A table with named fields but no constructor: { fields = {…}, prepare = function(raw) -> raw, check =
--- function(self, report) }, the two as constructors have them.
function schema.record(o)
  local names = sorted_names(o.fields)
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
    local props = accept_fields(x, o.fields, names, path, function(...)
      clean = false
      report(...)
    end)
    local v = value.new(nil, props, names, {})
    if clean and o.check then
      o.check(v, function(name, sentence) report(name and join(path, name) or path, sentence) end)
    end
    return v
  end)
  k.fields, k.names = o.fields, names
  return k
end

-- ---- constructors ----

local constructors = {} -- name -> constructor
local gathered -- the list that collects problems while schema.gather runs

local LISTED = 20 -- problems of one constructor that are told

local function message_of(name, list)
  local function line(one)
    return one.path ~= "" and one.path .. ": " .. one.sentence or one.sentence
  end
  if #list == 1 then return name .. ": " .. line(list[1]) end
  local lines = { string.format("%s: %d problems", name, #list) }
  for i = 1, math.min(#list, LISTED) do lines[i + 1] = "  " .. line(list[i]) end
  if #list > LISTED then lines[#lines + 1] = string.format("  and %d more", #list - LISTED) end
  return table.concat(lines, "\n")
end

-- The raw table's children, checked.
local function accept_children(ctor, raw, report)
  local children = {}
  if ctor.children then
    for i = 1, #raw do children[i] = ctor.children.accept(raw[i], join("", i), report) end
    if #raw < ctor.min_children then
      report("", string.format("expected at least %d positional %s, got %d", ctor.min_children,
        ctor.min_children == 1 and "entry" or "entries", #raw))
    end
  end
  for key in pairs(raw) do
    if math.type(key) == "integer" and (not ctor.children or key < 1 or key > #raw) then
      report("", ctor.children and "the list of entries has a hole (a nil)" or
        string.format("takes named entries only, got a positional one (%s)", value.show(raw[key])))
      break
    end
  end
  return children
end

local function construct(ctor, raw, ...)
  local where = problem.place()
  local list = {}
  local function report(path, sentence)
    list[#list + 1] = { path = path or "", sentence = sentence }
  end
  if type(raw) ~= "table" or value.constructor(raw) or schema.is_constructor(raw) or select("#", ...) > 0 then
    report("", string.format("takes one table: %s { … }, got %s", ctor.name,
      select("#", ...) > 0 and "several arguments" or value.show(raw)))
    raw = nil
  elseif ctor.prepare then
    raw = ctor.prepare(raw, report)
  end
  local props = raw and accept_fields(raw, ctor.fields, ctor.field_names, "", report) or {}
  local children = raw and accept_children(ctor, raw, report) or {}
  local v = value.new(ctor, props, ctor.field_names, children, where)
  if #list == 0 and ctor.check and not value.is_broken(v) then ctor.check(v, report) end
  if #list == 0 then return v end
  local found = problem.new("schema", message_of(ctor.name, list), where)
  if not gathered then error(found, 0) end
  gathered[#gathered + 1] = found
  return value.mark_broken(v)
end

local constructor_mt = { __name = "hl.constructor" }

function constructor_mt.__call(self, ...)
  local v = construct(self, ...)
  return v
end

function constructor_mt.__tostring(self)
  return self.name
end

function constructor_mt.__newindex(self, key)
  problem.raise("frozen", string.format("%s is frozen: '%s' cannot be set", self.name, tostring(key)))
end

--- Declares a constructor. o: { doc, family, fields, children (a kind), min_children, methods, check,
--- prepare }. prepare(raw, report) may replace the table a user gave before it is checked (defaults that
--- depend on other fields); check(self, report) looks across fields of a value that is otherwise right.
function schema.constructor(name, o)
  local own = name:find "^hl%." -- a user's module may be loaded again: the last one counts
  assert(not (own and constructors[name]), name .. " is declared twice")
  local fields = o.fields or {}
  local methods = o.methods or {}
  for method in pairs(methods) do
    assert(not fields[method], name .. ": '" .. method .. "' is a field and a method")
  end
  local ctor = setmetatable({
    name = name, doc = o.doc, family = o.family, fields = fields, field_names = sorted_names(fields),
    children = o.children, min_children = o.min_children or 0, methods = methods, check = o.check or false,
    prepare = o.prepare or false, construct = construct,
  }, constructor_mt)
  constructors[name] = ctor
  return ctor
end

function schema.is_constructor(x)
  return type(x) == "table" and getmetatable(x) == constructor_mt
end

--- The constructor of a name such as "hl.nn.conv", or nil.
function schema.find(name)
  return constructors[name]
end

--- Calls fn(...), collecting the problems of all constructors called in it instead of stopping at the
--- first. Returns fn's results, or raises all problems as one. An error of another kind that happens
--- after a problem was found is a consequence of it and is not shown.
function schema.gather(fn, ...)
  local outer = gathered
  local mine = {}
  gathered = mine
  local result = table.pack(pcall(fn, ...))
  gathered = outer
  local interrupted = not result[1] and type(result[2]) == "table" and result[2].code == "cancelled"
  if #mine > 0 and not interrupted then error(problem.join(mine), 0) end
  if not result[1] then error(result[2], 0) end
  return table.unpack(result, 2, result.n)
end

-- ---- operators ----

--- What +, * (by a number) and >> mean between values of a family: { add = f(a, b), scale = f(k, a),
--- chain = f(a, b) }.
function schema.operators(family, functions)
  value.set_operators(family, functions)
end

--- Declares the weighted sum of a family, so that 0.5 * a + b works there.
function schema.weighted_sum(name, o)
  local sum
  sum = schema.constructor(name, {
    doc = o.doc, family = o.family, children = schema.value { family = o.family }, min_children = 1,
    methods = o.methods,
    fields = { weights = schema.list(schema.number {}, { doc = "one factor for each entry (default: 1)" }) },
    prepare = function(raw)
      if raw.weights ~= nil then return raw end
      local copy = { weights = {} }
      for key, part in pairs(raw) do copy[key] = part end
      for i = 1, #raw do copy.weights[i] = 1 end
      return copy
    end,
    check = function(self, report)
      if #self.weights ~= #self then
        report("weights", string.format("expected %d, one for each entry, got %d", #self, #self.weights))
      end
    end,
  })
  local function terms(v, factor, into)
    local nested = value.constructor(v) == sum
    for i = 1, nested and #v or 1 do
      into[#into + 1] = nested and v[i] or v
      into.weights[#into] = factor * (nested and v.weights[i] or 1)
    end
    return into
  end
  schema.operators(o.family, {
    add = function(a, b)
      local raw = { weights = {} }
      for _, part in ipairs { a, b } do
        if value.family(part) ~= o.family then
          problem.raise("operator", string.format("%s + %s: both must be of the family '%s'",
            value.show(a), value.show(b), o.family))
        end
        terms(part, 1, raw)
      end
      local total = sum(raw)
      return total
    end,
    scale = function(factor, a)
      if type(factor) ~= "number" then
        problem.raise("operator", string.format("%s * %s: one of the two must be a number",
          value.show(factor), value.show(a)))
      end
      local product = sum(terms(a, factor, { weights = {} }))
      return product
    end,
  })
  return sum
end

-- ---- description ----

local function default_text(k)
  if k.fields then return nil end
  local d = default_of(k)
  if d == nil then return "nil" end
  if type(d) ~= "table" then return value.atom(d) end
  local normal = k.accept(d, "", function() end)
  return value.is(normal) and value.canonical(normal) or "nil"
end

local describe_fields

local function describe_field(name, k, indent, lines)
  local needed = k.default == nil and (k.optional and "optional; " or "required; ") or ""
  local doc = k.doc and "; " .. k.doc or ""
  local inner = k.fields and k or k.of and k.of.fields and k.optional and k.of
  if inner then
    local note = needed .. (k.doc or "")
    lines[#lines + 1] = string.format("%s%s = {%s", indent, name, note ~= "" and " -- " .. note or "")
    describe_fields(inner.fields, inner.names, indent .. "  ", lines)
    lines[#lines + 1] = indent .. "},"
    return
  end
  lines[#lines + 1] = string.format("%s%s = %s, -- %s%s%s", indent, name, default_text(k), needed, k.text,
    doc)
end

function describe_fields(fields, names, indent, lines)
  for _, name in ipairs(names) do describe_field(name, fields[name], indent, lines) end
end

--- The schema of a constructor as commented Lua: every field with its default, its kind and what it is.
--- For anything else: what it is.
function schema.describe(ctor)
  if value.constructor(ctor) then ctor = value.constructor(ctor) end
  if getmetatable(ctor) ~= constructor_mt then return value.show(ctor) end
  local lines = { "-- " .. (ctor.doc or ctor.name), ctor.name .. " {" }
  if ctor.children then
    lines[#lines + 1] = string.format("  -- positional entries: each %s", ctor.children.text)
  end
  describe_fields(ctor.fields, ctor.field_names, "  ", lines)
  lines[#lines + 1] = "}"
  return table.concat(lines, "\n")
end

return schema
