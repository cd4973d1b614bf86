-- hilum replay: runs an archived experiment again, from its archive alone, and compares bit by bit.

local archived = require "hilum.archived"
local common = require "hilum.cli.common"
local dataset = require "hilum.dataset"
local difference = require "hilum.difference"
local engine = require "hilum.engine"
local json = require "hilum.json"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local resume = require "hilum.resume"
local train = require "hilum.train"
local value = require "hilum.value"

-- The experiment of a run that is finished, with its data where they lie now; raises.
local function experiment_of(run, path, data)
  local spec, err = archived.experiment(run, path)
  if not spec then error(err, 0) end
  if run.evaluation then
    error(problem.new("data", path .. ": is an evaluation, which trains nothing: hilum evaluate makes it again"), 0)
  elseif not run.state or not run.state.finished then
    error(problem.new("unfinished", path .. ": is not finished: hilum run --resume ends it"), 0)
  end
  if not data then return spec end
  local moved = dataset.moved(spec.data, data)
  if not moved then
    error(problem.new("usage", string.format("--data: %s lies in no folder", value.show(spec.data))), 0)
  end
  return (value.with(spec, "data", moved))
end

-- The archived sources as experiment.load records them: what is trained here comes from them.
local function record_of(run)
  local record = { modules = {} }
  for name, one in pairs(run.modules or {}) do
    if record.path then record.modules[name] = one else record.path, record.source = name, one.source end
  end
  return record.path and record or nil
end

-- The data and its division, which must be those of the run; raises.
local function data_of(spec, run, path, bar)
  local set, sides = train.data(spec, bar)
  if not set then error(problem.of(sides), 0) end
  if set.hash ~= run.data.hash then
    error(problem.new("changed", string.format("%s: the data is other data than it was run on: its hash was %.16s and "
      .. "is %.16s", path, run.data.hash, set.hash)), 0)
  end
  return set, sides
end

-- Trains into `out`; the new run.
local function again(spec, run, path, out, bar)
  engine.threads(run.provenance.threads)
  for _, line in ipairs(resume.remarks(run)) do bar:say("note          " .. line) end
  local ready = common.prepare(spec, path)
  common.make_place(out)
  local set, sides = data_of(spec, run, path, bar)
  local found, err = train.run(spec, { out = out, bar = bar, record = record_of(run), ready = ready, set = set,
    sides = sides })
  bar:clear()
  if not found then error(problem.of(err), 0) end
  return common.read_run(out)
end

return {
  name = "replay",
  summary = "runs an archived experiment again, from its archive alone, and compares bit by bit",
  arguments = { { "RUN.h5", "the archive of a finished run" } },
  options = {
    { "out", "NEW.h5", "the new archive (default: RUN-replay.h5); must not exist yet", short = "o" },
    { "data", "PATH", "where the data lies now (default: where it lay)" },
    { "quiet", nil, "prints the result only" },
    { "json", nil, "one JSON object" },
  },
  notes = "It runs in as many threads as the run did. Another processor or version of a library may change the last\n"
    .. "bits, which is said. Experiments with modules that define losses or layers of their own are refused.\n"
    .. "Exit codes: 0 the runs agree, 1 they differ, or it could not be run.",
  run = function(given)
    local path = given[1]
    local out = given.out or path:gsub("%.h5$", "") .. "-replay.h5"
    local run = common.read_run(path)
    local spec = experiment_of(run, path, given.data)
    common.refuse_existing(out)
    local lock <close> = common.take(out) -- luacheck: ignore (held until the end)
    local silent = given.quiet or given.json
    local bar = progress.new { bar = not silent, out = silent and function() end or nil }
    local list = difference.of(run, again(spec, run, path, out, bar))
    if given.json then
      common.emit { archive = path, replay = out, equal = #list == 0, differences = json.list(list) }
    else
      for _, one in ipairs(list) do print(string.format("%-36s %s", one.path, one.what)) end
      print(string.format("%s and %s %s", path, out, #list == 0 and "agree, bit by bit" or "differ"))
    end
    return #list == 0 and 0 or 1
  end,
}
