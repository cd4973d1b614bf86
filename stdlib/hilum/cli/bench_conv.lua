-- hilum bench conv: the convolutions of the networks, forward and both gradients, beside what the machine can do.
--
-- Shapes are those of a unet and an iunet with 16, 32, 64, 128 channels on an image of the size given: a level has half
-- the side of the one above, a coupling sees half the channels. Time is that of the kernel alone, the fastest of the
-- runs. GF/s count two operations for each product of the plain convolution, so that a method which multiplies less can
-- exceed the peak; GB/s count both images once.

local bench_ops = require "hilum.cli.bench_ops"
local engine = require "hilum.engine"
local json = require "hilum.json"

-- Source channels, result channels, what the side is divided by.
local SHAPES = {
  { 1, 16, 1 }, { 8, 8, 1 }, { 16, 16, 1 }, { 32, 16, 1 }, { 16, 16, 2 }, { 32, 32, 2 }, { 64, 32, 2 }, { 32, 32, 4 },
  { 64, 64, 4 }, { 128, 64, 4 }, { 64, 64, 8 }, { 128, 128, 8 },
}

local BITS = { f32 = 32, bf16 = 16 }

-- The three ops of one shape: name, inputs and attributes as bench_ops takes them.
local function cases_of(from, to, side)
  local x, y = { 1, from, side, side, side }, { 1, to, side, side, side }
  local w = { to, from, 3, 3, 3 }
  local size = string.format("padding=1 size=%d,%d,%d", side, side, side)
  return {
    { "conv", { { x, "image" }, { w, "plain" } }, "padding=1" },
    { "conv_grad_input", { { y, "image" }, { w, "plain" } }, size },
    { "conv_grad_weight", { { x, "image" }, { y, "image", "dy" } }, "padding=1 kernel=3" },
  }
end

local function line(row, machine)
  return string.format("%4d -> %3d at %3d³  %-17s %9.3f ms %8.1f GF/s %5.0f %% %7.1f GB/s %4.0f %%", row.from, row.to,
    row.side, row.op, 1e3 * row.seconds, row.gf_per_s, 1e11 * row.gf_per_s / machine.multiply_add, row.gb_per_s,
    1e11 * row.gb_per_s / machine.triad)
end

local bench_conv = {}

--- Measures every shape and prints a table or one JSON line.
--- settings: { side, dtype, seconds (patience for one kernel), json }, all of them optional.
function bench_conv.run(settings)
  local side, dtype = settings.side or 128, settings.dtype or "f32"
  local machine, rows = engine.machine(), {}
  if not settings.json then
    print(string.format("triad %.1f GB/s, multiply-add %.0f GF/s, %d threads; images %s", machine.triad / 1e9,
      machine.multiply_add / 1e9, engine.threads(), dtype))
  end
  for _, shape in ipairs(SHAPES) do
    local from, to, s = shape[1], shape[2], math.max(1, side // shape[3])
    local make, voxels = bench_ops.maker(dtype), s ^ 3
    collectgarbage()
    for _, case in ipairs(cases_of(from, to, s)) do
      local seconds = bench_ops.time(case, make, settings.seconds)
      local row = { op = case[1], from = from, to = to, side = s, seconds = seconds,
        gf_per_s = 2 * 27 * from * to * voxels / seconds / 1e9,
        gb_per_s = (from + to) * voxels * BITS[dtype] / 8 / seconds / 1e9 }
      rows[#rows + 1] = row
      if not settings.json then print(line(row, machine)) end
    end
  end
  if not settings.json then return end
  print(json.encode {
    who = "hilum " .. engine.version, threads = engine.threads(), side = side, dtype = dtype,
    triad_gb_per_s = machine.triad / 1e9, multiply_add_gf_per_s = machine.multiply_add / 1e9, rows = rows,
  })
end

return bench_conv
