-- hilum data prepare: fills the cache ahead of a run.

local common = require "hilum.cli.common"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local filters = require "hilum.data.filters"
local json = require "hilum.json"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local shared = require "hilum.cli.data.shared"

local NOTES = 10 -- notes that a terminal gets to see

local prepare = {
  name = "data prepare",
  summary = "prepares all cases of an experiment ahead, so that runs start at once",
  arguments = { { "[EXPERIMENT.lua]", "whose data is prepared; without it, --data with each source's defaults" } },
  options = common.with(common.experiment_options, {
    { "processes", "N", "scans at once (default: all processors)" },
    { "json", nil, "one JSON object" },
  }),
  notes = "What is prepared already is not made again. Ctrl-C keeps what is done; the same command goes on with the\n"
    .. "rest. The room on the disk is looked at first.\n"
    .. "Exit codes: 0 all prepared, 3 done, with problems (they are named), 1 failed, 130 interrupted.",
}

local function source_of(given)
  if given[1] then return common.load(given).data end
  if not given.data then
    error(problem.new("usage", "hilum data prepare: expected an EXPERIMENT.lua, --data SOURCE, or both "
      .. "(see hilum data prepare --help)"), 0)
  end
  return dataset.source(given.data, dataset.defaults())
end

local function found_text(found)
  local names, parts = {}, {}
  for name in pairs(found) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = string.format("%s %d", name:gsub("_", " "), found[name]) end
  return table.concat(parts, ", ")
end

local function lines_of(set, seconds)
  local lines, made = {}, set.prepared.made
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("protocol      %s", tostring(set.protocol))
  add("cases         %d", #set.cases)
  add("found         %s", found_text(set.found))
  local left_out = filters.text(set.left_out)
  if left_out then add("left out      %s", left_out) end
  add("data          sha256 %s", set.hash)
  add("prepared      %d now, %d were there; %s%s", made, set.prepared.units - made, progress.duration(seconds),
    made > 0 and string.format(" (%.3g a second)", made / math.max(seconds, 1e-3)) or "")
  add("cache         %s", set.prepared.cache)
  shared.add_problems(add, set.problems, NOTES)
  return lines
end

function prepare.run(given, command)
  local start, bar, tell = engine.clock(), shared.with_lines(given.json)
  local processes = options.number(command, given, "processes", nil, 1)
  local source = source_of(given)
  local set = shared.stop_on_interrupt(function()
    return source:open { progress = tell, processes = processes, strict = true, before = function(n, bytes)
      if given.json then return end
      bar:say(string.format("to prepare    %d, which need about %s on the disk, or less", n, progress.bytes(bytes)))
    end }
  end)
  bar:clear()
  local seconds = engine.clock() - start
  if given.json then
    common.emit {
      cases = #set.cases, found = set.found, left_out = set.left_out, hash = set.hash, prepared = set.prepared,
      seconds = seconds, protocol = tostring(set.protocol), problems = json.list(set.problems),
    }
  else
    print(table.concat(lines_of(set, seconds), "\n"))
  end
  return #common.problems(set.problems) > 0 and shared.WITH_PROBLEMS or 0
end

return prepare
