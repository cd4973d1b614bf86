-- hilum plot: the figures of a run, from its archive alone.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local figure = require "hilum.figure"
local gnuplot = require "hilum.gnuplot"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

-- The words of "a,b,c", all of them known.
local function words(text, known, what)
  local list, is_known = {}, {}
  for _, word in ipairs(known) do is_known[word] = true end
  for word in text:gmatch "[^,%s]+" do
    if not is_known[word] then
      error(problem.new("usage", string.format("'%s' is no %s%s", word, what, suggest.hint(word, known))), 0)
    end
    list[#list + 1] = word
  end
  return list
end

local function list_of_figures()
  local lines = { "Figures of a run:" }
  for _, one in ipairs(figure.of_run) do lines[#lines + 1] = string.format("  %-13s %s", one[1], one[2]) end
  lines[#lines + 1] = "Those that compare runs are drawn by hilum compare."
  return table.concat(lines, "\n")
end

return {
  name = "plot",
  summary = "draws a run's figures from its archive",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" } },
  options = {
    { "out", "DIR", "folder of the figures (default: beside the archive)", short = "o" },
    { "figures", "LIST", "which, with commas between (default: all that the archive has something for)" },
    { "formats", "LIST", "of svg, png, pdf (default: svg,png)" },
  },
  notes = list_of_figures(),
  run = function(given)
    local formats = given.formats and words(given.formats, gnuplot.formats, "format")
    local run = common.read_run(given[1], { "weights", "optimiser" })
    local names = figure.names(run.measured and figure.of_measurement or figure.of_run)
    local chosen = given.figures and words(given.figures, names, "figure")
    local base = given[1]:gsub("%.h5$", "")
    if given.out then
      local fine, err = engine.mkdir(given.out)
      if not fine then error(problem.of(err), 0) end
      base = given.out .. "/" .. base:match("[^/]*$")
    end
    local files, problems = common.draw(run, chosen or names, base, { formats = formats, lenient = not chosen })
    if #files > 0 then print(table.concat(files, "\n")) end
    if #files + #problems == 0 then problems[1] = given[1] .. ": holds nothing to be drawn" end
    if #problems > 0 then error(problem.new("figure", table.concat(problems, "\n")), 0) end
  end,
}
