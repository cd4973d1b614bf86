-- What hilum bench conv, norm and resample have in common: kernels of the networks' ops at the shapes that the networks
-- give them, beside what the machine can do.
--
-- A bench has { groups = function(side, dtype), line = function(row, machine) }. A group is a list of cases that share
-- their tensors, made anew for each group; a case is { op, inputs, attributes, row = what its row says of it, work =
-- operations if they are to be told, bytes = what is moved if not all inputs and results once }, the first three as
-- bench_ops takes them. Time is that of the kernel alone, the fastest of the runs.

local bench_ops = require "hilum.cli.bench_ops"
local common = require "hilum.cli.common"
local engine = require "hilum.engine"

local bench_shapes = {}

--- The side of a level whose image has 1/divisor of the largest's.
function bench_shapes.side(side, divisor)
  return math.max(1, side // divisor)
end

--- A cube of an image, as bench_ops makes tensors. more: name (of tensors that differ only in it), dtype.
function bench_shapes.image(channels, side, name, dtype)
  return { { 1, channels, side, side, side }, "image", name, dtype = dtype }
end

--- "9.999 ms  20.5 GB/s   71 %": what every line ends with.
function bench_shapes.rate(row, machine)
  return string.format("%9.3f ms %8.1f GB/s %5.0f %%", 1e3 * row.seconds, row.gb_per_s,
    1e11 * row.gb_per_s / machine.triad)
end

local function measure(case, make, patience)
  local seconds, bytes = bench_ops.time(case, make, patience)
  local row = { op = case[1], seconds = seconds, gb_per_s = (case.bytes or bytes) / seconds / 1e9,
    gf_per_s = case.work and case.work / seconds / 1e9 }
  for key, value in pairs(case.row) do row[key] = value end
  return row
end

--- Measures every case and prints a table or one JSON line.
--- settings: { side, dtype, seconds (patience for one kernel), json }, all of them optional.
function bench_shapes.run(bench, settings)
  local side, dtype = settings.side or 128, settings.dtype or "f32"
  local machine, rows = engine.machine(), {}
  if not settings.json then
    print(string.format("triad %.1f GB/s, multiply-add %.0f GF/s, %d threads; images %s", machine.triad / 1e9,
      machine.multiply_add / 1e9, engine.threads(), dtype))
  end
  local again = 10 -- rows
  for _, group in ipairs(bench.groups(side, dtype)) do
    local make = bench_ops.maker(dtype)
    collectgarbage() -- the tensors of the group before
    if #rows >= again then
      bench_ops.look_again(machine)
      again = #rows + 10
    end
    for _, case in ipairs(group) do
      local row = measure(case, make, settings.seconds)
      rows[#rows + 1] = row
      if not settings.json then print(bench.line(row, machine)) end
    end
  end
  if not settings.json then
    return print(string.format("best triad %.1f GB/s, best multiply-add %.0f GF/s", machine.triad / 1e9,
      machine.multiply_add / 1e9))
  end
  common.emit_line {
    who = "hilum " .. engine.version, threads = engine.threads(), side = side, dtype = dtype,
    triad_gb_per_s = machine.triad / 1e9, multiply_add_gf_per_s = machine.multiply_add / 1e9, rows = rows,
  }
end

return bench_shapes
