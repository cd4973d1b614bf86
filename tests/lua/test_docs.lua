-- The examples in docs/experiments.md are experiments, and its messages are those that are given.
local t = require "tap"
local experiment = require "hilum.experiment"
local engine = require "hilum.engine"
local hl = require "hilum"

local source = os.getenv("HILUM_SOURCE") or "."
local function read(name)
  local file <close> = assert(io.open(source .. "/docs/" .. name, "rb"))
  return file:read("a")
end

local text = read "experiments.md"

local folder = os.tmpname()
os.remove(folder)
assert(engine.mkdir(folder))
local path = folder .. "/small.lua"

local function load_text(script)
  local out = assert(io.open(path, "wb"))
  out:write(script)
  out:close()
  return pcall(experiment.load, path)
end

local script = text:match("```lua\n(.-)```")
local fine, v = load_text(script)
t.ok(fine, "the example loads")
if not fine then t.diag(tostring(v)) end
t.is(fine and v.name, "small", "as an experiment")

local message = text:match("```\n(hilum: 2 problems\n.-)\n```")
local broken = script:gsub("channels", "chanels"):gsub("hl%.schedule%.cosine %b{}", "-1")
local _, err = load_text(broken)
local got = "hilum: " .. tostring(err):gsub(folder .. "/", "")
t.is(got, message, "the messages are the true ones")

local augmentation = read("augmentation.md")
local list = augmentation:match "```lua\n(.-)```"
local augmented, why = load_text((script:gsub("augment = %b{},", function() return list end)))
t.ok(augmented and #why.augment == 7, "the augmentation's list goes into an experiment")
if not augmented then t.diag(tostring(why)) end
for name in augmentation:gmatch "\n| `([%w_]+)` |" do
  t.ok(hl.augment[name] and pcall(hl.augment[name], {}), "hl.augment." .. name .. " in the table is one")
end
local written = augmentation:match "\n(flip=[^\n]+)\n"
local read_back = hl.augment.parse({ hl.augment.flip {}, hl.augment.turn {}, hl.augment.rotate {}, hl.augment.scale {},
  hl.augment.noise {} }, written)
t.same(read_back[3], { rotate = { -0.43099, 2.9788, -8.1852 } }, "what is written down reads back")

t.done(function()
  os.remove(path)
  os.remove(folder)
end)
