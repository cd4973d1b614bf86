-- The four methods as one study: `hilum run experiments/four_methods.lua` trains them one after another.
local hl = require "hilum"

local function method(file)
  local whole = require(file)
  return { name = whole.name, model = whole.model, loss = whole.loss }
end

return hl.study {
  name = "four-methods",
  base = require "unet",
  vary = { method "unet", method "iunet", method "iunet_multiscale", method "iunet_multiscale_weighted" },
}
