-- Agreement of predicted and true volumes: differences over means (Bland and Altman 1986), in per cent of the mean
-- since nodules' volumes span three powers of ten.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local bland_altman = {}

local PAGE = { width = 1200, height = 720, left = 110, right = 990, bottom = 92, top = 600 }

-- { mean volume, difference in % of it } of each validation case, and the unit; none where both are empty.
local function differences(run)
  local list, unit = {}, nil
  for _, row in ipairs(texts.validation(run)) do
    for _, one in ipairs { "mm3", "voxels" } do
      local truth, predicted = row["truth_" .. one], row["predicted_" .. one]
      if numbers.finite(truth) and numbers.finite(predicted) and truth + predicted > 0 then
        list[#list + 1], unit = { (truth + predicted) / 2, 200 * (predicted - truth) / (predicted + truth) }, one
      end
    end
  end
  return list, unit
end

--- Mean, lower and upper limit of agreement (mean ∓ 1.96 sample standard deviations) of a list of { x, difference }.
function bland_altman.limits(list)
  local values = {}
  for i, point in ipairs(list) do values[i] = point[2] end
  local mean, sum = numbers.mean(values), 0
  for _, value in ipairs(values) do sum = sum + (value - mean) ^ 2 end
  local sd = #values > 1 and math.sqrt(sum / (#values - 1)) or 0
  return mean, mean - 1.96 * sd, mean + 1.96 * sd
end

local function add_line(tables, f, value, text)
  tables.limits[#tables.limits + 1] = { f.x0, value }
  tables.limits[#tables.limits + 1] = { f.x1, value }
  tables.limits[#tables.limits + 1] = {}
  local y = PAGE.bottom + (value - f.y0) / (f.y1 - f.y0) * (PAGE.top - PAGE.bottom)
  tables.small[#tables.small + 1] = { PAGE.right + 12, y + 11, text }
  tables.small[#tables.small + 1] = { PAGE.right + 12, y - 11, (string.format("%+.0f %%", value):gsub("-", "−")) }
end

local function frame(list, low, high)
  local f = { x0 = math.huge, x1 = 0, y0 = math.min(low, -50), y1 = math.max(high, 50) }
  for _, point in ipairs(list) do
    f.x0, f.x1 = math.min(f.x0, point[1]), math.max(f.x1, point[1])
    f.y0, f.y1 = math.min(f.y0, point[2]), math.max(f.y1, point[2])
  end
  f.x0, f.x1 = f.x0 * 0.8, f.x1 * 1.25
  f.y0, f.y1 = math.floor(f.y0 / 25 - 0.2) * 25, math.ceil(f.y1 / 25 + 0.2) * 25
  return f
end

--- Returns the list of written files, or nil, err.
function bland_altman.draw(run, basename, formats)
  local list, unit = differences(run)
  if #list == 0 then return nil, problem.new("data", "no validation case has both volumes") end
  local mean, low, high = bland_altman.limits(list)
  local f = frame(list, low, high)
  local tables = { points = list, limits = {}, small = {}, page = { { PAGE.width, PAGE.height, PAGE.left, PAGE.right,
    PAGE.bottom, PAGE.top, f.x0, f.x1, f.y0, f.y1, numbers.step(f.y1 - f.y0, 9) } } }
  add_line(tables, f, mean, "mean")
  if #list > 1 then
    add_line(tables, f, low, "mean − 1.96 SD")
    add_line(tables, f, high, "mean + 1.96 SD")
  end
  tables.x_axes = { { (PAGE.left + PAGE.right) / 2, 22, string.format("mean of predicted and true volume (%s)",
    unit == "mm3" and "mm³" or "voxels") } }
  tables.y_axes = { { 28, (PAGE.bottom + PAGE.top) / 2, "predicted less true (% of the mean)" } }
  texts.add(tables, PAGE.left, tostring(run.name or "run"), string.format("%d validation cases  ·  %s", #list,
    texts.about(run)))
  return gnuplot.draw("bland_altman", tables, basename, formats)
end

return bland_altman
