-- Figures, drawn from archives (archive.run_read) alone. Numbers are worked out in figure/*.lua, the templates in
-- plots/ draw them.
--
--   local files, err = figure.draw("dice_curves", run, "run-dice")      -- { "run-dice.svg", "run-dice.png" }
--   local files, err = figure.draw("methods", { a, b, c }, "methods", { "svg", "pdf" })

local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local figure = {}

--- Their names and what they show, in the order in which a report has them: of one run; of several; of a profile; of a
--- measurement.
figure.of_run = {
  { "dice_curves", "Dice of training and validation over the epochs, with the agreement of the readers" },
  { "slices", "image, annotation and prediction of nodules from the worst to the best" },
  { "scales", "loss and weight of each scale over the epochs" },
  { "dice_by_size", "Dice of each validation case over the nodule's diameter, with the readers' own" },
  { "bland_altman", "predicted less true volume over their mean, with the limits of agreement" },
  { "reliability", "how often what is predicted with a probability is nodule" },
}
figure.of_runs = {
  { "methods", "Dice curves of several methods on the same axes, with the epoch where over-fitting begins" },
  { "cost", "memory and time of each method" },
}
figure.of_profile = {
  { "step", "where the time of a training step goes, by kind of op" },
  { "step_memory", "what memory a training step holds at each of its ops" },
}
figure.of_measurement = {
  { "memory", "peak memory of a training step over depth and size" },
}

--- The names of a list of figures.
function figure.names(list)
  local names = {}
  for i, one in ipairs(list) do names[i] = one[1] end
  return names
end

local modules = { slices = "panel" } -- where it is not the figure's own name

local known = {}
for _, list in ipairs { figure.of_run, figure.of_runs, figure.of_profile, figure.of_measurement } do
  for _, one in ipairs(list) do known[one[1]] = true end
end

--- Draws the named figure of a run, or of a list of runs, to BASENAME.svg and so on. formats: any of "svg", "png" and
--- "pdf" (default: the first two). Returns the list of written files; or nil and a problem, of the code "data" where
--- the archive holds nothing to be drawn. An unknown name raises.
function figure.draw(name, what, basename, formats)
  if not known[name] then
    local all = {}
    for one in pairs(known) do all[#all + 1] = one end
    problem.raise("argument", string.format("'%s' is no figure%s", tostring(name), suggest.hint(tostring(name), all)))
  end
  return require("hilum.figure." .. (modules[name] or name)).draw(what, basename, formats)
end

return figure
