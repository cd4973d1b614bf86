-- F of a coupling through slabs of z: of what lies inside only a few slices exist at a time.
--
-- A normalisation needs the statistics of the whole image first, so each one costs a pass of its own, and the backward
-- pass computes every slab once more: time is given for memory. Slabs carry a halo of as many slices as the windows of
-- the convolutions reach, cut off at the ends of the image, where zeros follow the activation as they do for the
-- whole image.

local engine = require "hilum.engine"
local basic = require "hilum.nn.basic"
local grid = require "hilum.nn.grid"
local norms = require "hilum.nn.norms"

local op = engine.op
local stream = {}

local function slices(x, first, last)
  local start, stop = { 0, 0, first, 0, 0 }, table.move(x.shape, 1, 5, 1, {})
  stop[3] = last
  return (op.slice(x, { start = start, stop = stop }))
end

local after

-- Slices [first, last) of the i-th convolution's result.
local function convolved(pass, i, first, last)
  local layer = pass.layers[i]
  local half = layer.kernel[1] // 2
  local low, high = math.max(0, first - half), math.min(pass.depth, last + half)
  local x = i == 1 and grid.off(slices(pass.x, low, high)) or after(pass, i - 1, low, high)
  local before, behind = half - (first - low), half - (high - last)
  if before + behind > 0 then x = op.pad(x, { before = { before, 0, 0 }, after = { behind, 0, 0 } }) end
  return basic.convolution(pass.b, x, layer:convolution { padding = { 0, layer.kernel[2] // 2, layer.kernel[3] // 2 } })
end

-- The same after normalisation, activation and dropout.
function after(pass, i, first, last)
  local layer, y = pass.layers[i], convolved(pass, i, first, last)
  if layer.norm then y = norms.given(pass.b, y, layer.norm, pass.statistics[i]) end
  return layer.activate(y)
end

-- Calls visit(first, last) for each slab.
local function each_slab(pass, thickness, visit)
  for first = 0, pass.depth - 1, thickness do visit(first, math.min(pass.depth, first + thickness)) end
end

-- The statistics of the i-th normalisation, gathered slab by slab.
local function gather(pass, i, thickness)
  local parts = {}
  each_slab(pass, thickness, function(first, last)
    parts[#parts + 1] = pass.b:again(function()
      return norms.measure(convolved(pass, i, first, last), pass.layers[i].norm)
    end)
  end)
  pass.statistics[i] = norms.pooled(pass.b, parts, pass.layers[i].norm)
end

--- F of x, which may lie on a grid, slab by slab: calls put(part, first) with slices of the result and where they
--- begin.
--- layers: list of { kernel, norm = what norms.apply takes or nil, convolution = function(layer, { padding }) what
--- basic.convolution takes, activate = function(y), with what follows it }.
function stream.run(b, x, layers, thickness, put)
  local pass = { b = b, x = x, layers = layers, depth = x.shape[3], statistics = {} }
  for i, layer in ipairs(layers) do
    if layer.norm and norms.measures(b, layer.norm) then gather(pass, i, thickness) end
  end
  each_slab(pass, thickness, function(first, last)
    put(b:again(function() return after(pass, #layers, first, last) end), first)
  end)
end

return stream
