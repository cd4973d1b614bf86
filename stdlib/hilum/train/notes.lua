-- What a run writes down while it trains: the table that the archive is made of, row by row. s: the state of a
-- training, see train.lua.

local augment = require "hilum.augment"
local evaluate = require "hilum.evaluate"
local experiment = require "hilum.experiment"
local provenance = require "hilum.provenance"

local notes = {}

-- ---- a run at its beginning ----

-- The columns of the curves that every training writes; those of the scales and of hooks come when there are some.
local columns = {
  epoch = { "epoch", "loss_train", "loss_validation", "dice_train", "dice_validation", "rate", "seconds", "waiting",
    "saving" },
  step = { "step", "epoch", "loss", "rate", "gradient_norm" },
}

--- Whether a column of the curves "epoch" or "step" is the training's own.
function notes.is_own(what, name)
  for _, one in ipairs(columns[what]) do
    if one == name then return true end
  end
  return name:find "^%a+_scale_%d+$" ~= nil
end

local function empty_curves()
  local curves = {}
  for what, names in pairs(columns) do
    curves[what] = {}
    for _, name in ipairs(names) do curves[what][name] = {} end
  end
  return curves
end

local function case_rows(set, sides)
  local trains = {}
  for _, i in ipairs(sides.train_cases) do trains[i] = true end
  return evaluate.rows(set, function(i) return trains[i] and "train" or "validation" end)
end

-- The protocol as a sentence for people and, where the source gives them, as its parts.
local function data_of(set)
  local parts = type(set.protocol) == "table" and set.protocol or nil
  return { hash = set.hash, protocol = tostring(set.protocol), details = parts }
end

--- The table of a new run, in which everything is written down. o: as for train.run.
function notes.new(spec, o)
  local set, sides = o.set, o.sides
  return {
    name = spec.name, seed = spec.seed, experiment = experiment.text(spec), modules = provenance.modules(o.record),
    split = { train = sides.train, validation = sides.validation }, cases = case_rows(set, sides),
    curves = empty_curves(),
    drawn = { epoch = {}, case = {}, what = {} },
    weights = {}, optimiser = {}, state = { epoch = 0, step = 0, best_epoch = 0, finished = false, resumed = 0,
      kept = {} },
    provenance = provenance.here(), data = data_of(set),
    parameters = o.ready.plan.parameters, memory = { planned = o.ready.plan.bytes.peak },
    log = {}, panel = {}, interreader = {},
  }
end

--- The archived run as it goes on: what it will be, and the lines it has printed before these.
function notes.go_on(run, spec, o)
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

-- ---- rows ----

--- What was drawn for the cases of a batch.
function notes.draws(s, epoch, cases, drawn)
  local rows = s.run.drawn
  for i, case in ipairs(cases) do
    if drawn[i] and #drawn[i] > 0 then
      local n = #rows.epoch + 1
      rows.epoch[n], rows.case[n], rows.what[n] = epoch, s.set.cases[case].id, augment.text(s.spec.augment, drawn[i])
    end
  end
end

--- A step's row, which is returned. result: what trainer:run returned; norm: of the gradients.
function notes.step(s, epoch, result, rate, norm)
  local rows, state = s.run.curves.step, s.run.state
  state.step = state.step + 1
  local row = { step = state.step, epoch = epoch, loss = result.loss, rate = rate, gradient_norm = norm }
  for _, one in ipairs(result.scales) do
    row[string.format("loss_scale_%d", one.scale)] = one.loss
    row[string.format("weight_scale_%d", one.scale)] = one.weight
  end
  local n = #rows.step + 1
  for name, x in pairs(row) do
    rows[name] = rows[name] or {}
    rows[name][n] = x
  end
  return row
end

-- A row of one of the archive's curves, { [place] = number }, for the step that was just made.
local function places(s, curve, numbers)
  local rows = s.run.curves[curve] or { step = {} }
  s.run.curves[curve] = rows
  local n = #rows.step + 1
  rows.step[n] = s.run.state.step
  for place, x in pairs(numbers) do
    rows[place] = rows[place] or {}
    rows[place][n] = x
  end
end

--- One measurement of the guard.
function notes.guard(s, errors)
  local numbers = {}
  for _, one in ipairs(errors) do numbers[one.place] = one.error end
  places(s, "guard", numbers)
end

--- Numbers of a 16-bit state that a step has cut off, { [place] = count }: none, no row.
function notes.clipped(s, clipped)
  if next(clipped) then places(s, "clipped", clipped) end
end

-- A copy of the weights; the one before is let go at once.
local function keep_best(s)
  local best = s.run.weights.best or {}
  for name, tensor in pairs(s.net:weights()) do
    if best[name] then best[name]:copy_(tensor) else best[name] = tensor:clone() end
  end
  s.run.weights.best = best
end

--- An epoch's row; the weights are kept if they are the best so far.
function notes.epoch(s, row)
  local rows = s.run.curves.epoch
  local n = #rows.epoch + 1
  for _, name in ipairs(columns.epoch) do
    if rows[name] then rows[name][n] = row[name] end -- an older archive may lack one
  end
  local state = s.run.state
  state.epoch = row.epoch
  if not s.best or row.dice_validation > s.best then
    s.best, state.best_epoch, state.best_dice = row.dice_validation, row.epoch, row.dice_validation
    keep_best(s)
  end
end

--- The last epoch's row.
function notes.last_epoch(s)
  local row, rows = {}, s.run.curves.epoch
  for name, column in pairs(rows) do row[name] = column[#rows.epoch] end
  return row
end

return notes
