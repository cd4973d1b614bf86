-- hl.nn: layers and networks.
local basic = require "hilum.nn.basic"
local coupling = require "hilum.nn.coupling"
local unet = require "hilum.nn.unet"

return {
  chain = basic.chain,
  conv = basic.conv,
  dropout = basic.dropout,
  own = basic.own,
  unet = unet.unet,
  resunet = unet.resunet,
  iunet = require "hilum.nn.iunet",
  inner = require "hilum.nn.inner",
  additive = coupling.additive,
  invertible = coupling.invertible,
}
