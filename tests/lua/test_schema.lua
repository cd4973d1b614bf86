-- The schema of the experiment language: kinds, values, problems.
local t = require "tap"
local engine = require "hilum.engine"
local schema = require "hilum.schema"
local value = require "hilum.value"

local layer = schema.value { family = "t.layer" }
local conv = schema.constructor("t.conv", {
  doc = "A convolution.", family = "t.layer",
  fields = {
    out = schema.int { min = 1, max = 1024, doc = "channels" },
    kernel = schema.zyx { default = 3, min = 1 },
    bias = schema.bool { default = true },
    mode = schema.one_of { "rebuild", "store", default = "rebuild" },
    rate = schema.number { default = 0.5, above = 0, below = 1 },
    note = schema.optional(schema.string { pattern = "%a+", text = "a word" }),
    heads = schema.record { default = {}, fields = {
      scales = schema.list(schema.int { min = 1 }, { min = 1, default = { 1 } }),
      out = schema.int { min = 1, default = 1 },
    } },
    sizes = schema.optional(schema.map(schema.number { min = 0 })),
    axes = schema.axes { default = "zyx" },
    either = schema.any_of { schema.int { min = 0 }, schema.list(schema.bool {}), default = 0 },
    pair = schema.list(schema.number {}, { min = 2, max = 2, default = { 0, 1 } }),
    inner = schema.optional(layer),
    folder = schema.optional(schema.path {}),
  },
  methods = { double = function(self) return 2 * self.out end },
  check = function(self, report)
    if self.pair[1] >= self.pair[2] then report("pair", "must ascend") end
    if self.out == 13 then report("out", "is unlucky") end
  end,
})
local chain = schema.constructor("t.chain", { doc = "Layers.", family = "t.layer", children = layer,
  min_children = 1 })
local dice = schema.constructor("t.dice", { family = "t.loss", fields = { smooth = schema.number { default = 1 } } })
local sum = schema.weighted_sum("t.sum", { doc = "A sum.", family = "t.loss" })
local scope = { t = { conv = conv, chain = chain, dice = dice, sum = sum } }

local function reload(v)
  return load("return " .. tostring(v), "=dump", "t", scope)()
end

-- ---- wrong values: what is given, and what the message says ----

