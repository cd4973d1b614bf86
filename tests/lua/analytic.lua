-- Samples of known equation, for tests of augmentation.
local engine = require "hilum.engine"

local analytic = {}

--- f(z, y, x), indices from 0, on a grid as {1,1,z,y,x}.
function analytic.image(size, f, dtype)
  local flat = {}
  for z = 0, size[1] - 1 do
    for y = 0, size[2] - 1 do
      for x = 0, size[3] - 1 do flat[#flat + 1] = f(z, y, x) end
    end
  end
  return engine.from(flat, { dtype = dtype or "f32" }):reshape({ 1, 1, size[1], size[2], size[3] }):dense "image"
end

function analytic.mask(size, inside)
  return analytic.image(size, function(z, y, x) return inside(z, y, x) and 1 or 0 end, "u8")
end

function analytic.ones(size)
  return analytic.mask(size, function() return true end)
end

--- The middle of a grid.
function analytic.middle(size)
  return (size[1] - 1) / 2, (size[2] - 1) / 2, (size[3] - 1) / 2
end

--- A smooth image, between 0 and 1.
function analytic.smooth(z, y, x)
  return 0.5 + 0.15 * math.sin(0.31 * z + 0.2) + 0.15 * math.cos(0.27 * y - 0.1 * x) + 0.1 * math.sin(0.23 * x)
end

function analytic.sample(size, image, truth)
  return { image = analytic.image(size, image), truth = truth and analytic.mask(size, truth) or analytic.ones(size),
    valid = analytic.ones(size) }
end

--- The largest difference of two tensors where `where` (optional) is not 0; and how many voxels count.
function analytic.worst(a, b, where)
  local p, q, w = a:table(), b:table(), where and where:table()
  local most, n = 0, 0
  for i = 1, #p do
    if not w or w[i] ~= 0 then
      most, n = math.max(most, math.abs(p[i] - q[i])), n + 1
    end
  end
  return most, n
end

--- Mean and standard deviation of a list.
function analytic.moments(list)
  local sum, square = 0, 0
  for _, x in ipairs(list) do sum = sum + x end
  local mean = sum / #list
  for _, x in ipairs(list) do square = square + (x - mean) ^ 2 end
  return mean, math.sqrt(square / #list)
end

--- Centre of mass of a tensor {1,1,z,y,x}.
function analytic.centre(t)
  local s, v, i, sum, at = t.shape, t:table(), 0, 0, { 0, 0, 0 }
  for z = 0, s[3] - 1 do
    for y = 0, s[4] - 1 do
      for x = 0, s[5] - 1 do
        i = i + 1
        sum = sum + v[i]
        at[1], at[2], at[3] = at[1] + z * v[i], at[2] + y * v[i], at[3] + x * v[i]
      end
    end
  end
  return { at[1] / sum, at[2] / sum, at[3] / sum }, sum
end

return analytic
