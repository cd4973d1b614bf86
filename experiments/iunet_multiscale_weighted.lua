-- The invertible U-Net predicts at three scales; the finest counts most.
local hl = require "hilum"

return require "common" {
  name = "iunet-multiscale-weighted",
  model = hl.nn.chain {
    hl.nn.conv { out = 16, kernel = 3 },
    hl.nn.iunet {
      channels = { 16, 32, 64, 128 }, couplings = { 2, 2, 2, 2 }, heads = { scales = { 1, 2, 4 }, out = 1 },
    },
  },
  loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {}, weights = "halving" },
}
