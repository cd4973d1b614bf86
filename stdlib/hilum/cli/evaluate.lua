-- hilum evaluate: an archived network on other data, or on the same.

local archive = require "hilum.archive"
local aligned = require("hilum.study.index").aligned
local common = require "hilum.cli.common"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local evaluation = require "hilum.evaluation"
local json = require "hilum.json"
local numbers = require "hilum.report.numbers"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local results = require "hilum.results"
local shared = require "hilum.cli.data.shared"

local function count_text(n, word)
  return string.format("%d %s%s", n, word, n == 1 and "" or "s")
end

-- What is known before anything is measured: whose data it is, who trained on it.
local function tell_data(say, set, overlap, spec)
  say("protocol      " .. tostring(set.protocol))
  if overlap.same then
    say("NOTE          this is the data that the network was trained on (by its hash)")
  end
  if overlap.unknown then
    say("WARNING       the archive does not say whose images trained the network: they may be among these")
  end
  if #overlap.trained > 0 then
    say(string.format("WARNING       %s of this data trained the network: %s cases count in no mean",
      count_text(#overlap.trained, "patient"), #overlap.trained == 1 and "his" or "their"))
  end
  if #overlap.chose > 0 then
    say(string.format("WARNING       %s of it chose the best epoch: numbers of %s are a little too good",
      count_text(#overlap.chose, "patient"), #overlap.chose == 1 and "him" or "them"))
  end
  if not dataset.spacing_mm(spec.data) then
    say("NOTE          the images have no spacing in mm that all share: metrics in mm are left out")
  end
  local problems = common.problems(set.problems)
  if #problems > 0 then
    say(string.format("problems      %d in the data, the first: %s: %s", #problems, problems[1].file,
      problems[1].message))
  end
end

local function metric_table(run, rows)
  local cells = { { "metric", "mean", "95 % interval", "median", "cases", "not defined" } }
  for _, one in ipairs(results.metrics(run)) do
    local d = results.describe(rows, one.name)
    cells[#cells + 1] = { one.name, numbers.value(d.mean), numbers.interval(d.interval), numbers.value(d.median),
      tostring(d.count), tostring(d.undefined) }
  end
  return aligned(cells)
end

local function tell_results(run, out)
  local rows = results.rows(run)
  local dice, empty = results.describe(rows, "dice"), results.empty(rows)
  print(string.format("evaluated     %s of %s; intervals by patient", count_text(#rows, "case"),
    count_text(dice.patients, "patient")))
  print(metric_table(run, rows))
  if dice.readers then
    print(string.format("readers       Dice %.3f: each against the majority of the others, %s of these", dice.readers,
      count_text(dice.readers_count, "case")))
  end
  print(string.format("empty         %d truths, %d predictions", empty.truth, empty.prediction))
  print("archive       " .. out)
end

local function emit(run, out)
  local rows, metrics = results.rows(run), {}
  for _, one in ipairs(results.metrics(run)) do
    metrics[one.name] = results.describe(rows, one.name, { median = true })
  end
  common.emit { archive = out, evaluation = run.evaluation, data = run.data, cases = #rows, metrics = metrics,
    empty = results.empty(rows), strata = json.list(results.strata(rows, "dice")) }
end

-- The last lines of a run's name: where results go if nothing is said.
local function place_of(given, run)
  local out = given.out or common.free_place((type(run.name) == "string" and run.name or "run"):gsub("[^%w_.-]", "-")
    .. "-evaluated")
  common.refuse_existing(out)
  common.folder_for(out)
  return out
end

return {
  name = "evaluate",
  summary = "what an archived network is worth on other data, or on the same",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" } },
  options = {
    { "data", "SOURCE", 'the data: "phantom", the folder of a data set, or a .csv table of cases' },
    { "weights", "best|last", "of the epoch with the best validation Dice (default), or of the last" },
    { "out", "EVAL.h5", "the result (default: runs/NAME-evaluated-N.h5); must not exist yet", short = "o" },
    { "other-patients", nil, "patients of the same name are others (as in phantoms of different seeds)" },
    { "threads", "N", "compute threads (default: all processors)" },
    { "json", nil, "one JSON object" },
  },
  notes = "Crop, nodules and consensus are those that the network was trained with, as far as the data knows them.\n"
    .. "Patients who trained the network are found by name and count in no mean. The result is archived as a run\n"
    .. "without curves and weights: hilum show, plot, compare and report read it.",
  run = function(given, command)
    if not given.data then error(problem.new("usage", "hilum evaluate: --data is missing"), 0) end
    local weights = options.choice(command, given, "weights", { "best", "last" })
    local threads = options.number(command, given, "threads", nil, 1)
    local run = common.read_run(given[1], { "panel" })
    local out = place_of(given, run)
    if threads then engine.threads(threads) end
    local bar = progress.new { bar = not given.json, out = given.json and function() end or nil }
    local function say(line)
      bar:say(line)
      if given.json and line:find "^WARNING" then io.stderr:write("hilum: ", line, "\n") end
    end
    local found = shared.stop_on_interrupt(evaluation.run, {
      run = run, path = given[1], sha256 = engine.sha256_file(given[1]), data = given.data, weights = weights,
      other_patients = given["other-patients"],
      progress = function(done, total, what) bar:update(what or "reading", done, total or 0) end,
      before = function(set, overlap, spec) tell_data(say, set, overlap, spec) end,
    })
    bar:clear()
    found.log = bar.lines
    local fine, err = archive.run_write(found, out)
    if not fine then error(problem.of(err), 0) end
    if given.json then return emit(found, out) end
    tell_results(found, out)
  end,
}
