-- What a prediction is worth.
--
-- The rule for empty masks, everywhere in hilum: where truth and prediction are both empty the Dice is 1
-- (the prediction is right), where only one is, 0. Voxels that are not valid count nowhere.

local engine = require "hilum.engine"
local schema = require "hilum.schema"

local metric = {}

metric.dice = schema.constructor("hl.metric.dice", {
  doc = "Dice coefficient of the thresholded prediction, over valid voxels.", family = "metric",
  fields = {
    threshold = schema.number { default = 0.5, above = 0, below = 1,
      doc = "a voxel is predicted above it" },
  },
})

--- Dice of two masks or probabilities (a voxel is in above `threshold`, default 0.5). Returns the Dice and
--- whether `b`, the truth, is empty.
function metric.dice_of(a, b, valid, threshold)
  local _, both, in_a, in_b = engine.dice(a, b, valid, threshold or 0.5)
  if in_a + in_b == 0 then return 1.0, true end
  return 2 * both / (in_a + in_b), in_b == 0
end

--- Each reader against the majority (at least half) of the other readers who outlined the same nodule: a
--- list of Dice values, empty where fewer than two did.
function metric.interreader(readers, valid)
  local n, values = #readers, {}
  if n < 2 then return values end
  local add, sub, affine = engine.op.add, engine.op.sub, engine.op.affine
  local masks, votes = {}, nil
  for i, mask in ipairs(readers) do
    masks[i] = mask:to("f32")
    votes = votes and add(votes, masks[i]) or masks[i]
  end
  for i = 1, n do
    local share = affine(sub(votes, masks[i]), { scale = 1 / (n - 1), shift = 1e-6 })
    values[i] = metric.dice_of(masks[i], share, valid, 0.5)
  end
  return values
end

--- Mean and median of a list of numbers (nil for an empty one).
function metric.summary(values)
  local n = #values
  if n == 0 then return nil end
  local sorted, sum = table.move(values, 1, n, 1, {}), 0
  table.sort(sorted)
  for _, x in ipairs(sorted) do sum = sum + x end
  local middle = (sorted[(n + 1) // 2] + sorted[n // 2 + 1]) / 2
  return { mean = sum / n, median = middle, count = n }
end

return metric
