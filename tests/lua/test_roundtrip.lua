-- What is written down reads back: random valid values of every constructor print as Lua that loads to an equal value
-- with the same hash and the same text.
local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local schema = require "hilum.schema"
local value = require "hilum.value"

local EACH = 40 -- values of each constructor
local TRIES = 60 -- for each of them: cross-checks refuse many

local rng = engine.rng(7, "roundtrip", 0, 0)

local function chance(p) return rng:uniform() < p end
local function among(list) return list[1 + rng:below(#list)] end

-- ---- all constructors, by family ----

local all, families = {}, {}
local function collect(place, depth)
  for _, one in pairs(place) do
    if schema.is_constructor(one) then
      if not all[one.name] then
        all[one.name] = one
        families[one.family or ""] = families[one.family or ""] or {}
        table.insert(families[one.family or ""], one)
      end
    elseif type(one) == "table" and depth < 2 and not value.is(one) then
      collect(one, depth + 1)
    end
  end
end
collect({ hl.data, hl.augment, hl.nn, hl.loss, hl.optim, hl.schedule, hl.metric, hl.measure, { hl.hook } }, 0)
local names = {}
for name in pairs(all) do names[#names + 1] = name end
table.sort(names)
for _, list in pairs(families) do
  table.sort(list, function(a, b) return a.name < b.name end)
end

-- ---- random values of a kind ----

local words = { "a", "b-1", "phantom", "2.5", "some/where", "äöü", "end", "P-7", "x_y",
  "with \"quotes\"\nand \\ lines" }
local draw_value

local function real(o)
  local low = o.min or o.above or (o.max or o.below or 10) - 20
  local high = o.max or o.below or low + 20
  local x = low + (high - low) * rng:uniform()
  if chance(0.2) then x = math.floor(x) end
  if chance(0.1) then x = x * 1e-7 + low end
  return x
end

local draw = {}
function draw.int(o)
  local low = o.min or -5
  return low + rng:below(math.min(o.max or low + 9, low + 9) - low + 1)
end
draw.number = real
function draw.bool() return chance(0.5) end
function draw.string() return among(words) end
draw.path = draw.string
function draw.one_of(o) return among(o) end
function draw.axes() return among { "z", "zy", "zyx", "xy", "x" } end
function draw.zyx(o)
  local one = o.whole == false and real or draw.int
  if chance(0.5) then return one(o) end
  return { one(o), one(o), one(o) }
end
function draw.anything(_, depth)
  if depth > 2 then return { 1 } end
  return { true, 0.1, -7, among(words), { draw.anything(nil, depth + 1) }, ["a b"] = { x = 1e300 }, y = among(words) }
end
function draw.value(o, depth)
  local one = o.ctor or among(families[o.family] or { false })
  return one and draw_value(one, depth + 1) or nil
end

local function of_kind(kind, depth)
  local o = kind.options
  if kind.name == "optional" then
    if chance(0.5) then return nil end
    return of_kind(kind.of, depth)
  elseif kind.name == "any_of" then
    return of_kind(among(o), depth)
  elseif kind.name == "list" then
    local list, low = {}, o.min or 0
    for i = 1, low + rng:below(math.min(o.max or low + 3, low + 3) - low + 1) do list[i] = of_kind(kind.of, depth) end
    return list
  elseif kind.name == "map" then
    return {}
  elseif kind.name == "record" then
    local record = {}
    for name, field in pairs(kind.fields) do
      if field.default == nil or chance(0.5) then record[name] = of_kind(field, depth) end
    end
    return record
  end
  return draw[kind.name](o, depth)
end

-- A value of a constructor, or nil: not each draw fits together.
function draw_value(ctor, depth)
  if depth > 4 then return nil end
  for _ = 1, TRIES do
    local raw = {}
    local share = rng:uniform() -- of the fields that are given
    for _, name in ipairs(ctor.field_names) do
      local field = ctor.fields[name]
      if field.default == nil or chance(share) then raw[name] = of_kind(field, depth) end
    end
    for i = 1, ctor.children and ctor.min_children + rng:below(2) or 0 do raw[i] = of_kind(ctor.children, depth) end
    local fine, v = pcall(ctor, raw)
    if fine then return v end
    if type(v) ~= "table" or v.code ~= "schema" then error(v, 0) end -- a mistake of ours, not of the value
  end
end

-- ---- there and back ----

local function reload(text)
  return assert(load("local hl = ...; return " .. text, "=dump", "t", {}))(hl)
end

local function check(v)
  local text = tostring(v)
  local again = reload(text)
  if again ~= v then return "is another value: " .. text end
  if value.hash(again) ~= value.hash(v) then return "hashes otherwise: " .. text end
  if tostring(again) ~= text then return "prints otherwise: " .. text .. " and then " .. tostring(again) end
  if reload(value.canonical(v)) ~= v then return "is another value in one line: " .. text end
end

local none = {}
for _, name in ipairs(names) do
  local made, wrong, texts, distinct = 0, nil, {}, 0
  for _ = 1, EACH do
    local v = draw_value(all[name], 1)
    if v then
      made, wrong = made + 1, wrong or check(v)
      if not texts[tostring(v)] then texts[tostring(v)], distinct = true, distinct + 1 end
    end
  end
  t.is(wrong, nil, string.format("%s: %d values, %d of them different", name, made, distinct))
  if made == 0 then none[#none + 1] = name end
end
t.is(table.concat(none, ", "), "", string.format("each of %d constructors has valid values", #names))

-- ---- whole experiments ----

do
  local made, wrong = 0, nil
  for _ = 1, 200 do
    local crop = among { 16, 32, { 8, 16, 16 } }
    local fine, v = pcall(hl.experiment, {
      name = among { "a", "b-1", "c_2.3" }, seed = rng:below(1000),
      data = hl.data.phantom { crop = crop, cases = 4 + rng:below(9) },
      split = among { { train = 0.5 }, { folds = 4, fold = 2 }, { validation = { "p 1", "p-2" } } },
      augment = of_kind(schema.list(schema.value { family = "augmentation" }), 2),
      model = among { hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
        hl.nn.chain { hl.nn.conv { out = 4 }, hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 } } } },
      loss = draw_value(all["hl.loss.multiscale"], 2),
      optim = draw_value(among(families.optimiser), 2),
      train = { epochs = 1 + rng:below(9), batch = 1 + rng:below(4), accumulate = 1 + rng:below(3),
        average = among { nil, 0.9 }, patience = among { nil, 3 }, hooks = of_kind(schema.list(schema.value {
          family = "hook" }), 2), guard = among { nil, { every = 3 } } },
      evaluate = of_kind(schema.list(schema.value { family = "metric" }), 2),
    })
    if fine then
      made, wrong = made + 1, wrong or check(v)
    elseif type(v) ~= "table" or v.code ~= "schema" then
      error(v, 0)
    end
  end
  t.is(wrong, nil, made .. " experiments")
  t.ok(made > 30, "which are enough")
end

t.done()
