-- The training loop: from an experiment to an archived run.
--
-- What is written down for each epoch:
--   loss_train       mean over the epoch's steps, with augmentation, while the weights move
--   loss_validation  mean over the validation cases, one by one, no augmentation, weights of the epoch's end
--   dice_train, dice_validation  mean Dice of whole cases at the threshold over valid voxels, likewise;
--                    training cases: a fixed seeded choice, see train/setup.lua. Of the probabilities as they are: the
--                    experiment's flips and post-processing (predict) wait for the evaluation after the last epoch
--   waiting          share of the steps' time in which they waited for data
--   saving           share of the epoch's time that went into writing the archive; the next one holds it
-- The archive is written after every epoch as a whole, so whatever happens the last complete epoch stays.
--
-- The parts are in train/: setup, epoch, watch (the guard), notes (what is written down), ending. One table goes
-- through all of them, the state of a training `s`: spec, out, bar, set, sides, net, step (the trainer), guard, feed,
-- evaluator, run (what the archive will hold), watched, threshold, total_steps, best, saved; see train.run.

local archive = require "hilum.archive"
local augment = require "hilum.augment"
local ending = require "hilum.train.ending"
local engine = require "hilum.engine"
local epoch = require "hilum.train.epoch"
local evaluate = require "hilum.evaluate"
local feed = require "hilum.feed"
local hooks = require "hilum.train.hooks"
local notes = require "hilum.train.notes"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local setup = require "hilum.train.setup"
local telling = require "hilum.train.telling"
local value = require "hilum.value"

local train = {}

train.prepare, train.data, train.too_large = setup.prepare, setup.data, setup.too_large

-- Writes the whole run; on failure the file of the epoch before stays.
local function write(s)
  local run, ledger = s.run, engine.ledger()
  run.weights.last, run.optimiser = s.net:weights(), s.step:state().tensors
  local _, resident = engine.resident()
  run.memory.measured, run.memory.resident = ledger.peak.all, resident
  run.memory.kept = ledger.live.data - s.planned_data
  run.memory.workers = s.feed:bytes_kept_by_workers()
  run.log = s.bar.lines
  return archive.run_write(run, s.out)
end

-- The same after an epoch: what it took is known once it is done.
local function save(s, row)
  local start = engine.clock()
  local fine, err = write(s)
  local seconds, saving = engine.clock() - start, s.run.curves.epoch.saving
  if fine and saving then saving[#s.run.curves.epoch.epoch] = seconds / (row.seconds + seconds) end
  return fine, err
end

-- What hooks have found: "  gap 0.12".
local function values_text(values)
  local parts = {}
  for name, x in pairs(values or {}) do parts[#parts + 1] = string.format("  %s %.4g", name, x) end
  table.sort(parts)
  return table.concat(parts)
end

local function epoch_line(s, row, values)
  return string.format("epoch %d/%d  loss %.4f train %.4f val  Dice %.3f train %.3f val  %.1f s (%.2g %% waiting)  %s",
    row.epoch, s.spec.train.epochs, row.loss_train, row.loss_validation, row.dice_train, row.dice_validation,
    row.seconds, 100 * row.waiting, progress.bytes(engine.ledger().peak.all)) .. telling.rest(row)
    .. values_text(values)
end

-- An interruption or a failure says what is kept: what the file holds, which may be gone, or further than was thought.
local function kept(s, err)
  local n = archive.epochs(s.out)
  local where = n and string.format("%s holds the run up to epoch %d; --resume goes on from there", s.out, n)
    or s.saved == 0 and "nothing was written: no epoch was complete"
    or string.format("%s, which held the run up to epoch %d, is not there any more", s.out, s.saved)
  return problem.new(err.code, tostring(err) .. "\n" .. where)
end

-- True if a hook has asked to stop, or if the validation Dice has not grown for as many epochs as the experiment has
-- patience for.
local function is_over(s)
  local patience, state = s.spec.train.patience, s.run.state
  if state.stopped then
    s.bar:say(string.format("stopped after epoch %d by the hook %s", state.epoch, state.stopped))
    return true
  end
  if not patience or state.epoch == 0 or state.epoch - state.best_epoch < patience then return false end
  s.bar:say(string.format("stopped after epoch %d: the validation Dice has not grown since epoch %d", state.epoch,
    state.best_epoch))
  return true
end

local function loop(s, o)
  s.feed:follow_training { first = s.run.state.epoch + 1, last = s.spec.train.epochs, train = s.sides.train_cases,
    after = { s.watched, s.sides.validation_cases }, n = #s.set.cases }
  for n = s.run.state.epoch + 1, s.spec.train.epochs do
    if is_over(s) then break end
    local row, err = epoch.run(s, n)
    if not row then return nil, kept(s, err) end
    notes.epoch(s, row)
    s.step:swap_averages()
    telling.complete(s, row)
    local found, failed = hooks.epoch_end(s, row, "epoch_end")
    s.bar:say(epoch_line(s, row, found))
    local fine
    fine, err = save(s, row)
    if not fine then return nil, kept(s, err) end
    s.saved = n
    if failed then return nil, kept(s, failed) end -- the epoch is complete all the same
    row.values = found
    if o.epoch then o.epoch(row, s.spec.train.epochs) end
  end
  local fine, err = ending.run(s)
  if fine then fine, err = write(s) end
  s.bar:clear()
  if not fine then return nil, kept(s, err) end
  return s.run
end

--- Trains and archives. o: { out = path of the archive, bar = progress, record = the script's sources,
--- ready (from train.prepare), set, sides (from train.data); optional: epoch = function(row, epochs), archived = the
--- run to go on with, put back by resume.restore, workers = processes that prepare samples ahead (default: 0),
--- feed_bytes = their budget }. Returns the run, or nil and a problem (code "cancelled" if the user stopped it).
function train.run(spec, o)
  local size, batch = value.plain(spec.data.crop), spec.train.batch
  local s = {
    spec = spec, out = o.out, bar = o.bar, set = o.set, sides = o.sides,
    net = o.ready.net, step = o.ready.step, guard = o.ready.guard,
    feed = feed.new(o.set, { batch = batch, gathered = spec.train.accumulate, size = size, seed = spec.seed,
      augment = augment.on(spec.augment, spec.data), workers = o.workers, bytes = o.feed_bytes,
      say = function(line) o.bar:say(line) end }),
    evaluator = o.ready.net:evaluator { loss = spec.loss, batch = 1, size = size },
    run = o.archived and notes.go_on(o.archived, spec, o) or notes.new(spec, o),
    watched = setup.watched(o.sides, spec.seed), threshold = spec.predict.threshold,
    planned_data = o.ready.plan.bytes.data,
    total_steps = spec.train.epochs * setup.steps(#o.sides.train_cases, spec.train),
  }
  s.run.provenance.data_workers, s.run.provenance.feed_bytes = s.feed.workers, s.feed.bytes
  s.saved, s.best = s.run.state.epoch, s.run.state.best_dice
  engine.reset_peak()
  local agreement, err = evaluate.interreader(o.sides.validation_cases, s.feed)
  if not agreement then
    s.feed:free()
    return nil, err
  end
  for i, dice in pairs(agreement.by_case) do s.run.cases[i].interreader = dice end
  s.run.interreader = { mean = agreement.mean, median = agreement.median }
  local fine, run, stop = xpcall(loop, problem.caught, s, o)
  s.feed:free()
  if fine then return run, stop end
  return nil, kept(s, run) -- no memory, for example
end

return train
