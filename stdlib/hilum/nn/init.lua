-- hl.nn: layers and networks.
local basic = require "hilum.nn.basic"
local coupling = require "hilum.nn.coupling"

return {
  chain = basic.chain,
  conv = basic.conv,
  unet = require "hilum.nn.unet",
  iunet = require "hilum.nn.iunet",
  inner = require "hilum.nn.inner",
  additive = coupling.additive,
  invertible = coupling.invertible,
}