local wrong = {
  { {}, "out: missing: expected an integer >= 1 and <= 1024" },
  { { out = 0 }, "out: expected an integer >= 1 and <= 1024, got 0" },
  { { out = 1025 }, "out: expected .* got 1025" },
  { { out = 1.5 }, "out: expected an integer .* got 1.5" },
  { { out = "16" }, 'out: expected an integer .* got "16"' },
  { { out = true }, "out: expected an integer .* got true" },
  { { out = {} }, "out: expected an integer .* got a table" },
  { { out = print }, "out: expected an integer .* got a function" },
  { { out = 0 / 0 }, "out: expected an integer" },
  { { out = 1, rate = 0 }, "rate: expected a number > 0.* and < 1" },
  { { out = 1, rate = 1 }, "rate: expected a number" },
  { { out = 1, rate = 1 / 0 }, "rate: expected a number" },
  { { out = 1, rate = 0 / 0 }, "rate: expected a number" },
  { { out = 1, rate = "0.1" }, 'rate: expected a number .* got "0.1"' },
  { { out = 1, bias = 1 }, "bias: expected true or false, got 1" },
  { { out = 1, bias = "yes" }, 'bias: expected true or false, got "yes"' },
  { { out = 1, kernel = 0 }, "kernel: expected an integer >= 1, got 0" },
  { { out = 1, kernel = { 3, 3 } }, "kernel: expected an integer >= 1 or { z, y, x } of them, got a table" },
  { { out = 1, kernel = { 3, 0, 3 } }, "kernel%[2%]: expected an integer >= 1, got 0" },
  { { out = 1, kernel = { 3, 3, 3, 3 } }, "kernel: expected" },
  { { out = 1, kernel = { z = 3, y = 3, x = 3 } }, "kernel: expected" },
  { { out = 1, kernel = "3" }, 'kernel: expected .* got "3"' },
  { { out = 1, mode = "rebuilt" },
    'mode: expected one of "rebuild", "store", got "rebuilt" %(did you mean "rebuild"%?%)' },
  { { out = 1, mode = 1 }, "mode: expected one of .* got 1" },
  { { out = 1, note = "two words" }, 'note: expected a word, got "two words"' },
  { { out = 1, note = 3 }, "note: expected a word, got 3" },
  { { out = 1, heads = 3 }, "heads: expected a table { scales, out }, got 3" },
  { { out = 1, heads = { scale = { 1 } } }, "heads: unknown key 'scale' %(did you mean 'scales'%?%)" },
  { { out = 1, heads = { scales = {} } }, "heads.scales: expected a list of at least 1, .* got 0 entries" },
  { { out = 1, heads = { scales = { 1, 0 } } }, "heads.scales%[2%]: expected an integer >= 1, got 0" },
  { { out = 1, heads = { scales = { a = 1 } } }, "heads.scales: unexpected key 'a' in a list" },
  { { out = 1, heads = { scales = { 1, nil, 3 } } }, "heads.scales" },
  { { out = 1, heads = { 1 } }, "heads: expected named entries only, got a positional one" },
  { { out = 1, sizes = { 1 } }, "sizes: expected named entries, got %[1%]" },
  { { out = 1, sizes = { a = -1 } }, "sizes.a: expected a number >= 0, got %-1" },
  { { out = 1, sizes = 3 }, "sizes: expected a table of named entries" },
  { { out = 1, axes = "zz" }, 'axes: expected axes among "zyx", each once, got "zz"' },
  { { out = 1, axes = "zw" }, "axes: expected axes" },
  { { out = 1, axes = "" }, "axes: expected axes" },
  { { out = 1, axes = 3 }, "axes: expected axes" },
  { { out = 1, either = "x" }, "either: expected an integer >= 0, or a list, each true or false, got" },
  { { out = 1, either = { true, 3 } }, "either%[2%]: expected true or false, got 3" },
  { { out = 1, pair = { 1 } }, "pair: expected a list of 2, each a number, got 1 entries" },
  { { out = 1, pair = { 1, 0 } }, "pair: must ascend" },
  { { out = 1, inner = 3 }, "inner: expected a value of the family 't.layer', got 3" },
  { { out = 1, inner = dice {} }, "inner: expected a value of the family 't.layer', got t.dice" },
  { { out = 1, inner = conv }, "inner: .* got its constructor: write t.conv { … }" },
  { { out = 1, inner = { out = 1 } }, "inner: expected .* got a table" },
  { { out = 1, folder = "" }, "folder: expected a path" },
  { { out = 1, folder = "a\0b" }, "folder: expected a path" },
  { { out = 1, kernal = 3 }, "unknown key 'kernal' %(did you mean 'kernel'%?%)" },
  { { out = 1, qqqqqqqq = 3 }, "unknown key 'qqqqqqqq' %(known: axes, bias" },
  { { out = 1, [2.5] = 3 }, "unknown key '2.5'" },
  { { out = 1, [true] = 3 }, "unknown key 'true'" },
  { { 3, out = 1 }, "takes named entries only, got a positional one %(3%)" },
  { 3, "takes one table: t.conv { … }, got 3" },
  { "x", "takes one table" },
  { nil, "takes one table" },
}
for i, case in ipairs(wrong) do
  t.raises(function() conv(case[1]) end, case[2], "wrong value " .. i .. ": " .. case[2])
end
t.raises(function() conv({ out = 1 }, 2) end, "got several arguments", "two arguments are refused")
t.raises(function() chain {} end, "expected at least 1 positional entry, got 0", "an empty chain is refused")
t.raises(function() chain { conv { out = 1 }, 7 } end, "%[2%]: expected a value of the family", "a child of no kind")
t.raises(function() chain { nil, conv { out = 1 } } end, "", "a hole among the children")

-- ---- where, and all together ----

