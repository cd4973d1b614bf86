-- Names for the variants of a study: readable, safe in paths, made of what is varied.
--
--   names.choices({ 1, 2 })                  { "1", "2" }
--   names.choices({ dice, dice + bce })      { "dice", "dice-bce" }
--   names.keys({ "loss", "model[2].norm" })  { "loss", "norm" }

local value = require "hilum.value"

local names = {}

local LONGEST = 40 -- characters of one label

--- The text with everything replaced that may not be in a path.
function names.safe(text)
  return (text:gsub("[^%w_.%-]+", "-"))
end

-- "dice", "0.001", "4-8" of a list, "dice-bce" of a sum; nil where there is no short one.
local function label(x)
  if type(x) == "string" then return names.safe(x) end
  if type(x) == "number" then return string.format("%.14g", x) end
  if type(x) ~= "table" then return tostring(x) end
  local ctor, parts = value.constructor(x), {}
  if ctor and #x == 0 then return ctor.name:match "[^.]*$" end
  for i = 1, #x do parts[i] = label(x[i]) end
  if #x == 0 or #parts < #x then return nil end
  return table.concat(parts, "-")
end

local function short(x)
  local text = label(x)
  return text and text ~= "" and #text <= LONGEST and text or nil
end

-- Labels of values of one constructor by the properties in which they differ: "multiscale-equal".
local function told_apart(list, labels, group)
  local ctor = value.constructor(list[group[1]])
  if not ctor then return end
  for _, i in ipairs(group) do
    if value.constructor(list[i]) ~= ctor then return end
  end
  for _, field in ipairs(ctor.field_names) do
    local seen, differ = {}, false
    for _, i in ipairs(group) do
      seen[i] = list[i][field] ~= nil and short(list[i][field]) or "none"
      differ = differ or seen[i] ~= seen[group[1]]
    end
    for _, i in ipairs(differ and group or {}) do labels[i] = labels[i] .. "-" .. seen[i] end
  end
end

-- Positions by label, letters' case ignored.
local function groups_of(labels, n)
  local groups = {}
  for i = 1, n do
    local key = (labels[i] or ""):lower()
    groups[key] = groups[key] or {}
    table.insert(groups[key], i)
  end
  return groups
end

--- A label for each entry of a list, all different.
function names.choices(list)
  local labels = {}
  for i, x in ipairs(list) do labels[i] = short(x) end
  for key, group in pairs(groups_of(labels, #list)) do
    if #group > 1 and key ~= "" then told_apart(list, labels, group) end
  end
  for key, group in pairs(groups_of(labels, #list)) do
    for _, i in ipairs(group) do
      if key == "" then
        labels[i] = tostring(i)
      elseif #group > 1 or #labels[i] > LONGEST then
        labels[i] = label(list[i]):sub(1, LONGEST) .. "-" .. i
      end
    end
  end
  return labels
end

--- What each path is called in names: its last part, or all of it where another one ends alike.
function names.keys(paths)
  local keys, times = {}, {}
  for i, path in ipairs(paths) do
    keys[i] = path:match("[^.]*$"):gsub("[%[%]]", "")
    times[keys[i]] = (times[keys[i]] or 0) + 1
  end
  for i, path in ipairs(paths) do
    if times[keys[i]] > 1 then keys[i] = path:gsub("[%[%]]", "") end
  end
  return keys
end

return names
