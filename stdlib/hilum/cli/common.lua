-- What commands share: loading an experiment as a command line says, JSON lines, the archive of a run.

local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local json = require "hilum.json"
local problem = require "hilum.problem"
local study = require "hilum.study"
local train = require "hilum.train"
local value = require "hilum.value"

local common = {}

common.experiment_options = {
  { "data", "SOURCE", 'what hl.arg("data") is: "phantom", the folder of a data set, or a .csv table of cases' },
  { "set", "path=value", "changes a property, for example train.epochs=5", many = true },
}

--- Options of one command: its own after the shared ones.
function common.with(shared, own)
  local list = table.move(shared, 1, #shared, 1, {})
  return table.move(own, 1, #own, #list + 1, list)
end

--- The experiment and the record of its sources. Ctrl-C stops a script in the middle; from here on, it asks.
function common.load(given)
  local set = {}
  for i, text in ipairs(given.set or {}) do
    local setting, err = experiment.parse_setting(text, require "hilum")
    if not setting then error(problem.new("usage", "--set " .. err), 0) end
    set[i] = setting
  end
  engine.on_interrupt("flag") -- a script may loop for ever: experiment.load looks at the flag
  local spec, record = experiment.load(given[1], { args = { data = given.data }, set = set })
  return spec, record
end

--- The network of an experiment, planned; raises for what has none of its own. What does not fit together is said
--- with the script's name.
function common.prepare(spec, path)
  local family = value.family(spec)
  if family ~= "experiment" then
    error(problem.new("usage", string.format("%s: is a %s: hilum run carries it out", path, family)), 0)
  end
  local fine, ready = pcall(train.prepare, spec)
  if fine then return ready end
  local found = problem.of(ready)
  error(problem.new(found.code, string.format("%s: %s", path, tostring(found))), 0)
end

--- One JSON object, over several lines.
function common.emit(object)
  io.stdout:write(json.encode(object), "\n"):flush()
end

--- One JSON object on one line. (Line breaks inside texts are written as \n.)
function common.emit_line(object)
  io.stdout:write((json.encode(object):gsub("\n%s*", " ")), "\n"):flush()
end

-- read(path, ...), raising. The file may be a stranger's: it is tried in another process first.
local function tried(read, path, ...)
  local found
  local fine, err = engine.store_try(path)
  if fine then found, err = read(path, ...) end
  if not found then error(problem.of(err), 0) end
  return found
end

--- Reads an archive of a run without the parts named in `without`; raises.
function common.read_run(path, without)
  return tried(archive.run_read, path, { without = without })
end

--- Reads the index of a study (see study.open); raises.
function common.read_study(path)
  return tried(study.open, path)
end

--- What kind of archive it is (see archive.format); raises.
function common.format(path)
  return tried(archive.format, path)
end

--- The problems in a list that also holds notes (code "ok").
function common.problems(list)
  local problems = {}
  for _, one in ipairs(list) do
    if one.code ~= "ok" then problems[#problems + 1] = one end
  end
  return problems
end

--- Nothing is overwritten; raises.
function common.refuse_existing(path)
  if engine.file_kind(path) then
    error(problem.new("exists", path .. ": already exists; give another --out or remove it"), 0)
  end
end

--- runs/NAME-1.h5, or the next number that is free.
function common.free_place(name)
  local n = 1
  while engine.file_kind(string.format("runs/%s-%d.h5", name, n)) do n = n + 1 end
  return string.format("runs/%s-%d.h5", name, n)
end

--- Makes the folder that a file will lie in; raises.
function common.folder_for(path)
  local folder = path:match("^(.*)/[^/]*$")
  if not folder or folder == "" then return end
  local fine, err = engine.mkdir(folder)
  if not fine then error(problem.of(err), 0) end
end

--- A place that cannot be written to is noticed before the work; raises.
function common.make_place(path)
  common.folder_for(path)
  local probe = path .. ".probe"
  local file, err = io.open(probe, "wb")
  if not file then error(problem.new("io", "cannot write there: " .. tostring(err)), 0) end
  file:close()
  os.remove(probe)
end

--- The lock of an archive, for as long as a command works on it; raises.
function common.take(path)
  common.folder_for(path)
  local lock, err = engine.lock(path)
  if not lock then error(problem.of(err), 0) end
  return lock
end

--- Draws the named figures of a run or a list of runs beside `base`; returns the files and the problems. What an
--- archive holds nothing of is left out where `lenient` is set.
function common.draw(what, names, base, o)
  local figure = require "hilum.figure"
  local files, problems = {}, {}
  for _, name in ipairs(names) do
    local made, err = figure.draw(name, what, base .. "-" .. name:gsub("_", "-"), o and o.formats)
    for _, file in ipairs(made or {}) do files[#files + 1] = file end
    if not made and not (o and o.lenient and err.code == "data") then problems[#problems + 1] = tostring(err) end
  end
  return files, problems
end

return common
