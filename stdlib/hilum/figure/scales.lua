-- Losses and weights of a network's scales over the epochs.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local scales = {}

local fields = numbers.fields
local MOST = 6 -- scales

-- The scales there are, from the columns' names "loss_scale_2".
local function scales_of(columns)
  local list = {}
  for name in pairs(columns) do
    local scale = type(name) == "string" and name:match "^loss_scale_(%d+)$"
    if scale then list[#list + 1] = math.tointeger(tonumber(scale)) end
  end
  table.sort(list)
  return list
end

-- { epoch, mean over its steps } of a column of steps.
local function by_epoch(columns, name)
  local sums, counts, order = {}, {}, {}
  for _, point in ipairs(numbers.points(columns, "epoch", name)) do
    local epoch = point[1]
    if not sums[epoch] then order[#order + 1] = epoch end
    sums[epoch], counts[epoch] = (sums[epoch] or 0) + point[2], (counts[epoch] or 0) + 1
  end
  local list = {}
  for i, epoch in ipairs(order) do list[i] = { epoch, sums[epoch] / counts[epoch] } end
  return list
end

local function top_of(lists)
  local top = 0
  for _, list in ipairs(lists) do
    for _, point in ipairs(list) do top = math.max(top, point[2]) end
  end
  return top > 0 and top * 1.05 or 1
end

local function page_of(tables, n, lists)
  local epochs = tables.loss1
  local x0, x1 = epochs[1][1], epochs[#epochs][1]
  if x0 == x1 then x0, x1 = x0 - 0.5, x1 + 0.5 end
  local weights = {}
  for k = 1, n do weights[k] = tables["weight" .. k] end
  local losses, heaviest = top_of(lists), top_of(weights)
  tables.page = { { 1290, 620, n, x0, x1, numbers.step(x1 - x0, 8, 1), losses, numbers.step(losses, 6), heaviest,
    numbers.step(heaviest, 6) } }
end

local function add_key(tables, n, list)
  local entries = { { "key_train", "all, training" }, { "key_validation", "all, validation" } }
  for k = 1, n do entries[#entries + 1] = { "key" .. k, list[k] == 1 and "scale 1 (finest)" or "scale " .. list[k] } end
  texts.key(tables, entries, 1060, 470, 30)
end

--- Returns the list of written files, or nil, err.
function scales.draw(run, basename, formats)
  local curves = fields(run.curves)
  local steps, epochs = fields(curves.step), fields(curves.epoch)
  local list, tables, lists = scales_of(steps), {}, {}
  local n = math.min(#list, MOST)
  for k = 1, n do
    tables["loss" .. k] = by_epoch(steps, "loss_scale_" .. list[k])
    tables["weight" .. k] = by_epoch(steps, "weight_scale_" .. list[k])
    lists[k] = tables["loss" .. k]
  end
  if n == 0 or #tables.loss1 == 0 then
    return nil, problem.new("data", "the run holds no losses of scales: no step was made")
  end
  tables.train = numbers.points(epochs, "epoch", "loss_train")
  tables.validation = numbers.points(epochs, "epoch", "loss_validation")
  lists[#lists + 1], lists[#lists + 2] = tables.train, tables.validation
  page_of(tables, n, lists)
  add_key(tables, n, list)
  tables.heads = { { 90, 500, "Loss" }, { 690, 500, "Weight of the scale in the loss" } }
  tables.x_axes = { { 325, 24, "epoch" }, { 865, 24, "epoch" } }
  texts.add(tables, 90, tostring(run.name or "run"), texts.about(run))
  return gnuplot.draw("scales", tables, basename, formats)
end

return scales
