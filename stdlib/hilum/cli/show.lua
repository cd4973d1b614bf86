-- hilum show: what is in a run's archive.

local archive = require "hilum.archive"
local common = require "hilum.cli.common"

return {
  name = "show",
  summary = "what is in a run's archive",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" } },
  options = { { "json", nil, "one JSON object" } },
  run = function(given)
    local run = common.read_run(given[1], { "weights", "optimiser", "panel" })
    if given.json then return common.emit(archive.summary(run)) end
    io.stdout:write(archive.describe(run))
  end,
}
