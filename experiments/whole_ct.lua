-- A whole CT in one pass: every scan from edge to edge on one grid, its truth all of its nodules together. A step on
-- 304 × 512 × 512 voxels takes about 11 GiB, whatever the number of couplings.
local hl = require "hilum"

return hl.experiment {
  name = "whole-ct",
  seed = 2020,
  data = hl.data.source(hl.arg("data", "phantom"), {
    lidc = { extent = "scan", crop = { 304, 512, 512 } },
    list = { extent = "scan", crop = { 304, 512, 512 } },
    phantom = { cases = 6, extent = "scan", crop = { 48, 64, 64 } },
  }),
  model = hl.nn.chain {
    hl.nn.conv { out = 8, kernel = 3 },
    hl.nn.iunet { channels = { 8, 16, 32, 64 }, couplings = { 2, 2, 2, 2 } },
  },
  loss = hl.loss.dice {} + hl.loss.bce {},
  optim = hl.optim.adam { rate = hl.schedule.cosine { from = 1e-3, to = 1e-5 } },
  train = { epochs = 20, batch = 1 },
}
