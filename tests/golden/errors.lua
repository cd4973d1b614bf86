-- How far computed tensors are from a file's: the worst number of each, all gradients together, and what came of a
-- whole topic as lines of text.

local t = require "tap"

local errors = {}

-- Equal shapes, up to axes of size 1.
local function same_shape(a, b)
  local function core(shape)
    local kept = {}
    for _, n in ipairs(shape) do
      if n ~= 1 then kept[#kept + 1] = n end
    end
    return table.concat(kept, "x")
  end
  return core(a.shape) == core(b.shape)
end

-- The largest difference, in parts of the largest number wanted or of `floor`, whichever is larger.
local function of_largest(got, want, floor)
  local a, b = got:table(), want:table()
  local worst, largest = 0, floor
  for i = 1, #b do
    local off = a[i] == b[i] and 0 or math.abs(a[i] - b[i])
    if off ~= off then
      if not (a[i] ~= a[i] and b[i] ~= b[i]) then return math.huge end
    else
      worst = math.max(worst, off)
    end
    if b[i] == b[i] and math.abs(b[i]) < math.huge then largest = math.max(largest, math.abs(b[i])) end
  end
  return largest > 0 and worst / largest or worst
end

-- Root of the summed squares of all differences, in parts of that of all numbers wanted. NaN counts as infinite.
local function of_all(got, want)
  local off, size = 0, 0
  for name, tensor in pairs(want) do
    local a, b = got[name]:table(), tensor:table()
    for i = 1, #b do
      off, size = off + (a[i] - b[i]) ^ 2, size + b[i] ^ 2
    end
  end
  if off ~= off then return math.huge end
  return size > 0 and math.sqrt(off / size) or math.sqrt(off)
end

--- The largest absolute value of some tensors.
function errors.largest_of(tensors)
  local most = 0
  for _, tensor in pairs(tensors) do
    local s = tensor:stats()
    most = math.max(most, math.abs(s.min), math.abs(s.max))
  end
  return most
end

local function missing(got, want, name)
  if not got then return name .. " was not computed" end
  if same_shape(got, want) then return nil end
  return string.format("%s has the shape %s instead of %s", name, table.concat(got.shape, "x"),
    table.concat(want.shape, "x"))
end

--- Errors of what was computed, { outputs = { [name] }, grads = …, together = { grads = of all of them } }, and a list
--- of what is not there. floors: the least that numbers of a section ("grads") or of one tensor ("outputs.loss") are
--- measured against.
function errors.of(computed, data, floors)
  local found, wrong = { outputs = {}, grads = {}, together = {} }, {}
  for _, section in ipairs { "outputs", "grads" } do
    for name, want in pairs(data[section]) do
      local full = section .. "." .. name
      local why = missing(computed[section][name], want, full)
      wrong[#wrong + 1] = why
      if not why then
        found[section][name] = of_largest(computed[section][name], want, floors[full] or floors[section] or 0)
      end
    end
  end
  if next(data.grads) and #wrong == 0 then found.together.grads = of_all(computed.grads, data.grads) end
  table.sort(wrong)
  return found, wrong
end

--- Calls visit(section, name, error), in order of names. sections: default all.
function errors.each(found, visit, sections)
  for _, section in ipairs(sections or { "outputs", "grads", "together" }) do
    local names = {}
    for name in pairs(found[section]) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do visit(section, name, found[section][name]) end
  end
end

--- "0.0031 at grads.x"
function errors.worst(found, sections)
  local worst, at = 0, nil
  errors.each(found, function(section, name, err)
    if not at or err > worst then worst, at = err, section .. "." .. name end
  end, sections)
  return string.format("%.2g%s", worst, at and " at " .. at or "")
end

-- ---- a topic ----

--- Adds the errors of a case to those of its pass.
function errors.note(log, pass, found)
  local entry = log[pass]
  if not entry then
    entry = { name = pass, outputs = {}, grads = {}, together = {} }
    log[pass], log[#log + 1] = entry, entry
  end
  errors.each(found, function(section, _, err) table.insert(entry[section], err) end)
end

local function summary(list, what)
  if #list == 0 then return "no " .. what end
  table.sort(list)
  return string.format("%d %s %.1e, %.1e", #list, what, list[(#list + 1) // 2], list[#list])
end

--- Says of each pass the median and the worst error of all cases.
function errors.tell(log, topic)
  for _, pass in ipairs(log) do
    t.diag(string.format("errors %-10s %-5s median, worst of %s; %s; %s", topic, pass.name,
      summary(pass.outputs, "outputs"), summary(pass.grads, "gradients"), summary(pass.together, "cases' gradients")))
  end
end

return errors