local fine, err = pcall(function()
  local v = conv {
    out = 0, bias = 1, kernel = 0, strange = 1 }
  return v
end)
local line = debug.getinfo(1, "l").currentline
t.ok(not fine, "several problems raise")
t.is(err.code, "schema", "the error says what it is")
t.like(tostring(err), "test_schema.lua:" .. line - 4 .. ": t.conv: 4 problems\n", "at the user's line, counted")
for _, name in ipairs { "out: ", "bias: ", "kernel: ", "unknown key 'strange'" } do
  t.ok(tostring(err):find("\n  " .. name, 1, true), "all problems at once: " .. name)
end

local all
fine, all = pcall(schema.gather, function()
  local a = conv { out = 0 }
  local b = conv { out = 1, bias = 3 }
  local c = chain { a, b, conv { out = 2 } }
  return c.nothing.at.all
end)
t.ok(not fine, "gathered problems raise at the end")
t.like(tostring(all), "^2 problems", "problems of several calls are gathered")
t.like(tostring(all), "out: expected .*bias: expected true or false", "in their order")
t.ok(not tostring(all):find("index", 1, true), "what follows from a broken value is not reported")
t.is(schema.gather(function() return 7 end), 7, "gathering gives back what a script returns")
t.raises(function() schema.gather(function() error("boo", 0) end) end, "^boo$", "errors of other kinds pass through")

-- ---- values ----

local v = conv { out = 16, kernel = { 1, 3, 3 }, heads = { scales = { 1, 2, 4 } }, sizes = { b = 2, a = 1 },
  note = "word", rate = 1 / 3 }
