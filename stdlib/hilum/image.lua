-- Image maths: looking between voxels, resampling in mm, filters, and the shape of masks.
--
-- An image is a plain tensor of z, y, x (f32, f64, i16 or u8; results are f64 for f64, else f32), a mask one of
-- u8 where every value but 0 is "in". Vectors are z, y, x. Wrong arguments raise. Beyond its ends an axis goes on
-- as `boundary` says:
--   "edge"      a a | a b c | c c     the end sample (the default)
--   "mirror"    c b | a b c | b a     about the end sample
--   "reflect"   b a | a b c | c b     about the edge
--   "wrap"      b c | a b c | a b     once more from the other end
--   "blend"     `outside`, and neighbours are blended with it
--   "constant"  `outside` for every coordinate beyond the first and last sample
--   "overlap"   like "wrap", the last sample standing for the first

local engine = require "hilum.engine"

local image = {}

-- Indices count from 1 here, from 0 in the engine.
local function from_zero(points)
  local t = points:to("f64"):dense "plain"
  return t:clone():copy_(engine.op.sub(t, engine.from(1, { dtype = "f64" })))
end

--- Values at continuous indices: points is a tensor [3,n] with the rows z, y, x, the first voxel's centre at 1.
--- how: { kind = "nearest" | "linear" (default) | "cubic" (B-spline), boundary, outside }. Returns a tensor [n].
function image.at(t, points, how)
  return engine.sample_points(t, from_zero(points), how or {})
end

--- Through an affine map: voxel o of the result is the image at matrix · o + offset, both indices from 0 at the
--- first voxel's centre. how: { size = { z, y, x } (default: the image's), matrix = 9 numbers in rows, offset, kind,
--- boundary, outside }.
function image.affine(t, how)
  local full = { size = t.shape }
  for key, value in pairs(how) do full[key] = value end
  return engine.sample_affine(t, full)
end

--- Between axis-aligned grids in mm: how = { from = { spacing_mm, origin_mm, z_mm (of each slice, where they are
--- uneven) }, to = { size, spacing_mm, origin_mm },
--- kind = "nearest" | "linear" (default) | "cubic" | "area" (the mean over the output voxel's box), outside,
--- type = "f32" (default) | "f64" }. Origins are those of the first voxel's centre, by default 0.
function image.resample(t, how)
  return engine.resample(t, how)
end

--- Convolution with a Gaussian: how = { sigma = { z, y, x } in voxels (0: not along this axis), truncate = 4,
--- boundary, outside }. f32 or f64.
function image.gaussian(t, how)
  return engine.gaussian(t, how)
end

--- (clip(x, low, high) - low) / (high - low) of a new tensor, f32, or f64 for f64.
function image.window(t, low, high)
  return engine.window(t:clone():to(t.dtype == "f64" and "f64" or "f32"), low, high)
end

--- Grows ("dilate"), shrinks ("erode"), "open"s or "close"s a mask. connectivity: 6 (default), 18 or 26.
function image.morph(mask, what, connectivity, iterations)
  return engine.mask_morph(mask, what, connectivity, iterations)
end

--- A mask without the holes that no path of voxels outside it leads out of.
function image.fill_holes(mask, connectivity)
  return engine.mask_fill_holes(mask, connectivity)
end

--- Connected parts: labels (i32, in the order of first voxels in memory), and for each { voxels, centre (mean
--- index), first, size (of its box) }.
function image.parts(mask, connectivity)
  return engine.mask_parts(mask, connectivity)
end

--- Euclidean distance in mm of each voxel in the mask to the nearest one outside it; infinite without one.
function image.distance(mask, spacing_mm, type)
  return engine.mask_distance(mask, { spacing_mm = spacing_mm, type = type })
end

return image
