-- Named fields of a schema: read out of a raw table, each by its kind. Private to hilum.schema.

local suggest = require "hilum.suggest"
local value = require "hilum.value"

local fields = {}

--- The path of an entry: "model[2]", "data.crop".
function fields.join(path, key)
  if math.type(key) == "integer" then return string.format("%s[%d]", path, key) end
  return path == "" and key or path .. "." .. key
end

--- The names of a table of kinds, in the order in which these were made.
function fields.sorted_names(kinds)
  local names = {}
  for name in pairs(kinds) do names[#names + 1] = name end
  table.sort(names, function(a, b)
    if kinds[a].seq ~= kinds[b].seq then return kinds[a].seq < kinds[b].seq end
    return a < b
  end)
  return names
end

--- The default of a kind; nil if there is none.
function fields.default_of(k)
  local d = k.default
  if type(d) == "function" then return d() end
  return d
end

--- Reads the named fields out of a raw table; problems go to report. Positional entries are left alone.
function fields.accept(raw, kinds, names, path, report)
  local props = {}
  for _, name in ipairs(names) do
    local k, given, at = kinds[name], raw[name], fields.join(path, name)
    if given == nil then given = fields.default_of(k) end
    if given ~= nil then
      props[name] = k.accept(given, at, report)
    elseif not k.optional then
      report(at, "missing: expected " .. k.text)
    end
  end
  local strange = {}
  for key in pairs(raw) do
    if math.type(key) ~= "integer" and not kinds[key] then strange[#strange + 1] = value.text(tostring(key)) end
  end
  table.sort(strange)
  for _, key in ipairs(strange) do
    report(path, string.format("unknown key '%s'%s", key, suggest.hint(key, names)))
  end
  return props
end

return fields
