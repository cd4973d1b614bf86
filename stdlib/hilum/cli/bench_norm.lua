-- hilum bench norm: the normalisations of the networks with their activation, and the gradient, beside the machine's
-- bandwidth.
--
-- Shapes are those of an iunet (a coupling normalises half the channels of its level) and a unet with 16, 32, 64, 128
-- channels on an image of the size given. GB/s count every input read once and every result written once; the whole
-- norm reads images that outgrow the caches twice, once for the statistics. Its parts are what is left of it where a
-- neighbour does the rest: statistics alone, and the map onto the other half of the state.

local shapes = require "hilum.cli.bench_shapes"

-- Channels, what the side is divided by; sides are 2 at least, since a single voxel has no variance.
local SHAPES = { { 8, 1 }, { 16, 1 }, { 16, 2 }, { 32, 2 }, { 32, 4 }, { 64, 4 }, { 64, 8 }, { 128, 8 } }

local function cases_of(channels, side)
  local x, dy = shapes.image(channels, side), shapes.image(channels, side, "dy")
  local scale, offset = { { channels }, "plain", "scale" }, { { channels }, "plain", "offset" }
  local stats = { { 1, channels, 2 }, "plain" }
  local row = { channels = channels, side = side }
  return {
    { "instance_norm", { x, scale, offset }, "slope=0.01", row = row },
    { "instance_norm_grad", { x, stats, dy, scale, offset }, "slope=0.01", row = row },
    { "instance_stats", { x }, nil, row = row },
    { "normalise_add", { dy, x, stats, scale, offset }, "slope=0.01", row = row },
  }
end

local bench_norm = {}

function bench_norm.groups(side)
  local groups = {}
  for i, s in ipairs(SHAPES) do groups[i] = cases_of(s[1], math.max(2, shapes.side(side, s[2]))) end
  return groups
end

function bench_norm.line(row, machine)
  return string.format("%4d at %3d³  %-18s %s", row.channels, row.side, row.op, shapes.rate(row, machine))
end

return bench_norm
