-- What a training says while it goes on: on the bar between the steps, and after each epoch for people and machines.

local engine = require "hilum.engine"
local progress = require "hilum.progress"

local telling = {}

local BLOCKS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }
local LAST = 12 -- epochs that the bar's curve shows

--- The last few numbers of a list, from 0 to 1, as one character each.
function telling.sparkline(values)
  local marks = {}
  for i = math.max(1, #values - LAST + 1), #values do
    local x = math.min(1, math.max(0, values[i]))
    marks[#marks + 1] = BLOCKS[math.min(#BLOCKS, 1 + math.floor(x * #BLOCKS))]
  end
  return table.concat(marks)
end

-- "0.4123 (0.3900 0.4400)": the loss, and that of each scale where there are several.
local function loss_text(result)
  local scales = {}
  for i, one in ipairs(result.scales) do scales[i] = string.format("%.4f", one.loss) end
  local all = string.format("%.4f", result.loss)
  return #scales > 1 and all .. " (" .. table.concat(scales, " ") .. ")" or all
end

--- Beside the bar: the epoch and what is left of it, the loss, the best Dice so far with the curve of the last epochs,
--- and memory. share: of the epoch's steps that are done, in so many seconds.
function telling.note(s, n, share, seconds, result)
  local parts = { string.format("epoch %d/%d, %s left", n, s.spec.train.epochs,
    progress.duration(seconds / share - seconds)), "loss " .. loss_text(result) }
  local state = s.run.state
  if state.best_dice then
    parts[#parts + 1] = string.format("best %.3f %s", state.best_dice,
      telling.sparkline(s.run.curves.epoch.dice_validation))
  end
  parts[#parts + 1] = progress.bytes(engine.resident())
  return table.concat(parts, "  ")
end

--- Adds up what the steps of an epoch say of each scale: { scale, loss = sum, weight = of the last step }.
function telling.add(scales, result)
  for i, one in ipairs(result.scales) do
    scales[i] = scales[i] or { scale = one.scale, loss = 0 }
    scales[i].loss, scales[i].weight = scales[i].loss + one.loss, one.weight
  end
end

--- Completes an epoch's row for those who listen: cases_per_second (of the steps), seconds_left (as long for each epoch
--- that is to come as for those since the start), scales = { { scale, loss, weight } … }, memory = { ledger, resident }
--- in bytes, best = { epoch, dice }.
function telling.complete(s, row)
  s.told = s.told or { epochs = 0, seconds = 0 }
  s.told.epochs, s.told.seconds = s.told.epochs + 1, s.told.seconds + row.seconds
  row.seconds_left = s.told.seconds / s.told.epochs * (s.spec.train.epochs - row.epoch)
  row.memory = { ledger = engine.ledger().peak.all, resident = (engine.resident()) }
  row.best = { epoch = s.run.state.best_epoch, dice = s.run.state.best_dice }
  return row
end

--- The same as the end of a line: "  9.2 cases/s  2:10 left".
function telling.rest(row)
  local left = row.seconds_left > 0 and "  " .. progress.duration(row.seconds_left) .. " left" or ""
  return string.format("  %.3g cases/s%s", row.cases_per_second, left)
end

return telling
