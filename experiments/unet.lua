-- The baseline: a UNet that stores its activations.
local hl = require "hilum"

return require "common" {
  name = "unet",
  model = hl.nn.unet { channels = { 16, 32, 64, 128 }, heads = { scales = { 1 }, out = 1 } },
  loss = hl.loss.dice {} + hl.loss.bce {},
}
