-- Grids of images in mm, as the engine takes them: { size, spacing_mm, origin_mm (of the first voxel's centre), z_mm
-- (of every slice, ascending, where steps may be uneven) }. Vectors are z, y, x; indices count from 1.

local grid = {}

--- Position in mm of a continuous index along an axis (1 z, 2 y, 3 x). Between slices and beyond the ends z goes on
--- with the neighbouring step.
function grid.position(g, axis, index)
  local z_mm = axis == 1 and g.z_mm
  if not z_mm then return g.origin_mm[axis] + (index - 1) * g.spacing_mm[axis] end
  if #z_mm == 1 then return z_mm[1] + (index - 1) * g.spacing_mm[1] end
  local low = math.max(1, math.min(#z_mm - 1, math.floor(index)))
  return z_mm[low] + (index - low) * (z_mm[low + 1] - z_mm[low])
end

--- The continuous index of a position along an axis.
function grid.index(g, axis, mm)
  local z_mm = axis == 1 and g.z_mm
  if not z_mm or #z_mm == 1 then
    return 1 + (mm - (z_mm and z_mm[1] or g.origin_mm[axis])) / g.spacing_mm[axis]
  end
  local low = 1
  while low < #z_mm - 1 and z_mm[low + 1] <= mm do low = low + 1 end
  return low + (mm - z_mm[low]) / (z_mm[low + 1] - z_mm[low])
end

--- Thickness of slice k: half the distance between its neighbours.
function grid.thickness_mm(g, k)
  local z_mm = g.z_mm
  if not z_mm or #z_mm == 1 then return g.spacing_mm[1] end
  local low, high = math.max(1, k - 1), math.min(#z_mm, k + 1)
  return (z_mm[high] - z_mm[low]) / (high - low)
end

--- size voxels of spacing_mm whose middle lies at centre_mm.
function grid.around(centre_mm, size, spacing_mm)
  local g = { size = {}, spacing_mm = {}, origin_mm = {} }
  for a = 1, 3 do
    g.size[a], g.spacing_mm[a] = size[a], spacing_mm[a]
    g.origin_mm[a] = centre_mm[a] - 0.5 * (size[a] - 1) * spacing_mm[a]
  end
  return g
end

--- The edges of a grid along an axis: of its first voxel and of its last.
function grid.edges(g, axis)
  return grid.position(g, axis, 0.5), grid.position(g, axis, g.size[axis] + 0.5)
end

--- size voxels from edge to edge of another grid.
function grid.over(g, size)
  local to = { size = {}, spacing_mm = {}, origin_mm = {} }
  for a = 1, 3 do
    local first, last = grid.edges(g, a)
    to.size[a], to.spacing_mm[a] = size[a], (last - first) / size[a]
    to.origin_mm[a] = first + to.spacing_mm[a] / 2
  end
  return to
end

--- The box of the voxels of g whose middles lie within another grid's edges: first, last; nil where there are none.
function grid.box_within(g, other)
  local first, last = {}, {}
  for a = 1, 3 do
    local low, high = grid.edges(other, a)
    first[a] = math.max(1, math.ceil(grid.index(g, a, low) - 1e-9))
    last[a] = math.min(g.size[a], math.floor(grid.index(g, a, high) + 1e-9))
    if first[a] > last[a] then return nil end
  end
  return first, last
end

--- The part of a grid from voxel `first` to `last`.
function grid.part(g, first, last)
  local to = { size = {}, spacing_mm = g.spacing_mm, origin_mm = {} }
  for a = 1, 3 do to.size[a], to.origin_mm[a] = last[a] - first[a] + 1, grid.position(g, a, first[a]) end
  to.z_mm = g.z_mm and table.move(g.z_mm, first[1], last[1], 1, {})
  return to
end

return grid
