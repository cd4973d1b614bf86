-- Frozen values: what hl.* constructors return.
--
-- A value has a constructor, named properties and positional children, and remembers the line that made
-- it. Writing to it raises; two values with equal content are equal; tostring gives Lua that loads back.
-- Lists and records inside a value are frozen in the same way (they print without a constructor's name).
-- Reading is as from a table: v.rate, v.channels[2], #v.channels, ipairs, pairs, table.concat.

local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local value = {}

-- What is known about each value: { ctor, props, order, children, where, broken, unhashed }.
local states = setmetatable({}, { __mode = "k" })

local mt = { __name = "hl.value" }

-- family name -> { add =, scale =, chain = }, see schema.operators.
local operators = {}

local function describe(v)
  local state = states[v]
  return state.ctor and state.ctor.name or #state.children > 0 and "list" or "record"
end

function mt.__index(self, key)
  local state = states[self]
  if math.type(key) == "integer" then return state.children[key] end
  local found = state.props[key]
  if found ~= nil then return found end
  return state.ctor and state.ctor.methods[key] or nil
end

function mt.__newindex(self, key)
  problem.raise("frozen", string.format("%s is frozen: '%s' cannot be set (make a new value instead)",
    describe(self), tostring(key)))
end

function mt.__len(self)
  return #states[self].children
end

function mt.__pairs(self)
  local state, i, n = states[self], 0, #states[self].children
  return function()
    i = i + 1
    if i <= n then return i, state.children[i] end
    local name = state.order[i - n]
    if name then return name, state.props[name] end
  end, self, nil
end

function mt.__eq(a, b)
  return value.canonical(a) == value.canonical(b)
end

function mt.__tostring(self)
  return value.dump(self)
end

mt.__metatable = false

--- Makes a frozen value. ctor: its constructor, nil for lists and records; props: name -> value;
--- order: the names as they are to be printed; children: list. Fields that are nil are left out.
function value.new(ctor, props, order, children, where)
  local present = {}
  for _, name in ipairs(order) do
    if props[name] ~= nil then present[#present + 1] = name end
  end
  local v = setmetatable({}, mt)
  states[v] = { ctor = ctor, props = props, order = present, children = children, where = where }
  return v
end

--- Marks a value whose problems have been noted elsewhere: nothing more is checked about it.
function value.mark_broken(v)
  states[v].broken = true
  return v
end

--- True if the value, or one inside it, could not be made as written.
function value.is_broken(v)
  local state = states[v]
  if not state then return false end
  if state.broken then return true end
  for _, child in ipairs(state.children) do
    if value.is_broken(child) then return true end
  end
  for _, name in ipairs(state.order) do
    if value.is_broken(state.props[name]) then return true end
  end
  return false
end

function value.is(v)
  return states[v] ~= nil
end

--- The constructor of a value; nil for lists, records and everything else.
function value.constructor(v)
  return states[v] and states[v].ctor
end

--- The family of a value ("layer", "loss", …), or nil.
function value.family(v)
  local ctor = value.constructor(v)
  return ctor and ctor.family
end

--- "file:line" where the value was made, or nil.
function value.where(v)
  return states[v] and states[v].where
end

-- ---- printing ----

local reserved = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return
  then true until while]]):gmatch("%a+") do
  reserved[word] = true
end

local function key_text(key)
  if key:find("^[%a_][%w_]*$") and not reserved[key] then return key end
  return string.format("[%q]", key)
end

--- A number, string or boolean as Lua that reads back exactly.
function value.atom(x)
  if math.type(x) == "float" then
    if x ~= x then return "(0/0)" end
    if x == math.huge or x == -math.huge then return x > 0 and "math.huge" or "-math.huge" end
    for digits = 6, 17 do
      local text = string.format("%." .. digits .. "g", x)
      if tonumber(text) == x then return text:find("[%.e]") and text or text .. ".0" end
    end
  end
  if type(x) == "string" then
    local quoted = string.format("%q", x):gsub("\\\n", "\\n"):gsub("\r", "\\r")
    return quoted
  end
  return tostring(x)
end

