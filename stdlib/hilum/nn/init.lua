-- hl.nn: layers and networks.
local basic = require "hilum.nn.basic"

return {
  chain = basic.chain,
  conv = basic.conv,
  unet = require "hilum.nn.unet",
  iunet = require "hilum.nn.iunet",
}
