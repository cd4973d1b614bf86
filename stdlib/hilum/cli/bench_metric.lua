-- hilum bench metric: what a metric costs on two masks.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local metric = require "hilum.metric"
local problem = require "hilum.problem"

local bench = {}

local function mask_of(path)
  local t, err = engine.npy_read(path)
  if not t then error(problem.of(err), 0) end
  if #t.shape ~= 3 then
    error(problem.new("format", string.format("%s: has %d axes, expected z, y, x", path, #t.shape)), 0)
  end
  return t
end

-- Two balls of voxels that overlap, the second with a dented surface.
local function balls(side)
  local a, b, r = {}, {}, 0.3 * side
  for z = 1, side do
    for y = 1, side do
      for x = 1, side do
        local dz, dy, dx = z - side / 2, y - side / 2, x - side / 2
        local i = #a + 1
        a[i] = dz * dz + dy * dy + dx * dx <= r * r and 1 or 0
        local shift, dent = dx - 0.04 * side, 1 + 0.05 * math.sin(dz / 3) * math.cos(dy / 4)
        b[i] = dz * dz + dy * dy + shift * shift <= (r * dent) ^ 2 and 1 or 0
      end
    end
  end
  local function tensor(values) return engine.from(values, { dtype = "u8" }):reshape { side, side, side } end
  return tensor(a), tensor(b)
end

local METRICS = {
  { "dice", metric.dice {} },
  { "hausdorff95", metric.hausdorff { percentile = 95 } },
  { "assd", metric.assd {} },
  { "surface_dice", metric.surface_dice { tolerance_mm = 1 } },
}

-- Seconds of the best of several runs, each on a case that knows nothing yet; of all threads together on the mean.
local function timed(one, prediction, truth, o)
  local best, found, cpu = math.huge, nil, os.clock()
  for _ = 1, o.runs do
    local start = engine.clock()
    found = one:measure(metric.case { prediction = prediction, truth = truth, spacing_mm = o.spacing_mm })
    best = math.min(best, engine.clock() - start)
  end
  return best, (os.clock() - cpu) / o.runs, found
end

--- o: { files = { prediction, truth } or nothing, side, spacing_mm, runs, json }
function bench.run(o)
  local prediction, truth
  if o.files[1] then
    prediction, truth = mask_of(o.files[1]), mask_of(o.files[2])
  else
    prediction, truth = balls(o.side)
  end
  local result = { who = "hilum " .. engine.version, size = truth.shape, spacing_mm = o.spacing_mm,
    threads = engine.threads(), metrics = {} }
  for _, pair in ipairs(METRICS) do
    local seconds, cpu, value = timed(pair[2], prediction, truth, o)
    result.metrics[pair[1]] = { seconds = seconds, cpu_seconds = cpu, value = value }
    if not o.json then
      print(string.format("%-13s %9.3f ms  %9.3f ms of processors   %.6f", pair[1], seconds * 1e3, cpu * 1e3,
        value or 0 / 0))
    end
  end
  if o.json then common.emit_line(result) end
end

return bench
