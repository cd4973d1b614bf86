-- hilum show: what is in the archive of a run, or in the index of a study.

local archive = require "hilum.archive"
local common = require "hilum.cli.common"
local index = require "hilum.study.index"

local function show_study(path, as_json)
  local study = common.read_study(path)
  if as_json then return common.emit(index.table(study, path)) end
  print(index.describe(study))
end

return {
  name = "show",
  summary = "what is in the archive of a run or the index of a study",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" } },
  options = { { "json", nil, "one JSON object" } },
  run = function(given)
    if common.format(given[1]) == index.format then return show_study(given[1], given.json) end
    local run = common.read_run(given[1], { "weights", "optimiser", "panel" })
    if given.json then return common.emit(archive.summary(run)) end
    io.stdout:write(archive.describe(run))
  end,
}
