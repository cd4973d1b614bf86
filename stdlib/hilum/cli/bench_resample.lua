-- hilum bench resample: the orthogonal maps of an iunet, mixing of channels and resampling between levels, and the
-- gradients of their matrices, beside the machine's bandwidth.
--
-- Shapes are those of an iunet with 16, 32, 64, 128 channels on an image of the size given: the state is two halves; a
-- quarter of a mixed level goes down. The gradient of an image is the map back. With bf16 images the state is on its
-- grid (q8), where maps are applied by lifting, and its gradients are bf16: both are measured. GB/s count every input
-- read once and every result written once.

local shapes = require "hilum.cli.bench_shapes"

-- Channels of a level whose state goes down, what its side is divided by.
local LEVELS = { { 16, 1 }, { 32, 2 }, { 64, 4 } }

local function matrices(count, n)
  local shape = count and { count, n, n } or { n, n }
  return { shape, "plain", orthogonal = true }
end

-- The maps there and back of images of one type.
local function maps(channels, side, dtype)
  local half, quarter = channels // 2, channels // 4
  local function fine(c, name) return shapes.image(c, side, name, dtype) end
  local function coarse(name) return shapes.image(channels, side // 2, name, dtype) end
  local mixing, turning = matrices(nil, channels), matrices(quarter, 8)
  local row = { channels = channels, side = side, dtype = dtype }
  local back = { channels = channels, side = side, dtype = dtype, transposed = true }
  return {
    { "mix", { fine(half), fine(half, "b"), mixing }, string.format("sizes=%d,%d", channels - quarter, quarter),
      row = row },
    { "resample_down", { fine(quarter), turning }, string.format("stride=2 sizes=%d,%d", channels, channels),
      row = row },
    { "resample_up", { coarse(), coarse "b", turning }, "stride=2", row = row },
    { "mix", { fine(channels - quarter), fine(quarter), mixing },
      string.format("transpose=1 sizes=%d,%d", half, half), row = back },
  }
end

-- The gradients of the matrices from a state of one type and gradients of another.
local function gradients(channels, side, state, dtype)
  local half, quarter = channels // 2, channels // 4
  local row = { channels = channels, side = side, dtype = state }
  return {
    { "mix_grad_matrix", { shapes.image(half, side, "x", state), shapes.image(half, side, "x b", state),
      shapes.image(channels - quarter, side, "dy", dtype), shapes.image(quarter, side, "dy", dtype) }, "parts=2",
      row = row },
    { "resample_grad_matrix", { shapes.image(channels, side // 2, "dy", dtype),
      shapes.image(channels, side // 2, "dy b", dtype), shapes.image(quarter, side, "x", state) }, "stride=2 parts=2",
      row = row },
  }
end

local bench_resample = {}

function bench_resample.groups(side, dtype)
  local groups = {}
  for _, level in ipairs(LEVELS) do
    local channels, s = level[1], 2 * shapes.side(side, 2 * level[2])
    local state = dtype == "bf16" and "q8" or dtype
    groups[#groups + 1] = maps(channels, s, state)
    if state ~= dtype then groups[#groups + 1] = maps(channels, s, dtype) end
    groups[#groups + 1] = gradients(channels, s, state, dtype)
  end
  return groups
end

function bench_resample.line(row, machine)
  return string.format("%4d at %3d³  %-4s  %-20s %s", row.channels, row.side, row.dtype,
    row.op .. (row.transposed and " transposed" or ""), shapes.rate(row, machine))
end

return bench_resample
