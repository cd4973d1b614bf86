-- How often predicted probabilities come true, over the voxels of the validation cases.

local gnuplot = require "hilum.gnuplot"
local metric = require "hilum.metric"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local reliability = {}

-- The columns as metric.ece expects them, nil where an archive holds something else.
local function checked(columns)
  local count, mean, share = numbers.fields(columns.count), numbers.fields(columns.mean), numbers.fields(columns.share)
  for i, n in ipairs(count) do
    if not numbers.finite(n) or n > 0 and not (numbers.finite(mean[i]) and numbers.finite(share[i])) then return nil end
  end
  return #count > 0 and { count = count, mean = mean, share = share } or nil
end

--- Returns the list of written files, or nil, err.
function reliability.draw(run, basename, formats)
  local columns = checked(numbers.fields(run.calibration))
  local ece = columns and metric.ece(columns)
  if not ece then return nil, problem.new("data", "the run holds no calibration: it is measured when a run ends") end
  local tables, most = { curve = {}, counts = {}, small = {} }, 1
  local n = #columns.count
  for i, count in ipairs(columns.count) do
    if count > 0 then tables.curve[#tables.curve + 1] = { columns.mean[i], columns.share[i] } end
    tables.counts[i] = { (i - 0.5) / n, count > 0 and count or 0 / 0 }
    most = math.max(most, count)
  end
  tables.page = { { 760, 860, 100, 720, 290, 740, 92, 220, n, most * 2 } }
  tables.heads = { { 116, 716, string.format("expected calibration error %.4f", ece) } }
  tables.x_axes = { { 410, 22, "predicted probability" } }
  tables.y_axes = { { 24, 515, "share that is nodule" }, { 24, 156, "voxels" } }
  texts.add(tables, 100, tostring(run.name or "run"), texts.about(run))
  return gnuplot.draw("reliability", tables, basename, formats)
end

return reliability
