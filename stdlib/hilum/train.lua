-- The training loop: from an experiment to an archived run.
--
-- What is written down for each epoch:
--   loss_train       mean over the epoch's steps, with augmentation, while the weights move
--   loss_validation  mean over the validation cases, one by one, no augmentation, weights of the epoch's end
--   dice_train, dice_validation  mean Dice of whole cases at the threshold over valid voxels, likewise;
--                    training cases: a fixed seeded choice, see WATCHED. Of the probabilities as they are: the
--                    experiment's flips and post-processing (predict) wait for the evaluation after the last epoch
-- The archive is written after every epoch as a whole, so whatever happens the last complete epoch stays.

local archive = require "hilum.archive"
local engine = require "hilum.engine"
local evaluate = require "hilum.evaluate"
local experiment = require "hilum.experiment"
local feed = require "hilum.feed"
local guard = require "hilum.guard"
local model = require "hilum.model"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local provenance = require "hilum.provenance"
local schedule = require "hilum.schedule"
local split = require "hilum.split"
local value = require "hilum.value"

local train = {}

-- The training Dice is taken from as many training cases as validate, but from at least this many.
local WATCHED = 32

local function cancelled()
  if not engine.cancelled() then return nil end
  return problem.new("cancelled", "interrupted")
end

-- ---- before the first step ----

--- The experiment's network, ready to be trained: { net, step, plan = what step:plan() says }. Raises where it does
--- not fit into the memory budget.
function train.prepare(spec)
  local net = model.new(spec.model, { seed = spec.seed })
  local limit = spec.train.memory_gib
  local step, err = net:trainer { loss = spec.loss, optim = spec.optim, batch = spec.train.batch,
    size = value.plain(spec.data.crop), budget = limit and math.floor(limit * 2 ^ 30),
    average = spec.train.average }
  if not step then error(err, 0) end
  local ready = { net = net, step = step, plan = step:plan() }
  local watched = spec.train.guard and guard.new(net, { batch = 1, size = value.plain(spec.data.crop),
    slabs = step.slabs })
  if not watched then return ready end
  ready.guard = watched
  local bytes = ready.plan.bytes
  local peak = watched:peak() + bytes.parameters + bytes.optimiser
  if peak > bytes.peak then bytes.peak, ready.plan.where = peak, "the guard's measurement" end
  return ready
end

--- Opens the data and divides it. Returns set and division, or nil and a problem.
function train.data(spec, bar)
  local set, err = spec.data:open {
    progress = function(done, total, what) bar:update(what or "reading", done, total or 0) end,
  }
  bar:clear()
  if not set then return nil, err end
  local sides
  sides, err = split.cases(set.cases, spec.split, spec.seed)
  if not sides then return nil, err end
  return set, sides
end

