-- Every kind of wrong value for every kind of field: the message names the user's line, the constructor, the path, what
-- was expected and what came; nothing else happens.
local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local schema = require "hilum.schema"

local part = schema.constructor("w.part", { family = "w.part", fields = { n = schema.int { default = 1 } } })
local other = schema.constructor("w.other", { family = "w.other", fields = {} })

-- ---- what is given ----

local cyclic = { 1 }
cyclic[2], cyclic.self = cyclic, cyclic
local huge, sparse = {}, { 1, 2, 3 }
for i = 1, 100001 do huge[i] = 1 end
sparse[7] = 1
local deep = {}
local inner = deep
for _ = 1, 200 do
  inner.a = {}
  inner = inner.a
end
local long = setmetatable({}, { __len = function() return 1 << 60 end })
local bytes, zero = "caf\xe9", "a\0b"

-- name, value, how it is shown
local given = {
  { "nil", nil, "" },
  { "NaN", 0 / 0, "got %(0/0%)" },
  { "infinity", math.huge, "got math%.huge" },
  { "minus infinity", -math.huge, "got %-math%.huge" },
  { "a negative number", -3, "got %-3" },
  { "a fraction", 0.37, "got 0%.37" },
  { "a large number", 1e300, "got 1e%+300" },
  { "a large integer", math.maxinteger, "got 9223372036854775807" },
  { "a number", 7, "got 7" },
  { "text", "text", 'got "text"' },
  { "text of a number", "7", 'got "7"' },
  { "long text", ("ä"):rep(200), 'got "ää' },
  { "no text at all", "", 'got ""' },
  { "bytes that are no UTF-8", bytes, 'got "caf\\233"' },
  { "a zero byte", zero, "got \"a\\0b\"" },
  { "a boolean", true, "got true" },
  { "a function", print, "got a function" },
  { "userdata", engine.zeros { 1 }, "got a userdata" },
  { "a thread", coroutine.create(print), "got a thread" },
  { "an empty table", {}, "got a table" },
  { "a list", { 1, 2 }, "got a table" },
  { "a list of text", { "a", "b" }, "got a table" },
  { "a sparse list", sparse, "" },
  { "a huge list", huge, "" },
  { "a list of the wrong length", long, "" },
  { "named entries", { x = 1 }, "" },
  { "keys that are no text", { [true] = 1, [1.5] = 2, [print] = 3 }, "" },
  { "keys that are no UTF-8", { [bytes] = 1 }, "" },
  { "a cyclic table", cyclic, "" },
  { "a deep table", deep, "" },
  { "a value of another family", other {}, "got w%.other" },
  { "a constructor", part, "" },
  { "another constructor", other, "" },
}

-- ---- the kinds, and what they take of it ----

local function set(...)
  local names = {}
  for _, name in ipairs { ... } do names[name] = true end
  return names
end

local texts = set("text", "text of a number", "long text", "no text at all")
local kinds = {
  { "int", schema.int { min = 0, max = 100 }, "an integer >= 0 and <= 100", set "a number" },
  { "int without bounds", schema.int {}, "an integer", set("a number", "a negative number", "a large integer") },
  { "number", schema.number { above = 0, below = 10 }, "a number > 0 and < 10", set("a number", "a fraction") },
  { "bool", schema.bool {}, "true or false", set "a boolean" },
  { "string", schema.string {}, "a string", texts },
  { "string with a pattern", schema.string { pattern = "%a+", text = "a word" }, "a word", set "text" },
  { "path", schema.path {}, "a path", set("text", "text of a number", "long text", "bytes that are no UTF-8") },
  { "one_of", schema.one_of { "rebuild", "store" }, 'one of "rebuild", "store"', set() },
  { "list", schema.list(schema.int { min = 0 }), "a list, each an integer >= 0",
    set("a list", "an empty table", "a list of the wrong length") },
  { "list of two", schema.list(schema.int { min = 0 }, { min = 2, max = 2 }), "a list of 2", set "a list" },
  { "map", schema.map(schema.number {}), "a table of named entries, each a number",
    set("an empty table", "named entries", "a list of the wrong length") },
  { "record", schema.record { fields = { y = schema.int { default = 1 } } }, "a table { y }",
    set("an empty table", "a list of the wrong length") },
  { "zyx", schema.zyx { min = 1 }, "an integer >= 1 or { z, y, x } of them", set("a number", "a large integer") },
  { "zyx of reals", schema.zyx { whole = false, above = 0 }, "a number > 0 or { z, y, x } of them",
    set("a number", "a fraction", "a large number", "a large integer") },
  { "axes", schema.axes {}, 'axes among "zyx", each once', set() },
  { "value", schema.value { family = "w.part" }, "a value of the family 'w.part'", set() },
  { "value of one constructor", schema.value { ctor = part }, "w.part { … }", set() },
  { "any_of", schema.any_of { schema.int { min = 0, max = 100 }, schema.list(schema.bool {}) },
    "an integer >= 0 and <= 100, or a list, each true or false",
    set("a number", "an empty table", "a list of the wrong length") },
  { "anything", schema.anything { text = "a table" }, "a table",
    set("an empty table", "a list", "a list of text", "named entries", "a value of another family",
      "a list of the wrong length") },
}
kinds[#kinds + 1] = { "optional int", schema.optional(kinds[1][2]), "an integer >= 0 and <= 100",
  set("nil", "a number") }

