-- hilum data show: what readers outlined, on the slices.

local common = require "hilum.cli.common"
local data = require "hilum.data"
local engine = require "hilum.engine"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local shared = require "hilum.cli.data.shared"

local show = {
  name = "data show",
  summary = "draws the nodules of a scan with every reader's outlines, as SVG and PNG",
  arguments = { { "CASE", "a folder with one CT series; with --data a patient or a series UID in that folder" } },
  options = {
    { "data", "DIR", "where the case is looked for" },
    { "out", "FILE.png", "the picture; FILE.svg is drawn beside it (default: PATIENT-readers.png here)", short = "o" },
    { "nodule", "N", "this one alone (default: the eight largest)" },
    { "window", "LOW,HIGH", "Hounsfield units drawn black and white (default: -1000,400)" },
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

function show.run(given)
  local bar, tell = shared.with_bar(false)
  if not given.data and not engine.list_folder(given[1]) then
    error(problem.new("usage", string.format("hilum data show: '%s' is no folder; say with --data where the case lies",
      given[1])), 0)
  end
  local base = given.out and given.out:gsub("%.png$", ""):gsub("%.svg$", "")
  if base then common.folder_for(base) end
  local result = shared.stop_on_interrupt(data.show, {
    folder = given.data or given[1], case = given.data and given[1] or nil, window_hu = window_of(given),
    nodule = given.nodule and options.number(show, given, "nodule", nil, 1), progress = tell,
    base = function(patient) return base or (patient:gsub("[^%w.-]", "_")) .. "-readers" end,
  })
  bar:clear()
  print(table.concat(result.files, "\n"))
  for _, one in ipairs(common.problems(result.problems)) do
    print(string.format("problem: %s: %s", one.file, one.message))
  end
end

return show
