-- hilum bench conv: the convolutions of the networks, forward and both gradients, beside what the machine can do.
--
-- Shapes are those of a unet and an iunet with 16, 32, 64, 128 channels on an image of the size given: a level has half
-- the side of the one above, a coupling sees half the channels. GF/s count two operations for each product of the plain
-- convolution, so that a method which multiplies less can exceed the peak; GB/s count both images once.

local shapes = require "hilum.cli.bench_shapes"

-- Source channels, result channels, what the side is divided by.
local SHAPES = {
  { 1, 16, 1 }, { 8, 8, 1 }, { 16, 16, 1 }, { 32, 16, 1 }, { 16, 16, 2 }, { 32, 32, 2 }, { 64, 32, 2 }, { 32, 32, 4 },
  { 64, 64, 4 }, { 128, 64, 4 }, { 64, 64, 8 }, { 128, 128, 8 },
}

local BYTES = { f32 = 4, bf16 = 2 }

-- The three ops of one shape.
local function cases_of(from, to, side, dtype)
  local x, y, w = shapes.image(from, side), shapes.image(to, side, "dy"), { { to, from, 3, 3, 3 }, "plain" }
  local cases = {
    { "conv", { x, w }, "padding=1" },
    { "conv_grad_input", { y, w }, string.format("padding=1 size=%d,%d,%d", side, side, side) },
    { "conv_grad_weight", { x, y }, "padding=1 kernel=3" },
  }
  for _, case in ipairs(cases) do
    case.row = { from = from, to = to, side = side }
    case.work, case.bytes = 2 * 27 * from * to * side ^ 3, (from + to) * side ^ 3 * BYTES[dtype]
  end
  return cases
end

local bench_conv = {}

function bench_conv.groups(side, dtype)
  local groups = {}
  for i, s in ipairs(SHAPES) do groups[i] = cases_of(s[1], s[2], shapes.side(side, s[3]), dtype) end
  return groups
end

function bench_conv.line(row, machine)
  return string.format("%4d -> %3d at %3d³  %-17s %9.3f ms %8.1f GF/s %5.0f %% %7.1f GB/s %4.0f %%", row.from, row.to,
    row.side, row.op, 1e3 * row.seconds, row.gf_per_s, 1e11 * row.gf_per_s / machine.multiply_add, row.gb_per_s,
    1e11 * row.gb_per_s / machine.triad)
end

return bench_conv