t.is(v.out, 16, "fields are read")
t.is(v.kernel[2], 3, "lists are read")
t.is(#v.heads.scales, 3, "their length too")
t.is(conv({ out = 1, kernel = 5 }).kernel[3], 5, "one number stands for three axes")
t.is(math.type(conv({ out = 2.0 }).out), "integer", "2.0 is an integer where one is asked for")
t.is(math.type(v.heads.out), "integer", "integers stay integers")
t.is(v:double(), 32, "values have methods")
t.is(table.concat(v.heads.scales, ","), "1,2,4", "lists behave as tables for the table library")
t.is(v.absent, nil, "an unknown field reads as nil")
t.like(value.where(v), "test_schema.lua:%d+$", "a value knows its line")
t.raises(function() v.out = 3 end, "test_schema.lua:%d+: t.conv is frozen: 'out' cannot be set", "values are frozen")
t.raises(function() v.heads.scales[1] = 3 end, "list is frozen", "their lists are frozen")
t.raises(function() v.heads.out = 3 end, "record is frozen", "their records are frozen")
t.raises(function() conv.newkey = 1 end, "t.conv is frozen", "constructors are frozen")
t.is(getmetatable(v), false, "nobody gets at the metatable")

t.ok(v == conv { out = 16, kernel = { 1, 3, 3 }, heads = { scales = { 1, 2, 4 } }, sizes = { a = 1, b = 2 },
  note = "word", rate = 1 / 3 }, "equal content is equal")
t.ok(v ~= conv { out = 16 }, "other content is not")
t.ok(chain { v } ~= chain { v, v }, "the number of children counts")
t.ok(conv { out = 1, rate = 0.5 } == conv { out = 1 }, "a default that is written out is the same")

-- ---- printing ----

local nasty = conv { out = 3, folder = "a \"quoted\"\npath\\with \r\0271 and ]] and \u{e9}",
  sizes = { ["end"] = 1, ["a b"] = 2 } }
for name, one in pairs { plain = v, nasty = nasty, tree = chain { v, chain { nasty, v } }, short = dice {} } do
  t.ok(reload(one) == one, name .. ": the dump loads back to the same content")
  t.is(tostring(reload(one)), tostring(one), name .. ": and prints the same")
  t.is(value.hash(reload(one)), value.hash(one), name .. ": and hashes the same")
end
t.is(#value.hash(v), 64, "a hash is 64 digits")
t.ok(value.hash(v) ~= value.hash(conv { out = 16 }), "other content, another hash")
t.is(value.hash(conv { out = 1, folder = "a" }), value.hash(conv { out = 1, folder = "b" }), "paths are not hashed")
t.ok(conv { out = 1, folder = "a" } ~= conv { out = 1, folder = "b" }, "but they are compared")
t.is(value.hash(dice {}), engine.sha256 "t.dice { smooth = 1.0 }", "the hash is that of the canonical line")
for _, x in ipairs { 0.1, 1 / 3, 1e300, -2.5e-300, 123456789.125, 2 ^ 53, 1e15, -0.0 } do
  t.ok(load("return " .. value.atom(x))() == x, "the number " .. value.atom(x) .. " reads back exactly")
end
for text in tostring(chain { v, v, nasty }):gmatch("[^\n]+") do
  if utf8.len(text) > 120 then t.ok(false, "a line of the dump is too long: " .. text) end
end

-- ---- operators ----

t.is(tostring(0.5 * dice {} + dice { smooth = 2 }),
  "t.sum { t.dice { smooth = 1.0 }, t.dice { smooth = 2.0 }, weights = { 0.5, 1.0 } }", "a weighted sum is a value")
t.ok(dice {} * 2 == 2 * dice {}, "the factor stands on either side")
t.ok(2 * (dice {} + 3 * dice { smooth = 2 }) == sum { dice {}, dice { smooth = 2 }, weights = { 2, 6 } },
  "sums are flat")
t.raises(function() return dice {} + 1 end, "t.dice %+ 1", "a number cannot be added")
t.raises(function() return dice {} + conv { out = 1 } end, "both must be of the family", "families do not mix")
t.raises(function() return conv { out = 1 } + conv { out = 1 } end, "there is no such operation", "layers do not add")
t.raises(function() return sum { dice {}, weights = { 1, 2 } } end, "weights: expected 1, one for each entry, got 2",
  "as many weights as terms")

-- ---- changing ----

local function with(x, path, new) return value.with(x, path, new) end
t.is(with(v, "heads.out", 5).heads.out, 5, "with changes a place inside a record")
t.is(v.heads.out, 1, "and leaves the value alone")
t.is(with(chain { v, v }, "[2].kernel[3]", 7)[2].kernel[3], 7, "with goes through children and lists")
t.is(with({ train = { epochs = 3 } }, "train.epochs", 9).train.epochs, 9, "with works on plain tables")
t.is(with({}, "train.epochs", 9).train.epochs, 9, "and makes what is not there")
for path, message in pairs {
  ["kernal"] = "'kernal': unknown key 'kernal' %(did you mean 'kernel'%?%)",
  ["out.x"] = "'out.x': there is nothing inside 16", ["kernel[9]"] = "'kernel%[9%]': there is no entry 9",
  [""] = "is not a path", ["a..b"] = "is not a path", ["a["] = "is not a path", [".a"] = "is not a path",
  ["a b"] = "is not a path", ["1"] = "is not a path",
} do
  local new, sentence = with(v, path, 1)
  t.is(new, nil, "the path '" .. path .. "' is refused")
  t.like(sentence, message, "and the sentence says why")
end
t.raises(function() with(v, "heads.scalez", 1) end, "unknown key 'scalez' %(did you mean 'scales'%?%)",
  "a wrong key inside a record is found")
t.raises(function() with(v, "out", "x") end, 'out: expected an integer .* got "x"', "what with makes is checked")

-- ---- description ----

local text = schema.describe(conv)
t.like(text, "^%-%- A convolution.\nt.conv {\n  out = nil, %-%- required; an integer >= 1 and <= 1024; channels\n",
  "describe starts with what it is, in the order of the declaration")
t.like(text, "\n  heads = {\n", "records are shown with their fields")
t.ok(load((text:gsub("^%-%-[^\n]*\n", "return ")), "=describe", "t", { t = { conv = function(x) return x end } }),
  "a description is Lua")
t.like(schema.describe(chain), "positional entries: each a value of the family 't.layer'", "children are described")

t.done()
