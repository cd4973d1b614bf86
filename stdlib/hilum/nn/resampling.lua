-- The steps of an invertible network between couplings: each takes the parts of the state and returns the new
-- ones, as an invertible block.

local engine = require "hilum.engine"
local levels = require "hilum.nn.levels"
local orthogonal = require "hilum.nn.orthogonal"

local op = engine.op
local resampling = {}

function resampling.sizes_of(parts)
  local sizes = {}
  for i, part in ipairs(parts) do sizes[i] = part.shape[2] end
  return sizes
end

-- (n values…, one more) as arguments for an op with a matrix or attributes at the end.
local function with(parts, ...)
  local list = table.move(parts, 1, #parts, 1, {})
  for _, extra in ipairs { ... } do list[#list + 1] = extra end
  return table.unpack(list)
end

-- Matrices are given as functions: each body of a block makes its own, so that in rebuild mode not even they are
-- kept from the way forward.

--- The channels of the parts dealt out anew, multiplied by an orthogonal matrix() if there is one.
function resampling.repartition(b, parts, sizes, matrix, rebuild)
  local before = resampling.sizes_of(parts)
  return { b:invertible(parts, rebuild, function(...)
    if not matrix then return op.regroup(with({ ... }, { sizes = sizes })) end
    return op.mix(with({ ... }, matrix(), { sizes = sizes }))
  end, function(...)
    if not matrix then return op.regroup(with({ ... }, { sizes = before })) end
    return op.mix(with({ ... }, matrix(), { sizes = before, transpose = true }))
  end) }
end

--- Orthogonal resampling: every channel's block of σ voxels is rotated into σ channels ("down"), or back ("up").
--- o: { stride, direction, method, start, matrix, learnable }
function resampling.resample(b, parts, sizes, o, rebuild)
  local before = resampling.sizes_of(parts)
  local count = 0
  for _, size in ipairs(o.direction == "down" and before or sizes) do count = count + size end
  local function matrix()
    return orthogonal.matrix(b, {
      name = "resample.weight", n = levels.product(o.stride), count = count, method = o.method, start = o.start,
      stride = o.stride, matrix = o.matrix, learnable = o.learnable,
    })
  end
  local there, back = op.resample_down, op.resample_up
  if o.direction == "up" then there, back = back, there end
  return { b:invertible(parts, rebuild, function(...)
    return there(with({ ... }, matrix(), { stride = o.stride, sizes = sizes }))
  end, function(...)
    return back(with({ ... }, matrix(), { stride = o.stride, sizes = before }))
  end) }
end

return resampling