-- The entries of a value: { key text or nil, content }.
local function entries(state, sorted, hashed)
  local list = {}
  for _, child in ipairs(state.children) do list[#list + 1] = { nil, child } end
  local order = state.order
  if sorted then
    order = table.move(order, 1, #order, 1, {})
    table.sort(order)
  end
  for _, name in ipairs(order) do
    local field = state.ctor and state.ctor.fields[name]
    if not (hashed and field and field.unhashed) then
      list[#list + 1] = { key_text(name), state.props[name] }
    end
  end
  return list
end

local function flat(x, sorted, hashed)
  local state = states[x]
  if not state then return value.atom(x) end
  local parts = {}
  for i, entry in ipairs(entries(state, sorted, hashed)) do
    local text = flat(entry[2], sorted, hashed)
    parts[i] = entry[1] and entry[1] .. " = " .. text or text
  end
  local name = state.ctor and state.ctor.name .. " " or ""
  if #parts == 0 then return name .. "{}" end
  return name .. "{ " .. table.concat(parts, ", ") .. " }"
end

local WIDTH = 100

local function pretty(x, indent, used)
  local state, line = states[x], flat(x)
  if not state or used + #line <= WIDTH then return line end
  local inner, lines = indent .. "  ", {}
  for i, entry in ipairs(entries(state)) do
    local head = inner .. (entry[1] and entry[1] .. " = " or "")
    lines[i] = head .. pretty(entry[2], inner, #head + 1) .. ","
  end
  local name = state.ctor and state.ctor.name .. " " or ""
  return name .. "{\n" .. table.concat(lines, "\n") .. "\n" .. indent .. "}"
end

--- The value as Lua that loads back where `hl` is in scope; every property is written out.
function value.dump(v)
  return pretty(v, "", 0)
end

--- One line of Lua with the keys in order: equal for equal content.
function value.canonical(v)
  return flat(v, true)
end

--- SHA-256 of the content as 64 hex digits. Fields declared `unhashed` (paths) do not count.
function value.hash(v)
  return require("hilum.engine").sha256(flat(v, true, true))
end

--- Text as a message can show it: what is not UTF-8, and control characters, as \\ and the byte's number.
function value.text(x)
  if utf8.len(x) then return (x:gsub("%c", function(c) return string.format("\\%d", c:byte()) end)) end
  return (x:gsub("[^ -~]", function(c) return string.format("\\%d", c:byte()) end))
end

-- The first part of a text, at most n bytes of it, whole characters.
local function beginning(x, n)
  if #x <= n then return x end
  while n > 0 and (x:byte(n + 1) & 0xC0) == 0x80 do n = n - 1 end
  return x:sub(1, n) .. "..."
end

--- A short name for messages: "hl.loss.dice", "a table", '"text"'.
function value.show(x)
  if states[x] then
    return states[x].ctor and states[x].ctor.name or flat(x):sub(1, 60)
  end
  if type(x) == "string" then
    x = beginning(x, 37)
    return utf8.len(x) and value.atom(x) or '"' .. value.text(x) .. '"'
  end
  if type(x) == "number" or type(x) == "boolean" or x == nil then return value.atom(x) end
  return "a " .. type(x)
end

--- A plain, changeable table with the same content (lists and records; values keep their name in `kind`).
function value.plain(x)
  local state = states[x]
  if not state then return x end
  local copy = { kind = state.ctor and state.ctor.name }
  for i, child in ipairs(state.children) do copy[i] = value.plain(child) end
  for _, name in ipairs(state.order) do copy[name] = value.plain(state.props[name]) end
  return copy
end

-- ---- change by making anew ----

-- "model[2].iunet" -> { "model", 2, "iunet" } or nil.
local function parse_path(path)
  local keys, rest = {}, path
  while rest ~= "" do
    local index, name = rest:match("^%[(%d+)%]"), rest:match("^%.?([%a_][%w_]*)")
    if index then
      keys[#keys + 1] = math.tointeger(index)
      rest = rest:gsub("^%[%d+%]", "", 1)
    elseif name and (rest:sub(1, 1) == ".") == (#keys > 0) then
      keys[#keys + 1] = name
      rest = rest:gsub("^%.?[%a_][%w_]*", "", 1)
    else
      return nil
    end
  end
  return #keys > 0 and keys or nil
end

-- A plain table with one level of the content, as a constructor would be given it.
local function open(x)
  local copy = {}
  for key, part in pairs(x) do copy[key] = part end
  return copy
end

local function names_of(x, fields)
  local names = {}
  for name in pairs(fields or (states[x] and states[x].ctor and states[x].ctor.fields) or x) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  return names
end

local function path_text(keys, n)
  local text = ""
  for i = 1, n do
    local key = keys[i]
    text = text .. (math.type(key) and "[" .. key .. "]" or (i > 1 and "." or "") .. key)
  end
  return text
end

local function changed(x, keys, i, new, fields)
  local key, at = keys[i], path_text(keys, i)
  if type(x) ~= "table" then
    return nil, string.format("'%s': there is nothing inside %s", at, value.show(x))
  end
  local state = states[x]
  local known = fields or state and state.ctor and state.ctor.fields
  if type(key) == "string" and known and not known[key] then
    return nil, string.format("'%s': unknown key '%s'%s", at, key, suggest.hint(key, names_of(x, known)))
  end
  local copy = open(x)
  if math.type(key) == "integer" and (key < 1 or key > #copy + 1) then
    return nil, string.format("'%s': there is no entry %d (there are %d)", at, key, #copy)
  end
  if i == #keys then
    copy[key] = new
  else
    local inner = copy[key]
    if inner == nil then inner = {} end
    local part, err = changed(inner, keys, i + 1, new)
    if err then return nil, err end
    copy[key] = part
  end
  if state and state.ctor then return state.ctor(copy) end
  return copy
end

--- The value (or plain table) with one place changed: value.with(v, "train.epochs", 3). Constructors on
--- the way are called again, so everything is checked. fields: the known keys of a plain table, optional.
--- Returns the new value, or nil and a sentence about the path.
function value.with(v, path, new, fields)
  local keys = parse_path(path)
  if not keys then
    return nil, string.format("'%s' is not a path (one looks like train.epochs or model[2].couplings)", path)
  end
  return changed(v, keys, 1, new, fields)
end

-- ---- operators ----

--- Used by schema.operators.
function value.set_operators(family, functions)
  operators[family] = functions
end

local signs = { add = "+", scale = "*", chain = ">>" }

local function apply(what, a, b, ...)
  local functions = operators[value.family(a) or ""] or operators[value.family(b) or ""]
  if not functions or not functions[what] then
    problem.raise("operator", string.format("%s %s %s: there is no such operation", value.show(a),
      signs[what], value.show(b)))
  end
  return functions[what](a, b, ...)
end

function mt.__add(a, b)
  local sum = apply("add", a, b)
  return sum
end

function mt.__mul(a, b)
  if type(b) == "number" then a, b = b, a end
  local product = apply("scale", a, b)
  return product
end

function mt.__shr(a, b)
  local chain = apply("chain", a, b)
  return chain
end

return value
