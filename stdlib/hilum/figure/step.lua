-- Where the time of a training step goes: a bar for each kind of op, with its rate beside the machine's peak.

local gnuplot = require "hilum.gnuplot"
local numbers = require "hilum.figure.numbers"
local problem = require "hilum.problem"
local texts = require "hilum.figure.texts"

local step = {}

local MOST, ROW = 14, 40 -- kinds of ops, pixels

-- The slowest kinds, and the rest as one row.
local function shortened(rows)
  if #rows <= MOST then return rows end
  local list, rest = table.move(rows, 1, MOST - 1, 1, {}), { op = "all others", seconds = 0, share = 0 }
  for i = MOST, #rows do
    rest.seconds, rest.share = rest.seconds + rows[i].seconds, rest.share + rows[i].share
  end
  list[MOST] = rest
  return list
end

-- "12.3 %  ·  320 GF/s, 45 % of peak"
local function words(row, machine)
  local text = string.format("%.1f %%", 100 * row.share)
  if not row.bytes then return text end
  if row.work > 0 then
    local rate = row.work / row.seconds
    return string.format("%s  ·  %.0f GF/s, %.0f %% of the peak", text, rate / 1e9, 100 * rate / machine.multiply_add)
  end
  local rate = row.bytes / row.seconds
  return string.format("%s  ·  %.1f GB/s, %.0f %% of the triad", text, rate / 1e9, 100 * rate / machine.triad)
end

--- what: { rows = as profile:list() gives them, machine = { triad, multiply_add }, title, note }. Returns the list of
--- written files, or nil, err.
function step.draw(what, basename, formats)
  local rows = shortened(numbers.fields(what.rows))
  if #rows == 0 then return nil, problem.new("data", "no op was watched: there is no time to be drawn") end
  local n, left = #rows, 420
  local height = 170 + n * ROW
  local tables = { forward = {}, backward = {}, others = {}, right = {}, small = {},
    page = { { 1240, height, left, 800, 40, height - 130, n, math.max(rows[1].share, 0.01) } } }
  for i, row in ipairs(rows) do
    local y = n - i + 1
    local bars = not row.bytes and tables.others or row.backward and tables.backward or tables.forward
    bars[#bars + 1] = { 100 * row.share, y }
    local pixel = 40 + (y - 0.5) * ROW
    tables.right[i] = { left - 12, pixel, gnuplot.shortened(row.op, 38) }
    tables.small[i] = { left + row.share / rows[1].share * 380 + 10, pixel, words(row, what.machine) }
  end
  texts.key(tables, { { "key_forward", "forward pass" },
    { "key_backward", "backward pass, with what it computes again" } }, left, height - 104)
  texts.add(tables, 40, what.title, what.note)
  return gnuplot.draw("step", tables, basename, formats)
end

return step
