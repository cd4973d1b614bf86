-- Maps of voxels, of which an augmentation's geometric members are made into one.
--
-- A map says where a voxel of the result comes from: affine { matrix = 9 numbers in rows, offset = { z, y, x } },
-- indices from 0 at the first voxel's centre, or elastic { bend = { step, by } } (hilum/warp.h).

local map = {}

function map.identity()
  return { matrix = { 1, 0, 0, 0, 1, 0, 0, 0, 1 }, offset = { 0, 0, 0 } }
end

--- outer(inner(o)) of affine maps.
function map.compose(outer, inner)
  local m, offset = {}, {}
  for i = 0, 2 do
    local sum = outer.offset[i + 1]
    for j = 0, 2 do
      local entry = 0
      for k = 0, 2 do entry = entry + outer.matrix[3 * i + k + 1] * inner.matrix[3 * k + j + 1] end
      m[3 * i + j + 1] = entry
      sum = sum + outer.matrix[3 * i + j + 1] * inner.offset[j + 1]
    end
    offset[i + 1] = sum
  end
  return { matrix = m, offset = offset }
end

--- The linear map about the middle of an image of `size` voxels.
function map.about_middle(matrix, size)
  local offset = {}
  for i = 0, 2 do
    local sum = (size[i + 1] - 1) / 2
    for j = 0, 2 do sum = sum - matrix[3 * i + j + 1] * (size[j + 1] - 1) / 2 end
    offset[i + 1] = sum
  end
  return { matrix = matrix, offset = offset }
end

--- A turn by an angle in the plane of two axes (1 z, 2 y, 3 x), from the first towards the second, as a matrix of mm;
--- cos and sin of the angle.
function map.turn(first, second, cos, sin)
  local m = map.identity().matrix
  m[3 * (first - 1) + first], m[3 * (first - 1) + second] = cos, sin
  m[3 * (second - 1) + first], m[3 * (second - 1) + second] = -sin, cos
  return m
end

--- A matrix of mm as one of voxels.
function map.in_voxels(matrix, spacing_mm)
  local m = {}
  for i = 0, 2 do
    for j = 0, 2 do m[3 * i + j + 1] = matrix[3 * i + j + 1] * spacing_mm[j + 1] / spacing_mm[i + 1] end
  end
  return m
end

--- Maps in the order in which they are applied to an image, as steps for engine.warp: all that is affine between two
--- elastic ones is one.
function map.steps(maps)
  local steps, so_far = {}, map.identity()
  for i = #maps, 1, -1 do
    local one = maps[i]
    if one.bend then
      so_far.bend = one.bend
      steps[#steps + 1], so_far = so_far, map.identity()
    else
      so_far = map.compose(one, so_far)
    end
  end
  steps[#steps + 1] = so_far
  return steps
end

return map
