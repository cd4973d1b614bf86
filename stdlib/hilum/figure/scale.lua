-- Scale bars: how long a part of a picture is.

local scale = {}

--- The longest of these lengths in mm that fits into a third of a picture of width × height pixels, each across_mm
--- wide, as a bar in its lower left corner: the two ends of the bar, and x, y, text of its label (pixels from 0). Empty
--- tables where the width of a pixel is not known.
function scale.bar(across_mm, width, height)
  if type(across_mm) ~= "number" or not (across_mm > 0 and across_mm < math.huge) then return {}, {} end
  local length
  for _, mm in ipairs { 1, 2, 5, 10, 20, 50, 100 } do
    if mm / across_mm <= width / 3 then length = mm end
  end
  if not length then return {}, {} end
  local x, y = width * 0.06 - 0.5, height * 0.93 - 0.5
  return { { x, y }, { x + length / across_mm, y } },
    { { x + length / across_mm + width * 0.04, y, string.format("%d mm", length) } }
end

return scale
