-- An invertible U-Net: activations are rebuilt in the backward pass.
local hl = require "hilum"

return require "common" {
  name = "iunet",
  model = hl.nn.chain {
    hl.nn.conv { out = 16, kernel = 3 },
    hl.nn.iunet { channels = { 16, 32, 64, 128 }, couplings = { 2, 2, 2, 2 }, heads = { scales = { 1 }, out = 1 } },
  },
  loss = hl.loss.dice {} + hl.loss.bce {},
}
