-- What is known about each op, taken from the engine's table: help at the prompt, the reference page and the
-- editor's stub are three ways of writing down the same thing.

local engine = require "hilum.engine"
local schema = require "hilum.schema"

local reference = {}

-- What a Lua caller writes for each kind of attribute, and its type for the editor.
local kinds = {
  int = { "a whole number", "integer" },
  real = { "a number", "number" },
  bool = { "true or false", "boolean" },
  int3 = { "a whole number or { z, y, x }", "integer|integer[]" },
  real3 = { "a number or { z, y, x }", "number|number[]" },
  ints = { "a list of whole numbers", "integer[]" },
  axes = { 'axes: "zyx" or { 3, 4 }', "string|integer[]" },
  order = { "axes in their new order", "string|integer[]" },
  choice = { "a word", "string" },
}

local function kind_of(attribute)
  return kinds[attribute.kind] or { attribute.kind, "any" }
end

local function default_text(attribute)
  if not attribute.default then return "required" end
  return attribute.default == "" and "none" or attribute.default
end

local function call_text(op)
  local attributes = #op.attributes > 0 and ", { … }" or ""
  return string.format("hl.op.%s(%s%s)", op.name, op.args, attributes)
end

-- A formula in a table must not end the cell.
local function cell(text)
  return (text:gsub("|", "\\|"))
end

-- The inputs that are f32 where the others are bf16. Bit 31 stands for the last one.
local function kept_inputs(op)
  local names, kept = {}, {}
  for name in op.args:gmatch "[%a_]+" do names[#names + 1] = name end
  for i, name in ipairs(names) do
    local last = i == #names and op.kept_f32 & 1 << 31 ~= 0
    if last or op.kept_f32 & 1 << (i - 1) ~= 0 then kept[#kept + 1] = name end
  end
  return kept
end

-- What is to be said about element types; nil if all inputs are of one of the usual three.
local function types_text(op)
  if not op.bf16 then return "f32 or f64, not bf16" end
  local kept = kept_inputs(op)
  if #kept == 0 then return nil end
  local last = table.remove(kept)
  local names = #kept == 0 and last .. " is" or table.concat(kept, ", ") .. " and " .. last .. " are"
  return "beside bf16, " .. names .. " f32"
end

--- Help for one op, as lines of text.
function reference.help(op)
  local types = types_text(op)
  local lines = { "-- " .. op.brief, call_text(op), "  " .. op.math, types and "  types: " .. types }
  for _, a in ipairs(op.attributes) do
    lines[#lines + 1] = string.format("  %s = %s -- %s; %s", a.name, default_text(a), kind_of(a)[1], a.doc)
  end
  return table.concat(lines, "\n")
end

--- The op behind a function of hl.op, or nil.
function reference.of(fn)
  for _, op in ipairs(engine.ops()) do
    if engine.op[op.name] == fn then return op end
  end
end

--- What hl.describe prints: help for an op's function, the schema of a constructor.
function reference.describe(what)
  local op = type(what) == "function" and reference.of(what)
  return op and reference.help(op) or schema.describe(what)
end

local function page_entry(op)
  local lines = { "## " .. op.name, "", string.format("`%s` %s", call_text(op), op.brief), "", "    " .. op.math }
  local types = types_text(op)
  if types then lines[#lines + 1] = "\nTypes: " .. types .. "." end
  if #op.attributes > 0 then
    lines[#lines + 1] = "\n| attribute | default | kind | |\n|---|---|---|---|"
    for _, a in ipairs(op.attributes) do
      lines[#lines + 1] = string.format("| `%s` | %s | %s | %s |", a.name, cell(default_text(a)),
        cell(kind_of(a)[1]), cell(a.doc))
    end
  end
  return table.concat(lines, "\n")
end

local function sorted_ops()
  local ops = engine.ops()
  table.sort(ops, function(a, b) return a.name < b.name end)
  return ops
end

--- docs/ops.md: every op.
function reference.page()
  local parts = { [[
# Ops

Made from the engine's table of ops by `scripts/reference`; a test compares. `?` marks an input that may be left
out, `…` one that may be repeated. On tensors an op is computed at once; on values of a program or a
tape it is recorded. Where nothing else is said, the inputs are all f32, all f64 or all bf16, and so is the result.]] }
  for _, op in ipairs(sorted_ops()) do parts[#parts + 1] = page_entry(op) end
  return table.concat(parts, "\n\n") .. "\n"
end

local function stub_entry(op)
  local lines = {}
  if #op.attributes > 0 then
    lines[1] = string.format("---@class (exact) hl.op.%s", op.name)
    for _, a in ipairs(op.attributes) do
      local mark = a.default and "?" or ""
      lines[#lines + 1] = string.format("---@field %s%s %s %s", a.name, mark, kind_of(a)[2], a.doc)
    end
    lines[#lines + 1] = ""
  end
  lines[#lines + 1] = "---" .. op.brief
  lines[#lines + 1] = "---`" .. op.math .. "`"
  local names = {}
  for name, mark in op.args:gmatch("([%w_]+)([?…\u{2026}]*)") do
    if mark:find("…", 1, true) then
      names = { "..." }
      lines[#lines + 1] = "---@param ... hl.tensor|table inputs, then attributes"
      break
    end
    names[#names + 1] = name
    lines[#lines + 1] = string.format("---@param %s%s hl.tensor|number", name, mark == "?" and "?" or "")
  end
  if #op.attributes > 0 and names[1] ~= "..." then
    names[#names + 1] = "attributes"
    lines[#lines + 1] = string.format("---@param attributes? hl.op.%s", op.name)
  end
  lines[#lines + 1] = "---@return hl.tensor"
  lines[#lines + 1] = string.format("function op.%s(%s) end", op.name, table.concat(names, ", "))
  return table.concat(lines, "\n")
end

--- stdlib/meta/op.lua: what an editor's language server reads.
function reference.stub()
  local parts = { "---@meta hilum.op\n-- Made from the engine's table of ops by scripts/reference; a test compares.",
    "---@class hl.tensor", "local op = {}" }
  for _, op in ipairs(sorted_ops()) do parts[#parts + 1] = stub_entry(op) end
  parts[#parts + 1] = "return op"
  return table.concat(parts, "\n\n") .. "\n"
end

return reference
