-- Dice of training and validation over the epochs of one run.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local dice_curves = {}

local fields, finite = numbers.fields, numbers.finite

local function best_of(list)
  local best
  for _, point in ipairs(list) do
    if not best or point[2] > best[2] then best = point end
  end
  return best
end

-- Edges of the axes and what they show.
local function frame(lists, agreement)
  local first, last, low = math.huge, -math.huge, 1
  for _, list in ipairs(lists) do
    for _, point in ipairs(list) do
      first, last, low = math.min(first, point[1]), math.max(last, point[1]), math.min(low, point[2])
    end
  end
  if finite(agreement) then low = math.min(low, agreement) end
  if first == last then first, last = first - 0.5, last + 0.5 end
  local f = { width = 1200, height = 720, left = 110, right = finite(agreement) and 1030 or 1150, bottom = 96,
    top = 570, x0 = first, x1 = last, dx = numbers.step(last - first, 12, 1),
    y0 = math.max(0, math.floor(low * 10) / 10), y1 = 1 }
  function f.x(epoch) return f.left + (epoch - f.x0) / (f.x1 - f.x0) * (f.right - f.left) end
  function f.y(dice) return f.bottom + (dice - f.y0) / (f.y1 - f.y0) * (f.top - f.bottom) end
  return f
end

-- Height in pixels of a curve at x, or nil beside it.
local function height_at(list, f, x)
  for i = 1, #list - 1 do
    local x0, x1 = f.x(list[i][1]), f.x(list[i + 1][1])
    if x0 <= x and x <= x1 then
      local share = x1 > x0 and (x - x0) / (x1 - x0) or 0
      return f.y(list[i][2]) * (1 - share) + f.y(list[i + 1][2]) * share
    end
  end
  return nil
end

-- The lowest place above the axis for two lines of text from x0 to x1 where none of the curves runs through them.
local function free_height(lists, f, x0, x1)
  local heights = {}
  for _, list in ipairs(lists) do
    for i = 0, 12 do heights[#heights + 1] = height_at(list, f, x0 + (x1 - x0) * i / 12) end
  end
  table.sort(heights)
  local y = f.bottom + 20
  for _, h in ipairs(heights) do
    if h > y - 20 and h < y + 46 then y = h + 26 end
  end
  return y
end

local function add_best(tables, f, best, lists)
  tables.best, tables.best_left, tables.best_right = {}, {}, {}
  if not best then return end
  tables.best = { best, { best[1], f.y0 } }
  local left = f.x(best[1]) > (f.left + f.right) / 2
  local near, far = f.x(best[1]) + (left and -12 or 12), f.x(best[1]) + (left and -140 or 140)
  local y = free_height(lists, f, math.min(near, far), math.max(near, far))
  local side = left and tables.best_left or tables.best_right
  side[1] = { near, y + 26, "best epoch" }
  side[2] = { near, y, string.format("%d: %.3f", best[1], best[2]) }
end

local function add_readers(tables, f, agreement)
  tables.readers, tables.readers_label = {}, {}
  if not finite(agreement) then return end
  tables.readers = { { f.x0, agreement }, { f.x1, agreement } }
  for i, line in ipairs { "between", "readers", string.format("%.3f", agreement) } do
    tables.readers_label[i] = { f.right + 12, f.y(agreement) + (2 - i) * 22, line }
  end
end

--- Dice of training and validation over the epochs, with the best epoch (the first with the highest validation
--- Dice) and the agreement of the readers. Returns the list of written files, or nil, err.
function dice_curves.draw(run, basename, formats)
  local columns = fields(fields(run.curves).epoch)
  local train = numbers.points(columns, "epoch", "dice_train")
  local validation = numbers.points(columns, "epoch", "dice_validation")
  if #train == 0 and #validation == 0 then
    return nil, problem.new("data", "no epoch is complete: there is no Dice to be drawn")
  end
  local agreement = fields(run.interreader).mean
  local f = frame({ train, validation }, agreement)
  local tables = {
    page = { { f.width, f.height, f.left, f.right, f.bottom, f.top, f.x0, f.x1, f.dx, f.y0, f.y1 } },
    train = train, validation = validation, train_mark = #train == 1 and train or {},
    title = { { f.left, f.height - 38, gnuplot.shortened(tostring(run.name or "run"), 60) } },
    note = { { f.left, f.height - 74, texts.about(run) } },
    x_label = { { (f.left + f.right) / 2, 20, "epoch" } },
    y_label = { { 26, (f.bottom + f.top) / 2, "mean Dice" } },
  }
  add_readers(tables, f, agreement)
  add_best(tables, f, best_of(validation), { train, validation, tables.readers })
  return gnuplot.draw("dice_curves", tables, basename, formats)
end

return dice_curves
