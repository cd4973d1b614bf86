-- hilum data show: what readers outlined, on the slices; or what augmentation makes of a case.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local engine = require "hilum.engine"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local shared = require "hilum.cli.data.shared"

local show = {
  name = "data show",
  summary = "draws the nodules of a scan with every reader's outlines, or a case as training sees it, as SVG and PNG",
  arguments = { { "[CASE]", "a folder with one CT series; with --data a patient or a series UID in that folder" } },
  options = {
    { "data", "DIR", "where the case is looked for; with --augment the source of the experiment's data" },
    { "out", "FILE.png", "the picture; FILE.svg is drawn beside it (default: here, after the case)", short = "o" },
    { "nodule", "N", "this one alone (default: the eight largest)" },
    { "window", "LOW,HIGH", "Hounsfield units drawn black and white (default: -1000,400)" },
    { "augment", "EXPERIMENT.lua", "draws what the experiment's augmentation makes of a case" },
    { "case", "ID", "with --augment: the case, or its patient (default: the first)" },
    { "epoch", "N", "with --augment: the first of the epochs that are drawn (default: 1)" },
    { "set", "path=value", "with --augment: changes a property of the experiment", many = true },
  },
}

local function window_of(given)
  if not given.window then return nil end
  local low, high = given.window:match "^([%-%d.]+),([%-%d.]+)$"
  low, high = tonumber(low), tonumber(high)
  if not (low and high and low < high) then
    error(problem.new("usage", string.format("hilum data show: --window is '%s', expected two numbers, the lower first",
      given.window)), 0)
  end
  return { low, high }
end

local function refuse(text, ...)
  error(problem.new("usage", "hilum data show: " .. string.format(text, ...) .. " (see hilum data show --help)"), 0)
end

-- Options of the one figure are not taken for the other.
local function check(given)
  local others = given.augment and { "nodule", "window" } or { "case", "epoch", "set" }
  for _, name in ipairs(others) do
    if given[name] then refuse("--%s does not go %s --augment", name, given.augment and "with" or "without") end
  end
  if given.augment and given[1] then refuse("unexpected argument '%s': write --case %s", given[1], given[1]) end
  if not given.augment and not given[1] then refuse("CASE is missing") end
end

local function base_of(given)
  local base = given.out and given.out:gsub("%.png$", ""):gsub("%.svg$", "")
  if base then common.folder_for(base) end
  return function(name, what) return base or (name:gsub("[^%w.-]", "_")) .. "-" .. what end
end

local function print_result(bar, result)
  bar:clear()
  print(table.concat(result.files, "\n"))
  for _, one in ipairs(common.problems(result.problems)) do
    print(string.format("problem: %s: %s", one.file, one.message))
  end
end

local function show_augmented(given)
  local epoch = options.number(show, given, "epoch", 1, 1)
  local spec = common.load { given.augment, data = given.data, set = given.set }
  if not spec.augment then refuse("%s holds no training", given.augment) end
  local bar, tell = shared.with_bar(false)
  local base = base_of(given)
  print_result(bar, shared.stop_on_interrupt(data.show_augmented, { spec = spec, case = given.case, progress = tell,
    epoch = epoch, base = function(id) return base(id, "augmented") end }))
end

function show.run(given)
  check(given)
  if given.augment then return show_augmented(given) end
  local bar, tell = shared.with_bar(false)
  if not given.data and not engine.list_folder(given[1]) then
    error(problem.new("usage", string.format("hilum data show: '%s' is no folder; say with --data where the case lies",
      given[1])), 0)
  end
  local base = base_of(given)
  local result = shared.stop_on_interrupt(data.show, {
    folder = given.data or given[1], case = given.data and given[1] or nil, window_hu = window_of(given),
    nodule = given.nodule and options.number(show, given, "nodule", nil, 1), progress = tell,
    base = function(patient) return base(patient, "readers") end,
  })
  print_result(bar, result)
end

return show
