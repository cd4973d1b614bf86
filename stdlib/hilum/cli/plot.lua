-- hilum plot: the figures of a run, from its archive alone.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local problem = require "hilum.problem"

return {
  name = "plot",
  summary = "draws a run's figures from its archive, as SVG and PNG",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" } },
  options = { { "out", "DIR", "folder of the figures (default: beside the archive)", short = "o" } },
  run = function(given)
    local run = common.read_run(given[1], { "weights", "optimiser" })
    local base = given[1]:gsub("%.h5$", "")
    if given.out then
      local fine, err = engine.mkdir(given.out)
      if not fine then error(problem.of(err), 0) end
      base = given.out .. "/" .. base:match("[^/]*$")
    end
    local names = run.measured and { "memory" } or { "dice_curves", "slices" }
    local files, problems = common.draw(run, names, base)
    if #files > 0 then print(table.concat(files, "\n")) end
    if #problems > 0 then error(problem.new("figure", table.concat(problems, "\n")), 0) end
  end,
}
