-- The examples in docs/experiments.md are experiments, and its messages are those that are given.
local t = require "tap"
local experiment = require "hilum.experiment"
local engine = require "hilum.engine"

local source = os.getenv("HILUM_SOURCE") or "."
local file = assert(io.open(source .. "/docs/experiments.md", "rb"))
local text = file:read("a")
file:close()

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

t.done(function()
  os.remove(path)
  os.remove(folder)
end)
