-- The reference page and the editor's stub say what the op table says; help finds every op.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"
local reference = require "hilum.reference"

local root = os.getenv "HILUM_SOURCE"

local function content(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

t.ok(content(root .. "/docs/ops.md") == reference.page(), "docs/ops.md is up to date (scripts/reference writes it)")
t.ok(content(root .. "/stdlib/meta/op.lua") == reference.stub(),
  "stdlib/meta/op.lua is up to date (scripts/reference writes it)")
t.ok(load(reference.stub(), "stub", "t"), "the stub is Lua")
local found, kinds = 0, 0
for _, op in ipairs(engine.ops()) do
  if reference.of(engine.op[op.name]).name == op.name then found = found + 1 end
  for _, a in ipairs(op.attributes) do
    if not reference.help(op):find(a.name, 1, true) then kinds = kinds + 1 end
  end
end
t.is(found, #engine.ops(), "every op is found by its function")
t.is(kinds, 0, "every attribute is in its op's help")
t.like(reference.describe(hl.op.conv), "hl%.op%.conv%(", "hl.describe knows ops")

t.done()
