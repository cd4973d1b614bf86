-- Where over-fitting begins, by one stated rule.

local overfitting = {}

-- Epochs that are looked at together, and the fall of the validation Dice that counts.
local WINDOW, FALL = 5, 0.01

--- The rule in words, for figures and reports.
overfitting.rule = string.format("Over-fitting begins at the middle of the %d successive epochs with the highest mean "
  .. "validation Dice, if the mean of the last %d is at least %g lower while that of the training Dice is higher.",
  WINDOW, WINDOW, FALL)

local function mean_from(list, first)
  local sum = 0
  for i = first, first + WINDOW - 1 do
    local x = list[i]
    if type(x) ~= "number" or x ~= x then return nil end
    sum = sum + x
  end
  return sum / WINDOW
end

--- The epoch where it begins and how far the validation Dice falls from there on, of columns of curves { epoch,
--- dice_train, dice_validation }; nil where it does not, or where epochs are missing or too few to tell.
function overfitting.begins(columns)
  local validation, train, n = columns.dice_validation, columns.dice_train, #(columns.epoch or {})
  if not validation or not train or n < 2 * WINDOW then return nil end
  local top, best
  for first = 1, n - WINDOW + 1 do
    local mean = mean_from(validation, first)
    if mean and (not best or mean > best) then top, best = first, mean end
  end
  local last = n - WINDOW + 1
  local fallen, then_, now = mean_from(validation, last), top and mean_from(train, top), mean_from(train, last)
  if not (fallen and then_ and now) or best - fallen < FALL or now <= then_ then return nil end
  return columns.epoch[top + WINDOW // 2], best - fallen
end

return overfitting
