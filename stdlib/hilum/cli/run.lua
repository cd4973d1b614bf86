-- hilum run: check, plan, read, train, archive, draw.

local archive = require "hilum.archive"
local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local feed = require "hilum.feed"
local filters = require "hilum.data.filters"
local options = require "hilum.cli.options"
local plan = require "hilum.plan"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local provenance = require "hilum.provenance"
local resume = require "hilum.resume"
local train = require "hilum.train"
local value = require "hilum.value"
local variants = require "hilum.cli.variants"

local counted = progress.counted

local run = {
  name = "run",
  summary = "trains an experiment and archives everything about it",
  arguments = { { "EXPERIMENT.lua", "a script that returns an experiment or a study" } },
  options = common.with(common.experiment_options, {
    { "out", "RUN.h5", "the archive (default: runs/NAME-N.h5); must not exist yet; of a study: its index, or a folder",
      short = "o" },
    { "threads", "N", "compute threads (default: all processors)" },
    { "workers", "N", "processes that prepare samples ahead (default: by processors); 0: prepared between the steps" },
    { "feed-mib", "N", "memory for samples and batches that are kept or prepared ahead (default: 1024)" },
    { "resume", nil, "goes on with the run in --out; starts one where there is none, leaves a finished one alone" },
    { "extend", nil, "with --resume: the experiment may have more epochs, the study more variants than were planned" },
    { "fail-fast", nil, "of a study: the first variant that fails ends it (default: the others go on)" },
    { "quiet", nil, "prints the result only" },
    { "json", nil, "prints one JSON object for each epoch and one at the end" },
  }),
  notes = "--set changes what the script hands to hl.experiment, before it is checked; what follows from it\n"
    .. "(presets, plan) follows from the new value. The value is Lua; a bare word or path is a string.\n"
    .. "The archive is written after each epoch. Ctrl-C keeps the last complete epoch, --resume goes on from there,\n"
    .. "in as many threads, and ends with the same bits. A changed experiment or changed data are refused.\n"
    .. "The variants of a study STUDY.h5 lie in the folder STUDY beside it, one archive each.",
}

-- Where lines go: nowhere with --quiet and --json.
local function reporter(given)
  local silent = given.quiet or given.json
  return progress.new { bar = not silent, out = silent and function() end or nil }
end

