-- Outlines of what lies above a level in a picture: marching squares (Lorensen and Cline 1987, in the plane).

local contour = {}

-- Which edges of a square a line joins, by its corners above the level: top left 1, top right 2, bottom right 4,
-- bottom left 8. Edges: 1 top, 2 right, 3 bottom, 4 left. In 5 and 10 the middle decides, see below.
local lines = {
  [0] = {}, { 4, 1 }, { 1, 2 }, { 4, 2 }, { 2, 3 }, nil, { 1, 3 }, { 4, 3 }, { 3, 4 }, { 3, 1 }, nil, { 3, 2 },
  { 2, 4 }, { 2, 1 }, { 1, 4 }, {},
}
local apart, joined = { { 4, 1, 2, 3 }, { 1, 2, 3, 4 } }, { { 1, 2, 3, 4 }, { 4, 1, 2, 3 } }

local function saddle(case, middle_above)
  local which = case == 5 and 1 or 2
  return (middle_above and joined or apart)[which]
end

-- Where the level lies between a and b, 0 to 1.
local function crossing(a, b, level)
  return a == b and 0.5 or (level - a) / (b - a)
end

local function forget(list, key)
  for i = #list, 1, -1 do
    if list[i] == key then return table.remove(list, i) end
  end
end

-- Walks along the neighbours of a crossing, forgetting each step, until there is none left.
local function walk(start, neighbours, places)
  local line, here = { places[start] }, start
  while #neighbours[here] > 0 do
    local there = table.remove(neighbours[here])
    forget(neighbours[there], here)
    line[#line + 1] = places[there]
    here = there
  end
  return line
end

--- Closed lines around what is above `level`. value(y, x) for 1 ≤ y ≤ height, 1 ≤ x ≤ width; everything beyond is
--- below. Returns a list of lines, each a list of points { x, y } in pixels, where 1, 1 is the middle of the first
--- one. First and last point are the same.
function contour.lines(value, height, width, level)
  local neighbours, places, order = {}, {}, {}
  local function at(y, x)
    if y < 1 or x < 1 or y > height or x > width then return level - 1 end
    return value(y, x)
  end
  -- An edge is named by its pixel and whether it runs down (1) or right (0) from there.
  local function point(y, x, down, a, b)
    local key = ((y + 1) * (width + 4) + x + 1) * 2 + down
    if not places[key] then
      local t = crossing(a, b, level)
      places[key], neighbours[key] = { x + (1 - down) * t, y + down * t }, {}
      order[#order + 1] = key
    end
    return key
  end
  local function square(y, x)
    local a, b, c, d = at(y, x), at(y, x + 1), at(y + 1, x + 1), at(y + 1, x)
    local case = (a > level and 1 or 0) + (b > level and 2 or 0) + (c > level and 4 or 0) + (d > level and 8 or 0)
    local ends = lines[case] or saddle(case, (a + b + c + d) / 4 > level)
    local function edge(i)
      if i == 1 then return point(y, x, 0, a, b) end
      if i == 2 then return point(y, x + 1, 1, b, c) end
      if i == 3 then return point(y + 1, x, 0, d, c) end
      return point(y, x, 1, a, d)
    end
    for i = 1, #ends, 2 do
      local p, q = edge(ends[i]), edge(ends[i + 1])
      table.insert(neighbours[p], q)
      table.insert(neighbours[q], p)
    end
  end
  for y = 0, height do
    for x = 0, width do square(y, x) end
  end
  local result = {}
  for _, key in ipairs(order) do
    if #neighbours[key] > 0 then result[#result + 1] = walk(key, neighbours, places) end
  end
  return result
end

return contour
