-- Values from archives, which may hold anything, and round numbers for axes.

local loose = require "hilum.loose"

local numbers = {}

numbers.fields, numbers.finite = loose.fields, loose.finite

--- The numbers of a list that may hold anything.
function numbers.only(list)
  local found = {}
  for _, x in ipairs(numbers.fields(list)) do
    if numbers.finite(x) then found[#found + 1] = x end
  end
  return found
end

--- { x, y } for every row of a table of columns that has both.
function numbers.points(columns, x_name, y_name)
  local xs, ys, list = numbers.fields(columns[x_name]), numbers.fields(columns[y_name]), {}
  for row, x in ipairs(xs) do
    if numbers.finite(x) and numbers.finite(ys[row]) then list[#list + 1] = { x, ys[row] } end
  end
  return list
end

--- A distance between tics, 1, 2 or 5 times a power of ten and at least `least`, so that a span has at most `most`.
function numbers.step(span, most, least)
  local step = 10.0 ^ math.floor(math.log(math.max(span, 1e-12) / most, 10))
  for _, factor in ipairs { 1, 2, 5, 10 } do
    if span / (step * factor) <= most then return math.max(step * factor, least or 0) end
  end
  return step * 10
end

--- Mean of a list of numbers; nil for an empty one.
function numbers.mean(list)
  local sum = 0
  for _, x in ipairs(list) do sum = sum + x end
  return #list > 0 and sum / #list or nil
end

return numbers
