-- Tables in a store: groups of tensors, text, numbers, booleans and lists.
--
--   tree.write(store, "/data", { hash = "…", spacing = { 1, 1, 1 }, image = tensor })
--   local t, err = tree.read(store, "/data")
--
-- Keys are text, whatever it is. Lists of tables are groups with the names 1, 2, … and an attribute that says so.

local problem = require "hilum.problem"

local tree = {}

local MOST_OBJECTS, DEEPEST = 1000000, 32 -- hard links can form circles

--- The keys of a table, sorted; raises where one is not text.
function tree.sorted_keys(t, path)
  local keys = {}
  for key in pairs(t) do
    if type(key) ~= "string" then
      error(string.format("%s: the key %s of a table is not text", path, tostring(key)), 0)
    end
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

--- A key as a part of a path, whatever it is: "/" as %2F, and so on.
function tree.part_of(key)
  local part = key:gsub("[%%/]", function(c) return string.format("%%%02X", c:byte()) end)
  if part == "" then return "%" end
  if part == "." or part == ".." then return (part:gsub("%.", "%%2E")) end
  return part
end

--- The key that a part of a path stands for.
function tree.key_of(part)
  if part == "%" then return "" end
  return (part:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end))
end

--- Text, a number or a boolean.
function tree.is_scalar(value)
  local kind = type(value)
  return kind == "string" or kind == "number" or kind == "boolean"
end

local function write_list(store, path, list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  if n ~= #list then error(path .. ": a table is either a list or has names, not both", 0) end
  store:put_group(path)
  store:attr(path, "sequence", true)
  for i, one in ipairs(list) do tree.write(store, path .. "/" .. i, one) end
end

--- Puts a value of any of these kinds at a path; raises where it is something else.
function tree.write(store, path, value)
  if type(value) == "userdata" or tree.is_scalar(value) then
    store:put(path, value)
  elseif type(value) ~= "table" then
    error(string.format("%s: a %s cannot be archived", path, type(value)), 0)
  elseif tree.is_scalar(value[1]) then
    store:put(path, value)
  elseif value[1] ~= nil then
    write_list(store, path, value)
  else
    store:put_group(path)
    for _, key in ipairs(tree.sorted_keys(value, path)) do
      tree.write(store, path .. "/" .. tree.part_of(key), value[key])
    end
  end
end

local function check(value, err)
  if value == nil and err then error({ of_file = err }, 0) end
  return value
end

local function read(store, path, depth, budget)
  budget.objects = (budget.objects or 0) + 1
  if depth > DEEPEST or budget.objects > MOST_OBJECTS then
    error({ of_file = problem.new("format", path .. ": there is no end to its groups") }, 0)
  end
  if check(store:entry(path)).kind ~= "group" then return check(store:get(path)) end
  local names, result = check(store:list(path)), {}
  if check(store:attr(path, "sequence")) == true then
    for i = 1, #names do result[i] = read(store, path .. "/" .. i, depth + 1, budget) end
    return result
  end
  for _, part in ipairs(names) do result[tree.key_of(part)] = read(store, path .. "/" .. part, depth + 1, budget) end
  return result
end

--- What was written at a path, or nil and a problem. budget: { objects = how many were read so far }, shared by
--- the calls for one file.
function tree.read(store, path, budget)
  local fine, result = pcall(read, store, path, 0, budget or {})
  if fine then return result end
  if type(result) == "table" and result.of_file then return nil, result.of_file end
  error(result, 0)
end

return tree