local here = debug.getinfo(1, "S").short_src:match "[^/]*$"

local function plain(text)
  return (text:gsub("[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"))
end

for i, one in ipairs(kinds) do
  local name, kind, text, takes = table.unpack(one)
  local ctor = schema.constructor("w.c" .. i, { fields = { field = kind } })
  local wrong, taken = {}, {}
  for _, what in ipairs(given) do
    local fine, err = pcall(function()
      local v = ctor { field = what[2] } -- the user's line
      return v
    end)
    local message = tostring(err)
    if fine then
      taken[#taken + 1] = what[1]
      if not takes[what[1]] then wrong[#wrong + 1] = what[1] .. " is taken" end
    elseif takes[what[1]] then
      wrong[#wrong + 1] = what[1] .. " is refused: " .. message
    else
      local place = string.format("^[^\n]*%s:%%d+: w%%.c%d: ", plain(here), i)
      local problems = {}
      if getmetatable(err) == nil or type(err) ~= "table" or err.code ~= "schema" then
        problems[#problems + 1] = "is no problem"
      end
      if not message:find(place) then problems[#problems + 1] = "names no line" end
      if not message:find("field", 1, true) then problems[#problems + 1] = "names no path" end
      local says = message:find("expected", 1, true) or message:find("unexpected key", 1, true)
        or message:find("unknown key", 1, true) or message:find("got a constructor", 1, true)
      if not says then problems[#problems + 1] = "says not what is expected" end
      if #message > 2000 then problems[#problems + 1] = "is endless" end
      if not utf8.len(message) then problems[#problems + 1] = "is no text" end
      local direct = message:find("expected " .. text, 1, true)
      if direct and what[3] ~= "" and not message:find(what[3]) and not message:find "got %d+ entries" then
        problems[#problems + 1] = "shows not what came"
      end
      for _, p in ipairs(problems) do wrong[#wrong + 1] = string.format("%s: %s: %s", what[1], p, message) end
    end
  end
  t.is(table.concat(wrong, "\n"), "", string.format("%s: %d wrong values are refused, %d right ones taken", name,
    #given - #taken, #taken))
end

-- ---- the same inside of things, and instead of the whole table ----

do
  local box = schema.constructor("w.box", { children = schema.value { family = "w.part" }, fields = {
    list = schema.list(schema.int { min = 0 }, { default = {} }),
    record = schema.record { default = {}, fields = { y = schema.int { default = 1 } } },
  } })
  local function message(raw)
    local fine, err = pcall(function()
      local v = box(raw)
      return v
    end)
    return fine and "taken" or tostring(err)
  end
  t.like(message { list = { 1, "2", 3 } }, 'list%[2%]: expected an integer >= 0, got "2"', "an entry of a list")
  t.like(message { list = { 1, 2, nil, 4 } }, "list%[3%]: expected an integer >= 0, got nil", "a hole in a list")
  t.like(message { list = sparse }, "list: unexpected key '7' in a list", "an entry far behind the end")
  t.like(message { list = huge }, "list: expected at most 100000 entries, got 100001", "too many entries")
  t.like(message { record = { y = {} } }, "record%.y: expected an integer, got a table", "an entry of a record")
  t.like(message { record = { [3] = 1 } }, "record: expected named entries only, got a positional one",
    "a position in a record")
  t.like(message { record = { ["\xff"] = 1 } }, "record: unknown key '\\255'", "a key that is no text is shown")
  t.like(message { part {}, "x" }, "%[2%]: expected a value of the family 'w%.part', got \"x\"", "a child")
  t.like(message { part {}, nil, part {}, other {} }, "%[%d%]: expected a value", "a hole among children")
  t.like(message { part {}, list = { -1 }, record = { z = 1 }, strange = 1 },
    "3 problems\n.*list%[1%].*record: unknown "
    .. "key 'z'.*unknown key 'strange'", "several at once")
  for _, what in ipairs(given) do
    if type(what[2]) ~= "table" or schema.is_constructor(what[2]) then
      t.like(message(what[2]), "w%.box: takes one table: w%.box { … }, got ", what[1] .. " instead of a table")
    end
  end
end

-- ---- every field of the experiment itself ----

do
  local function refused(change)
    local raw = {
      name = "a", data = hl.data.phantom { crop = 8 }, model = hl.nn.unet { channels = { 4, 8 } },
      loss = hl.loss.dice {}, optim = hl.optim.adam {}, train = { epochs = 1, batch = 1 },
    }
    for key, x in pairs(change) do raw[key] = x end
    local fine, err = pcall(function()
      local v = hl.experiment(raw)
      return v
    end)
    return not fine and tostring(err) or "taken"
  end
  local count, wrong = 0, {}
  for field in pairs(hl.experiment.fields) do
    for _, what in ipairs(given) do
      local x = what[2]
      if type(x) == "function" or type(x) == "userdata" or type(x) == "thread" or x ~= x or x == cyclic
        or what[1] == "bytes that are no UTF-8" then
        local message = refused { [field] = x }
        count = count + 1
        if not message:find("hl%.experiment: .*" .. field) and not message:find(field .. ":", 1, true) then
          wrong[#wrong + 1] = string.format("%s = %s: %s", field, what[1], message)
        end
      end
    end
  end
  t.is(table.concat(wrong, "\n"), "", string.format("%d wrong values in the fields of an experiment", count))
  t.ok(count > 50, "that is all of them")
end

t.done()
