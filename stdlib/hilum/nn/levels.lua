-- The resolutions of a U-shaped network: strides, their products, what a size must be divisible by.

local schema = require "hilum.schema"

local levels = {}

--- Voxels of a window.
function levels.product(stride)
  return stride[1] * stride[2] * stride[3]
end

--- Plain { z, y, x } with 1 along the axes that an image of one or two dimensions lacks (z, then y).
function levels.kernel(zyx, dimensions)
  local plain = table.move(zyx, 1, 3, 1, {})
  for i = 1, 3 - (dimensions or 3) do plain[i] = 1 end
  return plain
end

--- The field `strides`: one entry per step between levels; a number or { z, y, x }.
function levels.field()
  return schema.optional(schema.list(schema.zyx { min = 1, max = 8 }, {
    min = 1, doc = "resampling stride of each level, z, y, x (default: 2 everywhere)",
  }))
end

--- Plain { z, y, x } strides, one per step: given, or 2 along every axis that the image has.
function levels.strides(given, steps, dimensions)
  local list = {}
  for i = 1, steps do
    list[i] = levels.kernel(given and given[i] or { 2, 2, 2 }, dimensions)
  end
  return list
end

--- total[i]: stride of level i relative to the input; total[1] = { 1, 1, 1 }.
function levels.totals(strides)
  local totals = { { 1, 1, 1 } }
  for i, s in ipairs(strides) do
    local t = totals[i]
    totals[i + 1] = { t[1] * s[1], t[2] * s[2], t[3] * s[3] }
  end
  return totals
end

--- The level at which a scale is predicted: the one whose largest stride equals it. nil if there is none.
function levels.of_scale(totals, scale)
  for i, t in ipairs(totals) do
    if math.max(t[1], t[2], t[3]) == scale then return i end
  end
end

--- Problems of scales that no level has, for a constructor's check.
function levels.check_scales(self, report, steps, dimensions)
  if self.strides and #self.strides ~= steps then
    report("strides", string.format("expected %d, one between each two of the %d levels, got %d", steps,
      steps + 1, #self.strides))
    return
  end
  local totals = levels.totals(levels.strides(self.strides, steps, dimensions))
  local known = {}
  for i, t in ipairs(totals) do known[i] = tostring(math.max(t[1], t[2], t[3])) end
  local seen = {}
  for i, scale in ipairs(self.heads.scales) do
    if not levels.of_scale(totals, scale) then
      report(string.format("heads.scales[%d]", i), string.format(
        "no level has the scale %d (the levels' scales are %s)", scale, table.concat(known, ", ")))
    elseif seen[scale] then
      report(string.format("heads.scales[%d]", i), string.format("scale %d is listed twice", scale))
    end
    seen[scale] = true
  end
  if not seen[1] then report("heads.scales", "scale 1, the prediction itself, is missing") end
end

--- Raises unless z, y, x of the value are divisible by the total stride.
function levels.check_size(x, totals)
  local deepest = totals[#totals]
  for i, axis in ipairs { "z", "y", "x" } do
    local size = x.shape[2 + i]
    if size % deepest[i] ~= 0 then
      error(string.format("size %d along %s is not divisible by the network's total stride %d: use %d or %d",
        size, axis, deepest[i], size // deepest[i] * deepest[i], (size // deepest[i] + 1) * deepest[i]), 0)
    end
  end
end

return levels
