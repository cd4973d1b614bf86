-- A prediction in words: what the command and the prompt print.

local text = {}

local MOST_ROWS = 20

--- "2 × 3 × 4"
function text.by(v, form)
  return string.format(form .. " × " .. form .. " × " .. form, v[1], v[2], v[3])
end

--- The table of parts, the largest first, by add(format, …).
function text.parts(add, rows)
  if #rows == 0 then return add "parts         none: no voxel is above the threshold" end
  add("parts         %d", #rows)
  add "    #   voxels  volume mm³  diameter mm   slice     row  column       z mm     y mm     x mm  probability"
  local order = table.move(rows, 1, #rows, 1, {})
  table.sort(order, function(a, b) return a.volume_mm3 > b.volume_mm3 end)
  for i = 1, math.min(#order, MOST_ROWS) do
    local r = order[i]
    local c, mm = r.centre, r.centre_mm
    add("%5d  %7d  %10.1f  %11.2f  %6.1f  %6.1f  %6.1f   %8.1f %8.1f %8.1f  %.2f mean, %.2f at most", r.number,
      r.voxels, r.volume_mm3, r.equivalent_diameter_mm, c[1], c[2], c[3], mm[1], mm[2], mm[3], r.probability_mean,
      r.probability_max)
  end
  if #order > MOST_ROWS then add("       and %d smaller ones (--json has all)", #order - MOST_ROWS) end
end

--- What lies at each position that was asked for.
function text.positions(add, positions)
  for i, at in ipairs(positions) do
    add("position %-4d %.1f, %.1f, %.1f: %s", i, at.index[1], at.index[2], at.index[3],
      at.part and "part " .. at.part or "nothing there")
  end
end

--- Both as one text.
function text.of(result)
  local lines = {}
  local function add(...) lines[#lines + 1] = string.format(...) end
  text.parts(add, result.parts)
  text.positions(add, result.positions)
  return table.concat(lines, "\n")
end

return text
