-- Peak memory of a training step against the depth of the network and the size of the image: as promised before the
-- first step, by hilum's own count, by the system's. Figures of others are shown beside: --set peers=./FILE.
local hl = require "hilum"

return hl.measure.memory {
  name = "memory",
  channels = { 16, 32, 64, 128 },
  depth = { side = 64, couplings = { 1, 2, 5, 10, 20 } },
  size = { couplings = 2, sides = { 32, 48, 64, 96, 128 } },
}
