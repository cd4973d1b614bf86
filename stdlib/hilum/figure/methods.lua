-- Dice curves of several runs, a panel for each on the same axes, with the epoch where over-fitting begins.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local overfitting = require "hilum.overfitting"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local methods = {}

local fields = numbers.fields
local MOST_COLUMNS = 4

local function columns_of(run)
  return fields(fields(run.curves).epoch)
end

-- First and last epoch and the lowest Dice of all.
local function frame(panels)
  local f = { x0 = math.huge, x1 = -math.huge, y0 = 1 }
  for _, panel in ipairs(panels) do
    for _, list in ipairs { panel.train, panel.validation, panel.readers } do
      for _, point in ipairs(list) do f.y0 = math.min(f.y0, point[2]) end
    end
    for _, point in ipairs(panel.validation) do
      f.x0, f.x1 = math.min(f.x0, point[1]), math.max(f.x1, point[1])
    end
  end
  if f.x0 == f.x1 then f.x0, f.x1 = f.x0 - 0.5, f.x1 + 0.5 end
  f.y0 = math.max(0, math.floor(f.y0 * 10) / 10)
  return f
end

local function panel_of(run, runs)
  local columns = columns_of(run)
  local validation = numbers.points(columns, "epoch", "dice_validation")
  local panel = { label = texts.label(run, runs), train = numbers.points(columns, "epoch", "dice_train"),
    validation = validation, readers = {} }
  local agreement = fields(run.interreader).mean
  if #validation > 0 and numbers.finite(agreement) then
    panel.readers = { { validation[1][1], agreement }, { validation[#validation][1], agreement } }
  end
  panel.begins, panel.fall = overfitting.begins(columns)
  return panel
end

-- "last 0.854, best 0.859 in epoch 12" and what is known of over-fitting.
local function add_words(tables, panel, left, top)
  local list, best = panel.validation, nil
  for _, point in ipairs(list) do
    if not best or point[2] > best[2] then best = point end
  end
  tables.heads[#tables.heads + 1] = { left, top + 60, gnuplot.shortened(panel.label, 27) }
  tables.small[#tables.small + 1] = { left, top + 36, string.format("last %.3f, best %.3f in epoch %d",
    list[#list][2], best[2], best[1]) }
  tables.small[#tables.small + 1] = { left, top + 14, panel.begins and string.format(
    "over-fitting from epoch %d: −%.3f", panel.begins, panel.fall) or "no over-fitting seen" }
end

local function place(tables, f, n)
  local across = math.min(n, MOST_COLUMNS)
  local down = (n + across - 1) // across
  local width, step, most_left = 250, 346, 92
  local page = { width = math.max(most_left + across * step + 16, 900), height = 158 + down * 376 }
  tables.page = { { page.width, page.height, n, f.x0, f.x1, numbers.step(f.x1 - f.x0, 6, 1), f.y0, 1 } }
  tables.panels = {}
  for i = 1, n do
    local column, row = (i - 1) % across, (i - 1) // across
    local left, top = most_left + column * step, page.height - 210 - row * 376
    tables.panels[i] = { i, left, left + width, top - 230, top }
    tables.x_axes[i] = { left + width / 2, top - 288, "epoch" }
    if column == 0 then tables.y_axes[#tables.y_axes + 1] = { 24, top - 115, "mean Dice" } end
  end
end

--- runs: a list of runs. Returns the list of written files, or nil, err.
function methods.draw(runs, basename, formats)
  local panels = {}
  for _, run in ipairs(runs) do
    local panel = panel_of(run, runs)
    if #panel.validation > 0 then panels[#panels + 1] = panel end
  end
  if #panels == 0 then return nil, problem.new("data", "no run has a complete epoch: there is no Dice to be drawn") end
  local tables = { heads = {}, small = {}, x_axes = {}, y_axes = {} }
  place(tables, frame(panels), #panels)
  for i, panel in ipairs(panels) do
    for _, name in ipairs { "train", "validation", "readers" } do tables[name .. i] = panel[name] end
    tables["begins" .. i] = panel.begins and { { panel.begins, tables.page[1][7] }, { panel.begins, 1 } } or {}
    add_words(tables, panel, tables.panels[i][2], tables.panels[i][5])
  end
  texts.key(tables, { { "key_validation", "validation" }, { "key_train", "training" },
    { "key_readers", "between readers" }, { "key_begins", "over-fitting begins" } }, 92, tables.page[1][2] - 104)
  texts.add(tables, 92, "Dice of training and validation", texts.about(runs[1]))
  return gnuplot.draw("methods", tables, basename, formats)
end

return methods