-- A seeded choice of training cases.
local function watched(sides, seed)
  local cases = table.move(sides.train_cases, 1, #sides.train_cases, 1, {})
  split.shuffle(cases, seed, "watch", 0)
  local n = math.min(#cases, math.max(WATCHED, #sides.validation_cases))
  local chosen = table.move(cases, 1, n, 1, {})
  table.sort(chosen)
  return chosen
end

local function case_rows(set, sides)
  local rows, role = {}, {}
  for _, i in ipairs(sides.train_cases) do role[i] = "train" end
  for i, case in ipairs(set.cases) do
    rows[i] = { id = case.id, patient = case.patient, role = role[i] or "validation",
      diameter_mm = case.diameter_mm, readers = case.readers }
  end
  return rows
end

-- The protocol as a sentence for people and, where the source gives them, as its parts.
local function data_of(set)
  local parts = type(set.protocol) == "table" and set.protocol or nil
  return { hash = set.hash, protocol = tostring(set.protocol), details = parts }
end

local function new_run(spec, o)
  local set, sides = o.set, o.sides
  return {
    name = spec.name, seed = spec.seed, experiment = experiment.text(spec), modules = provenance.modules(o.record),
    split = { train = sides.train, validation = sides.validation }, cases = case_rows(set, sides),
    curves = {
      epoch = { epoch = {}, loss_train = {}, loss_validation = {}, dice_train = {}, dice_validation = {},
        rate = {}, seconds = {} },
      step = { step = {}, epoch = {}, loss = {}, rate = {} },
    },
    drawn = { epoch = {}, case = {}, what = {} },
    weights = {}, optimiser = {}, state = { epoch = 0, step = 0, best_epoch = 0, finished = false, resumed = 0,
      kept = {} },
    provenance = provenance.here(), data = data_of(set),
    parameters = o.ready.plan.parameters, memory = { planned = o.ready.plan.bytes.peak },
    log = {}, panel = {}, interreader = {},
  }
end

-- ---- one epoch ----

-- What was drawn for one case, as one word: "flip=zy".
local function drawn_text(list)
  local parts = {}
  for _, one in ipairs(list) do
    for name, what in pairs(one) do parts[#parts + 1] = name .. "=" .. tostring(what) end
  end
  return table.concat(parts, " ")
end

local function note_draws(s, epoch, cases, drawn)
  local rows = s.run.drawn
  for i, case in ipairs(cases) do
    if drawn[i] and #drawn[i] > 0 then
      local n = #rows.epoch + 1
      rows.epoch[n], rows.case[n], rows.what[n] = epoch, s.set.cases[case].id, drawn_text(drawn[i])
    end
  end
end

local function finite(x)
  return x == x and x ~= math.huge and x ~= -math.huge
end

-- Training cannot go on: what is wrong, and where it came from.
local function lost(s, epoch, step, cases, what, detail)
  local ids = {}
  for i, case in ipairs(cases) do ids[i] = s.set.cases[case].id end
  return problem.new("nan", string.format("%s in epoch %d, step %d (cases %s%s)", what, epoch, step,
    table.concat(ids, ", "), detail or ""))
end

-- Where a loss that is no number came from.
local function not_finite(s, epoch, step, cases, result)
  local scales = {}
  for _, one in ipairs(result.scales) do
    scales[#scales + 1] = string.format("scale %d: %g", one.scale, one.loss)
  end
  return lost(s, epoch, step, cases, string.format("the loss is %g", result.loss),
    "; " .. table.concat(scales, ", "))
end

local function note_step(s, epoch, result, rate)
  local rows, state = s.run.curves.step, s.run.state
  state.step = state.step + 1
  local n = #rows.step + 1
  rows.step[n], rows.epoch[n], rows.loss[n], rows.rate[n] = state.step, epoch, result.loss, rate
  for _, one in ipairs(result.scales) do
    for what, x in pairs { loss = one.loss, weight = one.weight } do
      local name = string.format("%s_scale_%d", what, one.scale)
      rows[name] = rows[name] or {}
      rows[name][n] = x
    end
  end
end

-- One measurement as a row of the archive's curves.
local function note_guard(s, errors)
  local rows = s.run.curves.guard or { step = {} }
  s.run.curves.guard = rows
  local n = #rows.step + 1
  rows.step[n] = s.run.state.step
  for _, one in ipairs(errors) do
    rows[one.place] = rows[one.place] or {}
    rows[one.place][n] = one.error
  end
end

-- Measures the rebuilt states where it is time to. Returns true, or nil and a problem.
local function watch_states(s, batch)
  local o = s.spec.train.guard
  if not s.guard or s.run.state.step % o.every ~= 0 then return true end
  local image = batch.image:slice(1, 1, 1):dense "image"
  local errors, err = s.guard:measure(image)
  if not errors then return nil, err end
  note_guard(s, errors)
  s.bar:say(string.format("step %d: states come back within %.1e", s.run.state.step, guard.worst(errors)))
  local bad = guard.first_above(errors, o.threshold)
  while bad do
    local text = string.format("step %d: the state at %s comes back with an error of %.1e, more than %.1e",
      s.run.state.step, bad.place, bad.error, o.threshold)
    if o.action == "stop" then return nil, problem.new("guard", text) end
    s.bar:say(text .. (o.action == "store" and ": its activations are stored from now on" or ""))
    if o.action == "warn" then return true end
    s.step:keep(s.guard:keep(bad.place))
    table.insert(s.run.state.kept, bad.place)
    errors, err = s.guard:measure(image)
    if not errors then return nil, err end
    bad = guard.first_above(errors, o.threshold)
  end
  return true
end

-- Trains once through the cases. Returns the mean loss and the last rate, or nil and a problem.
local function learn(s, epoch)
  local batches = s.feed:order(s.sides.train_cases, epoch)
  local sum, rate = 0, nil
  for step, cases in ipairs(batches) do
    local stop = cancelled()
    if stop then return nil, stop end
    local batch, drawn = s.feed:fill(cases, epoch)
    if not batch then return nil, drawn end
    note_draws(s, epoch, cases, drawn)
    local result, err = s.step:run(batch)
    if not result then return nil, err end
    if not finite(result.loss) then return nil, not_finite(s, epoch, step, cases, result) end
    rate = schedule.rate(s.spec.optim.rate, s.run.state.step + 1, s.total_steps,
      { per_epoch = #batches, history = s.run.curves.epoch })
    local fine, why = s.step:update(rate)
    if not fine then return nil, lost(s, epoch, step, cases, tostring(why)) end
    result.probability:free()
    note_step(s, epoch, result, rate)
    fine, why = watch_states(s, batch)
    if not fine then return nil, why end
    sum = sum + result.loss
    s.bar:update("training", s.run.state.step, s.total_steps,
      string.format("epoch %d/%d  loss %.4f", epoch, s.spec.train.epochs, result.loss))
  end
  return sum / #batches, rate
end

-- Of the images in mm, { z, y, x }; nil where none is known or each scan has its own.
local function spacing_of(data)
  local spacing = data.extent ~= "scan" and data.spacing_mm
  return spacing and { spacing[1], spacing[2], spacing[3] } or nil
end

-- Dice and loss of cases as they are; the training's bar stands still and says what is done meanwhile.
local function measure(s, what, cases, visit, o)
  return evaluate.cases(cases, {
    feed = s.feed, evaluator = s.evaluator, threshold = s.threshold, visit = visit, metrics = o and o.metrics,
    calibrated = o and o.calibrated, predict = o and o.predict,
    spacing_mm = spacing_of(s.spec.data),
    step = function(i, n)
      s.bar:update("training", s.run.state.step, s.total_steps, string.format("%s %d/%d", what, i, n))
    end,
  })
end

-- A copy of the weights; the one before is let go at once.
local function keep_best(s)
  local best = s.run.weights.best or {}
  for name, tensor in pairs(s.net:weights()) do
    if best[name] then best[name]:copy_(tensor) else best[name] = tensor:clone() end
  end
  s.run.weights.best = best
end

local function note_epoch(s, row)
  for name, rows in pairs(s.run.curves.epoch) do rows[#rows + 1] = row[name] end
  local state = s.run.state
  state.epoch = row.epoch
  if not s.best or row.dice_validation > s.best then
    s.best, state.best_epoch, state.best_dice = row.dice_validation, row.epoch, row.dice_validation
    keep_best(s)
  end
  s.step:swap_averages()
end

-- Writes the whole run; on failure the file of the epoch before stays.
local function save(s)
  local run, ledger = s.run, engine.ledger()
  run.weights.last, run.optimiser = s.net:weights(), s.step:state().tensors
  local _, resident = engine.resident()
  run.memory.measured, run.memory.resident = ledger.peak.all, resident
  run.memory.kept = ledger.live.data - s.planned_data
  run.log = s.bar.lines
  return archive.run_write(run, s.out)
end

-- One epoch with everything that is written down about it; a row, or nil and a problem.
local function one_epoch(s, epoch)
  local start = engine.clock()
  local loss, rate = learn(s, epoch)
  if not loss then return nil, rate end
  s.step:swap_averages() -- back in note_epoch, once the best are kept
  local known, err = measure(s, "training Dice", s.watched)
  if not known then return nil, err end
  local unknown
  unknown, err = measure(s, "validation Dice", s.sides.validation_cases)
  if not unknown then return nil, err end
  return { epoch = epoch, loss_train = loss, loss_validation = unknown.loss, dice_train = known.mean,
    dice_validation = unknown.mean, rate = rate, seconds = engine.clock() - start }
end

local function epoch_line(s, row)
  return string.format("epoch %d/%d  loss %.4f train %.4f val  Dice %.3f train %.3f val  %.1f s  %s",
    row.epoch, s.spec.train.epochs, row.loss_train, row.loss_validation, row.dice_train, row.dice_validation,
    row.seconds, progress.bytes(engine.ledger().peak.all))
end

-- ---- after the last epoch ----

-- What every metric says of every case with the last weights, and the panel.
local function finish(s)
  local run, all, unknown = s.run, {}, {}
  s.step:swap_averages() -- and back at the end
  for i = 1, #s.set.cases do all[i] = i end
  for _, i in ipairs(s.sides.validation_cases) do unknown[i] = true end
  local result, err = measure(s, "final evaluation", all, nil, { metrics = s.spec.evaluate, calibrated = unknown,
    predict = s.spec.predict })
  if not result then return nil, err end
  for i, row in ipairs(run.cases) do
    for name, x in pairs(result.measured[i]) do row[name] = x end
    row.dice = result.dice[i]
  end
  run.metrics = evaluate.summary(run.cases, s.spec.evaluate, spacing_of(s.spec.data) ~= nil)
  run.state.empty_truths, run.calibration = result.empty, result.calibration
  local chosen = evaluate.panel_cases(s.sides.validation_cases, result.dice)
  local fine
  fine, err = measure(s, "panel", chosen, function(case, batch, prediction, dice)
    local column = evaluate.column(s.set.cases[case], batch, prediction, dice)
    local spacing = spacing_of(s.spec.data)
    column.spacing_mm = spacing and { spacing[2], spacing[3] } or nil -- of the scale bar
    run.panel[#run.panel + 1] = column
  end, { predict = s.spec.predict })
  s.step:swap_averages()
  if not fine then return nil, err end
  run.state.finished = true
  return true
end

-- An interruption or a failure says what is kept.
local function kept(s, err)
  local epoch = s.saved
  local where = epoch == 0 and "nothing was written: no epoch was complete"
    or string.format("%s holds the run up to epoch %d; --resume goes on from there", s.out, epoch)
  return problem.new(err.code, tostring(err) .. "\n" .. where)
end

-- True if the validation Dice has not grown for as many epochs as the experiment has patience for.
local function has_stalled(s)
  local patience, state = s.spec.train.patience, s.run.state
  if not patience or state.epoch == 0 or state.epoch - state.best_epoch < patience then return false end
  s.bar:say(string.format("stopped after epoch %d: the validation Dice has not grown since epoch %d", state.epoch,
    state.best_epoch))
  return true
end

local function loop(s, o)
  for epoch = s.run.state.epoch + 1, s.spec.train.epochs do
    if has_stalled(s) then break end
    local row, err = one_epoch(s, epoch)
    if not row then return nil, kept(s, err) end
    note_epoch(s, row)
    s.bar:say(epoch_line(s, row))
    local fine
    fine, err = save(s)
    if not fine then return nil, kept(s, err) end
    s.saved = epoch
    if o.epoch then o.epoch(row, s.spec.train.epochs) end
  end
  local fine, err = finish(s)
  if fine then fine, err = save(s) end
  s.bar:clear()
  if not fine then return nil, kept(s, err) end
  return s.run
end

-- The archived run as it goes on: what it will be, and the lines it has printed before these.
local function go_on(run, spec, o)
  run.experiment, run.modules = experiment.text(spec), provenance.modules(o.record)
  run.state.resumed, run.state.finished = (run.state.resumed or 0) + 1, false
  run.panel = {}
  local said = o.bar.lines
  o.bar.lines = table.move(run.log, 1, #run.log, 1, {})
  o.bar.lines[#o.bar.lines + 1] = string.format("resumed after epoch %d, %s", run.state.epoch,
    os.date("!%Y-%m-%dT%H:%M:%SZ"))
  table.move(said, 1, #said, #o.bar.lines + 1, o.bar.lines)
  return run
end

--- Trains and archives. o: { out = path of the archive, bar = progress, record = the script's sources,
--- ready (from train.prepare), set, sides (from train.data); optional: epoch = function(row, epochs), archived = the
--- run to go on with, put back by resume.restore }. Returns the run, or nil and a problem (code "cancelled" if the user
--- stopped it).
function train.run(spec, o)
  local size, batch = value.plain(spec.data.crop), spec.train.batch
  local s = {
    spec = spec, out = o.out, bar = o.bar, set = o.set, sides = o.sides,
    net = o.ready.net, step = o.ready.step, guard = o.ready.guard,
    feed = feed.new(o.set, { batch = batch, size = size, seed = spec.seed, augment = spec.augment }),
    evaluator = o.ready.net:evaluator { loss = spec.loss, batch = 1, size = size },
    run = o.archived and go_on(o.archived, spec, o) or new_run(spec, o), watched = watched(o.sides, spec.seed),
    threshold = spec.predict.threshold,
    planned_data = o.ready.plan.bytes.data,
    total_steps = spec.train.epochs * ((#o.sides.train_cases + batch - 1) // batch),
  }
  s.saved, s.best = s.run.state.epoch, s.run.state.best_dice
  engine.reset_peak()
  local agreement, err = evaluate.interreader(o.sides.validation_cases, s.feed)
  if err then return nil, err end
  s.run.interreader = agreement and { mean = agreement.mean, median = agreement.median } or {}
  local fine, run, stop = xpcall(loop, problem.caught, s, o)
  if fine then return run, stop end
  return nil, kept(s, run) -- no memory, for example
end

return train
