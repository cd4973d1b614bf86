-- hilum list: the archives below a folder.

local archive = require "hilum.archive"
local archived = require "hilum.archived"
local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local index = require "hilum.study.index"
local json = require "hilum.json"
local names = require "hilum.study.names"
local problem = require "hilum.problem"

local DEEPEST = 16 -- folders within folders: links can form circles

-- The paths of the files called *.h5 below a folder, in order.
local function collect(folder, depth, found)
  local entries, err = engine.list_folder(folder)
  if not entries then
    if depth == 0 then error(problem.of(err), 0) end
    return found -- one that may not be looked into
  end
  for _, name in ipairs(entries) do
    local path = folder == "." and name or folder:gsub("/+$", "") .. "/" .. name
    local kind = name:sub(1, 1) ~= "." and engine.file_kind(path)
    if kind == "folder" and depth < DEEPEST then collect(path, depth + 1, found) end
    if kind == "file" and name:find "%.h5$" then found[#found + 1] = path end
  end
  return found
end

-- The part of a model that predicts.
local function network(part)
  if part.total_stride then return part end
  for i = 1, #part do
    local found = network(part[i])
    if found then return found end
  end
end

-- "iunet, 3 scales, multiscale" of an experiment; nil where it cannot be built.
local function method(run, path)
  local spec = archived.experiment(run, path)
  if not spec then return nil end
  local net = network(spec.model)
  local scales = net and #net:scales() or 1
  return table.concat({ names.choices({ net or spec.model })[1],
    scales == 1 and "1 scale" or scales .. " scales", names.choices({ spec.loss })[1] }, ", ")
end

local function row_of_run(path)
  local run, err = archive.run_read(path, { without = { "weights", "optimiser", "panel", "drawn" } })
  if not run then return nil, err end
  local s = archive.summary(run)
  local best = s.results.best or {}
  return { archive = path, name = s.name, method = run.measured and "measurement" or method(run, path),
    epochs = s.epochs, dice = best.dice_mean, date = s.created,
    state = run.evaluation and "evaluation" or (run.measured or s.finished == true) and "finished" or "not finished" }
end

local function row_of_study(path)
  local study, err = index.read(path)
  if not study then return nil, err end
  local finished, dice = 0, nil
  for _, v in ipairs(study.variants) do
    if v.state == "finished" then finished = finished + 1 end
    if v.best and not (dice and dice >= v.best.dice_mean) then dice = v.best.dice_mean end
  end
  return { archive = path, name = study.name, method = "study", dice = dice,
    date = (study.provenance or {}).created,
    state = string.format("%d of %d finished", finished, #study.variants) }
end

-- What is said of one file; nil where it is no archive of hilum's, or nil and a problem where it is a damaged one.
local function row_of(path)
  local fine, err = engine.store_try(path)
  local format
  if fine then format, err = archive.format(path) end
  if format == "hilum run" then return row_of_run(path) end
  if format == index.format then return row_of_study(path) end
  if not format and err then return nil, err end
end

local function say(rows)
  local lines = { { "archive", "name", "method", "epochs", "best Dice", "date", "state" } }
  for i, r in ipairs(rows) do
    lines[i + 1] = { r.archive, tostring(r.name), r.method or "?", r.epochs and tostring(r.epochs) or "",
      type(r.dice) == "number" and string.format("%.3f", r.dice) or "", (tostring(r.date or ""):sub(1, 16)), r.state }
  end
  print(index.aligned(lines))
end

return {
  name = "list",
  summary = "the archives below a folder: name, method, epochs, Dice, date, state",
  arguments = { { "[DIR]", "the folder (default: the current one)" } },
  options = { { "json", nil, "one JSON object" } },
  notes = "Files *.h5 that are no archives of hilum's are left out. Exit codes: 0 done, 1 one of them cannot be read.",
  run = function(given)
    local rows, problems = {}, {}
    for _, path in ipairs(collect(given[1] or ".", 0, {})) do
      local row, err = row_of(path)
      if row then rows[#rows + 1] = row elseif err then problems[#problems + 1] = tostring(problem.of(err)) end
    end
    if given.json then
      common.emit { archives = json.list(rows), problems = json.list(problems) }
    elseif #rows == 0 then
      print("no archives")
    else
      say(rows)
    end
    for _, text in ipairs(given.json and {} or problems) do io.stderr:write("hilum: ", text, "\n") end
    return #problems == 0 and 0 or 1
  end,
}
