-- Cross-validation: the folds of one experiment as one run, whose cases are those that validated in each.

local loose = require "hilum.loose"
local problem = require "hilum.problem"
local results = require "hilum.results"

local fields = loose.fields

local folds = {}

-- "fold = 2" of an experiment's split and how many there are; nil without.
local function fold_of(run)
  local text = type(run.experiment) == "string" and run.experiment or ""
  local inside = text:match "%f[%w]split = (%b{})"
  local of, fold = inside and inside:match "folds = (%d+)", inside and inside:match "%f[%w]fold = (%d+)"
  return math.tointeger(fold), math.tointeger(of)
end

-- The experiment without its name and which fold it is.
local function key_of(run)
  return (run.experiment:gsub('%f[%w]name = "[^"]*"', "name", 1):gsub("%f[%w]fold = %d+", "fold", 1))
end

local function name_of(run)
  local name = type(run.name) == "string" and run.name or "run"
  local without = name:gsub("_?[%w.]*fold%-%d+", ""):gsub("^_", "")
  return without ~= "" and without or name
end

-- The rows that validated in any of the runs, in the order of the first; or nil and a problem.
local function rows_of(group)
  local by_id, order = {}, {}
  for _, one in ipairs(group) do
    for _, row in ipairs(results.rows(one.run)) do
      if by_id[row.id] then
        return nil, problem.new("data", string.format("%s and %s: folds of one experiment, and %s validates in both",
          by_id[row.id].path, one.path, row.id))
      end
      by_id[row.id] = { path = one.path, row = row }
    end
  end
  for _, row in ipairs(fields(group[1].run.cases)) do
    local found = by_id[fields(row).id]
    if found then order[#order + 1] = found.row end
  end
  return order
end

-- Lists of all runs, one after the other.
local function joined(group, key)
  local list = nil
  for _, one in ipairs(group) do
    for _, x in ipairs(fields(one.run[key])) do
      list = list or {}
      list[#list + 1] = x
    end
  end
  return list
end

local function same_data(group)
  local first = fields(group[1].run.data)
  for _, one in ipairs(group) do
    local data = fields(one.run.data)
    if data.hash ~= first.hash or data.protocol ~= first.protocol then
      return nil, problem.new("data", string.format("%s and %s: folds of one experiment, and of different data",
        group[1].path, one.path))
    elseif fields(one.run.state).finished ~= true then
      return nil, problem.new("data", one.path .. ": is not finished: its cases have no results yet")
    end
  end
  return true
end

-- One run of several folds.
local function merged(group)
  local fine, err = same_data(group)
  if not fine then return nil, err end
  local rows
  rows, err = rows_of(group)
  if not rows then return nil, err end
  local patients, seen, run = {}, {}, {}
  for _, row in ipairs(rows) do
    if not seen[row.patient] then patients[#patients + 1] = row.patient end
    seen[row.patient] = true
  end
  table.sort(patients)
  for _, key in ipairs { "seed", "experiment", "modules", "data", "state", "metrics", "parameters", "provenance",
    "evaluation" } do run[key] = group[1].run[key] end
  local _, of = fold_of(run)
  run.name, run.cases, run.split = name_of(group[1].run), rows, { train = {}, validation = patients }
  run.lesions, run.false_positives = joined(group, "lesions"), joined(group, "false_positives")
  run.folds = { count = #group, of = of }
  return { run = run, path = string.format("%s and %d more folds", group[1].path, #group - 1) }
end

--- Archives { { run, path }, … } with the folds of each experiment as one, the others as they are; or nil and a
--- problem.
function folds.pooled(list)
  local groups, order = {}, {}
  for _, one in ipairs(list) do
    local key = fold_of(one.run) and key_of(one.run)
    local group = key and groups[key]
    if group then
      group[#group + 1] = one
    else
      group = { one }
      order[#order + 1] = group
      if key then groups[key] = group end
    end
  end
  local pooled = {}
  for i, group in ipairs(order) do
    local one, err = group[1], nil
    if #group > 1 then one, err = merged(group) end
    if not one then return nil, err end
    pooled[i] = one
  end
  return pooled
end

return folds
