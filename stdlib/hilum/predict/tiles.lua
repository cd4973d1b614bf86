-- A large image in overlapping tiles, blended with Gaussian weights.
--
-- Each voxel of a tile counts with the product over the axes of exp(-(i - middle)² / (2 σ²)), σ an eighth of the tile's
-- side; a voxel of the image is the weighted mean over the tiles that hold it. So the weights of a voxel sum to one,
-- what every tile agrees on comes out as it is, and a tile's border, where the network sees least, counts least.

local engine = require "hilum.engine"

local op = engine.op
local tiles = {}

local SIGMA = 1 / 8 -- of the side

--- First voxels (from 1) of tiles of `side` over n ≥ side voxels: evenly spread, neighbours share at least this part.
function tiles.starts(n, side, overlap)
  local step = math.max(1, math.floor(side * (1 - overlap)))
  local count = math.ceil((n - side) / step) + 1
  local list = {}
  for i = 1, count do
    list[i] = count == 1 and 1 or 1 + math.floor((i - 1) * (n - side) / (count - 1) + 0.5)
  end
  return list
end

local function gaussian(side, shape)
  local values, middle = {}, (side + 1) / 2
  for i = 1, side do values[i] = math.exp(-((i - middle) / (SIGMA * side)) ^ 2 / 2) end
  return engine.from(values, { dtype = "f32" }):reshape(shape)
end

--- The weights of a tile: f32 [z,y,x].
function tiles.weights(size)
  local plane <close> = op.mul(gaussian(size[2], { 1, size[2], 1 }), gaussian(size[3], { 1, 1, size[3] }))
  return (op.mul(gaussian(size[1], { size[1], 1, 1 }), plane))
end

-- The part of t [z,y,x] that a tile covers: a view.
local function place(t, at, size)
  for a = 1, 3 do t = t:slice(a, at[a], at[a] + size[a] - 1) end
  return t
end

local function add_to(sum, at, size, values)
  local view <close> = place(sum, at, size)
  local more <close> = op.add(view:clone(), values)
  view:copy_(more)
end

--- The blend over an image of `whole` voxels: predict(first, i, n) gives the probabilities [z,y,x] of the tile whose
--- first voxel is `first` (from 1), or nil and a problem; the tile is as large as `size`, which fits into the whole.
--- overlap: 0 … below 1. Returns f32 [z,y,x], or nil and a problem.
function tiles.blend(whole, size, overlap, predict)
  local sum = engine.zeros(whole, { dtype = "f32", category = "data" })
  local weight <close> = engine.zeros(whole, { dtype = "f32", category = "data" })
  local own <close> = tiles.weights(size)
  local starts, n, i = {}, 1, 0
  for a = 1, 3 do
    starts[a] = tiles.starts(whole[a], size[a], overlap)
    n = n * #starts[a]
  end
  for _, z in ipairs(starts[1]) do
    for _, y in ipairs(starts[2]) do
      for _, x in ipairs(starts[3]) do
        i = i + 1
        local found <close>, err = predict({ z, y, x }, i, n)
        if not found then return nil, err end
        local weighted <close> = op.mul(found, own)
        add_to(sum, { z, y, x }, size, weighted)
        add_to(weight, { z, y, x }, size, own)
      end
    end
  end
  return (op.div(sum, weight))
end

return tiles
