-- Slices of a scan as pictures for figures.

local engine = require "hilum.engine"

local pictures = {}

local SMALLEST = 32 -- side of a picture in pixels

--- The square of pixels (from 1) around a box { first, size } with half of its extent around it, within an image of
--- { rows, columns }.
function pictures.window(nodule, info)
  local y, x, h, w = nodule.first[2], nodule.first[3], nodule.size[2], nodule.size[3]
  local side = math.min(math.max(SMALLEST, math.ceil(1.6 * math.max(h, w))), info.rows, info.columns)
  local function start(first, size, n) return math.max(1, math.min(first + size // 2 - side // 2, n - side + 1)) end
  return { y = start(y, h, info.rows), x = start(x, w, info.columns), side = side }
end

--- At most `most` of the slices first … last, the ends among them, evenly spread.
function pictures.chosen(first, last, most)
  local n, list = math.min(last - first + 1, most), {}
  for i = 1, n do
    list[i] = n == 1 and (first + last) // 2 or math.floor(first + (i - 1) * (last - first) / (n - 1) + 0.5)
  end
  return list
end

--- Grey values 0 to 255 of a window of slice k, row by row; hu: what is black and white.
function pictures.grey(voxels, k, w, hu)
  local part = voxels:slice(1, k):slice(2, w.y, w.y + w.side - 1):slice(3, w.x, w.x + w.side - 1)
  local values, rows = engine.window(part:to("f32"):dense("plain"):clone(), hu[1], hu[2]):table(), {}
  for y = 1, w.side do
    rows[y] = {}
    for x = 1, w.side do rows[y][x] = math.floor(255 * values[(y - 1) * w.side + x] + 0.5) end
  end
  return rows
end

--- With a minus sign of the width of digits.
function pictures.signed(form, x)
  return (string.format(form, x):gsub("-", "−"))
end

return pictures
