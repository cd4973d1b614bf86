-- Start values of parameters: functions fill(tensor, rng, shape).

local init = {}

local LEAK = 0.01

local function volume(shape, first)
  local n = 1
  for i = first, #shape do n = n * shape[i] end
  return n
end

local function he_uniform(fan)
  return function(tensor, rng, shape)
    local bound = math.sqrt(6 / ((1 + LEAK ^ 2) * fan(shape)))
    rng:fill_uniform(tensor, -bound, bound)
  end
end

--- He et al. 2015, uniform, for leaky ReLU 0.01. Weights O, I, kz, ky, kx.
init.he_fan_in = he_uniform(function(shape) return shape[2] * volume(shape, 3) end)
init.he_fan_out = he_uniform(function(shape) return shape[1] * volume(shape, 3) end)

function init.ones(tensor)
  tensor:fill(1)
end

return init
