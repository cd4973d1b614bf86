-- The archives that a command line names: runs, or the finished variants of a study.

local common = require "hilum.cli.common"
local index = require "hilum.study.index"
local problem = require "hilum.problem"

local archives = {}

-- The variants of a study; those that are not finished are told and left out.
local function add_study(list, path, without, say)
  local study, missing = common.read_study(path), {}
  for _, v in ipairs(study.variants) do
    if v.state == "finished" then
      list[#list + 1] = { path = v.archive, run = common.read_run(v.archive, without), variant = v.name }
    else
      missing[#missing + 1] = string.format("%s (%s)", v.name, v.state)
    end
  end
  if #missing > 0 then say(string.format("%s: left out: %s", path, table.concat(missing, ", "))) end
  return study
end

local function warn(line)
  io.stderr:write("hilum: ", line, "\n")
end

--- Reads the archives named by the arguments (a list) without some parts; raises. Returns { { run, path, variant },
--- … }, and the study where it is one index alone.
function archives.read(paths, without)
  local list, study = {}, nil
  for _, path in ipairs(paths) do
    if common.format(path) == index.format then
      study = add_study(list, path, without, warn)
    else
      list[#list + 1] = { path = path, run = common.read_run(path, without) }
    end
  end
  if #list == 0 then error(problem.new("data", paths[1] .. ": no variant of the study is finished"), 0) end
  return list, #paths == 1 and study or nil
end

return archives