local function data_lines(spec, set, sides)
  local function side(cases, patients) return counted(#cases, "case") .. " of " .. counted(#patients, "patient") end
  local lines = { string.format("data          training %s, validation %s", side(sides.train_cases, sides.train),
    side(sides.validation_cases, sides.validation)) }
  lines[2] = string.format("protocol      %s; split by %s", tostring(set.protocol), spec.split.by)
  if #sides.absent > 0 then
    lines[#lines + 1] = string.format("note          %s of those who are to validate %s not in the data, first: %s",
      counted(#sides.absent, "name"), #sides.absent == 1 and "is" or "are", sides.absent[1])
  end
  local left_out = filters.text(set.left_out or {})
  if left_out then lines[#lines + 1] = "left out      " .. left_out end
  local prepared = set.prepared
  if prepared and prepared.cache then
    lines[#lines + 1] = string.format("cache         %s: %d of %d units were there", prepared.cache,
      prepared.units - prepared.made, prepared.units)
  elseif prepared and prepared.why then
    lines[#lines + 1] = "cache         none, samples stay in memory: " .. prepared.why
  end
  local problems = common.problems(set.problems)
  if #problems > 0 then
    lines[#lines + 1] = string.format("problems      %d in the data, the first: %s: %s", #problems,
      problems[1].file, problems[1].message)
  end
  return lines
end

-- The mean of a column over the epochs where it is known.
local function mean_of(column)
  local sum, n = 0, 0
  for _, x in pairs(column or {}) do sum, n = sum + x, n + 1 end
  return n > 0 and sum / n or nil
end

-- The numbers a run ends with.
local function results(finished, out, files)
  local rows, best = finished.curves.epoch, finished.state.best_epoch
  local last = #rows.epoch
  return {
    name = finished.name, archive = out, epochs = last, figures = files,
    results = {
      validation = { dice_mean = rows.dice_validation[last], loss = rows.loss_validation[last] },
      train = { dice_mean = rows.dice_train[last], loss = rows.loss_train[last] },
      best = { dice_mean = rows.dice_validation[best], epoch = best },
    },
    interreader = finished.interreader, memory = finished.memory,
    feed = { workers = finished.provenance.data_workers, waiting = mean_of(rows.waiting),
      saving = mean_of(rows.saving) },
  }
end

local function result_lines(r, seconds)
  local lines, list = {}, r.results
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("validation    Dice %.3f after epoch %d; best %.3f in epoch %d", list.validation.dice_mean, r.epochs,
    list.best.dice_mean, list.best.epoch)
  add("training      Dice %.3f", list.train.dice_mean)
  if r.interreader.mean then
    add("readers       Dice %.3f mean, %.3f median: each against the majority of the others, same cases",
      r.interreader.mean, r.interreader.median)
  end
  add("memory        %s planned for a step, %s kept (samples, best weights), %s measured, %s resident",
    progress.bytes(r.memory.planned), progress.bytes(r.memory.kept), progress.bytes(r.memory.measured),
    progress.bytes(r.memory.resident))
  add("time          %s", progress.duration(seconds))
  if r.feed.waiting then
    local workers = counted(r.feed.workers or 0, "worker")
    if r.memory.workers and r.memory.workers > 0 then
      workers = string.format("%s with %s of samples", workers, progress.bytes(r.memory.workers))
    end
    add("feed          %s; the steps waited for data in %.2g %% of their time", workers, 100 * r.feed.waiting)
  end
  if r.feed.saving then add("saving        %.2g %% of the epochs' time went into the archive", 100 * r.feed.saving) end
  add("archive       %s", r.archive)
  for _, file in ipairs(r.figures) do add("figure        %s", file) end
  return lines
end

-- The run that --resume names, checked against the experiment, or nil; it goes on in its own number of threads.
local function archived_run(given, out, spec, record)
  if not given.resume then return nil end
  local found, err = resume.read(out)
  if err then error(problem.of(err), 0) end
  if not found then return nil end
  local fine
  fine, err = resume.check_experiment(out, found, spec, { record = record, extend = given.extend })
  if not fine then error(err, 0) end
  local threads = found.provenance and found.provenance.threads
  if threads and not given.threads then engine.threads(threads) end
  return found
end

-- Puts everything back; the lines say from where.
local function put_back(archived, ready, set, sides, out, bar)
  local fine, err = resume.check_data(out, archived, set, sides)
  if not fine then return nil, err end
  fine, err = pcall(resume.restore, archived, ready)
  if not fine then
    return nil, problem.new("format", string.format("%s: cannot be resumed: %s", out, tostring(problem.of(err))))
  end
  bar:say(string.format("resumed       after epoch %d, step %d", archived.state.epoch, archived.state.step))
  for _, line in ipairs(resume.remarks(archived)) do bar:say("note          " .. line) end
  return true
end

local function emit_epoch(row, epochs, variant)
  common.emit_line { event = "epoch", variant = variant, epoch = row.epoch, epochs = epochs,
    loss_train = row.loss_train, loss_validation = row.loss_validation, dice_train = row.dice_train,
    dice_validation = row.dice_validation, rate = row.rate, seconds = row.seconds, waiting = row.waiting,
    cases_per_second = row.cases_per_second, seconds_left = row.seconds_left, scales = row.scales, memory = row.memory,
    best = row.best, values = row.values }
end

-- Everything after the script was loaded. Returns the run, or nil and a problem.
local function carry_out(spec, record, out, given, o, archived)
  local bar = o.bar
  local ready = common.prepare(spec, given[1])
  common.make_place(out)
  for _, line in ipairs(plan.lines(spec, ready)) do bar:say(line) end
  local set, sides = train.data(spec, bar)
  if not set then return nil, sides end
  for _, line in ipairs(data_lines(spec, set, sides)) do bar:say(line) end
  if archived then
    local fine, err = put_back(archived, ready, set, sides, out, bar)
    if not fine then return nil, err end
  end
  return train.run(spec, {
    out = out, bar = bar, record = record, ready = ready, set = set, sides = sides, archived = archived,
    workers = given.workers, feed_bytes = given["feed-mib"] << 20,
    epoch = function(row, epochs)
      if given.json then emit_epoch(row, epochs, o.variant) end
      if o.epoch then o.epoch(row, epochs) end
    end,
  })
end

-- Nothing is left to train.
local function is_done(archived, spec)
  local state = archived and archived.state
  if not state or not state.finished then return false end
  local patience = spec.train.patience
  if state.stopped or state.epoch >= spec.train.epochs then return true end
  return patience ~= nil and state.epoch - state.best_epoch >= patience
end

-- Carries a measurement out: its table to the screen, an archive that holds its rows, its figure.
local function measure(spec, record, out, given, bar)
  common.make_place(out)
  local rows, err = spec:run { each = function(row, done, total)
    bar:update("measuring", done, total)
    if given.json then
      row.event = "row"
      common.emit_line(row)
      row.event = nil
    end
  end }
  bar:clear()
  if not rows then error(problem.of(err), 0) end
  local kept = { name = spec.name, experiment = experiment.text(spec), measured = rows,
    modules = provenance.modules(record), provenance = provenance.here(), data = { details = spec:fixed() } }
  local fine
  fine, err = archive.run_write(kept, out)
  if not fine then error(problem.of(err), 0) end
  if not given.json then print(spec:table(rows)) end
  local files, problems = common.draw(kept, { "memory" }, (out:gsub("%.h5$", "")))
  if given.json then common.emit_line { event = "end", name = spec.name, archive = out, figures = files } end
  if #problems > 0 then
    error(problem.new("figure", "the measurement is archived, but: " .. table.concat(problems, "\n")), 0)
  end
  if given.json or given.quiet then return end
  print("archive       " .. out)
  for _, file in ipairs(files) do print("figure        " .. file) end
end

local function check_options(given)
  for _, pair in ipairs { { "resume", "out" }, { "extend", "resume" } } do
    if given[pair[1]] and not given[pair[2]] then
      error(problem.new("usage", string.format("--%s needs --%s", pair[1], pair[2])), 0)
    end
  end
end

-- What a run ends with, and its figures.
local function report(finished, spec, out, given, start, o)
  local files, problems = common.draw(finished, spec.figures, (out:gsub("%.h5$", "")), { lenient = true })
  local summary = results(finished, out, files)
  if given.json then
    summary.event, summary.variant = "end", o.variant
    common.emit_line(summary)
  elseif not (o.variant and given.quiet) then
    print(table.concat(result_lines(summary, engine.clock() - start), "\n"))
  end
  if #problems > 0 then
    error(problem.new("figure", "the run is archived, but: " .. table.concat(problems, "\n")), 0)
  end
end

-- Trains an experiment into the archive `out`, or goes on with it there; raises what keeps it from its end. o: { bar,
-- for a variant of a study also variant = its name, epoch = function(row, epochs) }.
local function one(spec, record, out, given, o)
  local start = engine.clock()
  local archived = archived_run(given, out, spec, record)
  if is_done(archived, spec) then
    o.bar:say(out .. ": is finished, nothing is left to train")
    return report(archived, spec, out, given, start, o)
  end
  local finished, err = carry_out(spec, record, out, given, o, archived)
  o.bar:clear()
  if not finished then error(problem.of(err), 0) end
  return report(finished, spec, out, given, start, o)
end

function run.run(given, command)
  local threads = options.number(command, given, "threads", nil, 1)
  given.workers = options.number(command, given, "workers", feed.default_workers(), 0)
  given["feed-mib"] = options.number(command, given, "feed-mib", feed.BYTES >> 20, 1)
  check_options(given)
  local spec, record = common.load(given)
  if value.family(spec) == "study" then
    return variants.run(spec, record, given, { one = one, take = common.take, bar = reporter, threads = threads })
  end
  if given.out and not given.resume then common.refuse_existing(given.out) end
  local out = given.out or common.free_place(spec.name)
  local lock <close> = common.take(out) -- luacheck: ignore (held until the end)
  if threads then engine.threads(threads) end
  local bar = reporter(given)
  if value.family(spec) == "measurement" then return measure(spec, record, out, given, bar) end
  return one(spec, record, out, given, { bar = bar })
end

return run
