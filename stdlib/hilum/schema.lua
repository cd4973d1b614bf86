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

local named = require "hilum.schema.fields"
local kinds = require "hilum.schema.kinds"
local problem = require "hilum.problem"
local value = require "hilum.value"

local schema = {}
for name, make in pairs(kinds) do schema[name] = make end

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
    for i = 1, #raw do children[i] = ctor.children.accept(raw[i], named.join("", i), report) end
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
  local props = raw and named.accept(raw, ctor.fields, ctor.field_names, "", report) or {}
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
    name = name, doc = o.doc, family = o.family, fields = fields, field_names = named.sorted_names(fields),
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
  local d = named.default_of(k)
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
