-- What a mask on a scan's own grid holds: its connected parts, measured.

local engine = require "hilum.engine"
local grids = require "hilum.grid"

local parts = {}

local CONNECTIVITY = 26

local function box_of(t, part)
  for a = 1, 3 do t = t:slice(a, part.first[a], part.first[a] + part.size[a] - 1) end
  return t:clone()
end

-- 1 where the labels on a part's box are k.
local function own_mask(labels, part, k)
  local box <close> = box_of(labels, part)
  local number <close> = box:to "f64"
  local wanted <close> = engine.zeros(number.shape, { dtype = "f64" })
  wanted:fill(k)
  local same <close> = engine.op.equal(number, wanted)
  return same:to "u8"
end

-- Slices have the thickness that lies around them: steps may be uneven.
local function volume_of(mask, part, grid)
  local real <close> = mask:to "f32"
  local counts, volume = engine.op.sum(real, { axes = { 2, 3 } }):table(), 0
  for i, n in ipairs(counts) do volume = volume + n * grids.thickness_mm(grid, part.first[1] + i - 1) end
  return volume * grid.spacing_mm[2] * grid.spacing_mm[3]
end

local function row_of(labels, part, k, grid, probability)
  local mask <close> = own_mask(labels, part, k)
  local values <close> = box_of(probability, part)
  local inside, volume = engine.mask_inside(mask, values), volume_of(mask, part, grid)
  local row = { number = k, voxels = part.voxels, volume_mm3 = volume,
    equivalent_diameter_mm = (6 * volume / math.pi) ^ (1 / 3), centre = part.centre, centre_mm = {},
    first = part.first, size = part.size,
    probability_mean = inside.mean, probability_max = inside.max }
  for a = 1, 3 do row.centre_mm[a] = grids.position(grid, a, part.centre[a]) end
  return row
end

--- The parts of a mask (u8 [z,y,x]; voxels that touch by a corner are one) with the probabilities behind it: list of
--- { number, voxels, volume_mm3, equivalent_diameter_mm (of the sphere with this volume), centre (mean index, from 1),
--- centre_mm, first, size (of the box), probability_mean, probability_max }; and the labels, i32. Numbers run in the
--- order of slices.
function parts.of(mask, probability, grid)
  local labels, found = engine.mask_parts(mask, CONNECTIVITY)
  local rows = {}
  for k, part in ipairs(found) do rows[k] = row_of(labels, part, k, grid, probability) end
  return rows, labels
end

-- Of an index from a box, in voxels.
local function distance(row, index)
  local sum = 0
  for a = 1, 3 do
    local nearest = math.max(row.first[a], math.min(row.first[a] + row.size[a] - 1, index[a]))
    sum = sum + (nearest - index[a]) ^ 2
  end
  return sum
end

--- The number of the part at an index (from 1): the one with that voxel, else the one whose box is nearest, if the box
--- lies within `reach` voxels along each axis; nil where there is none.
function parts.at(rows, labels, index, reach)
  local z, y, x = math.floor(index[1] + 0.5), math.floor(index[2] + 0.5), math.floor(index[3] + 0.5)
  local there = math.tointeger(labels:get(z, y, x))
  if there > 0 then return there end
  local best, least
  for k, row in ipairs(rows) do
    local near, d = true, distance(row, index)
    for a = 1, 3 do
      near = near and row.first[a] <= index[a] + reach[a] and row.first[a] + row.size[a] - 1 >= index[a] - reach[a]
    end
    if near and (not least or d < least) then best, least = k, d end
  end
  return best
end

return parts
