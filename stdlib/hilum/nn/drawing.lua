-- A U-shaped network as text: one line a level, the way down on the left, the way up on the right.

local progress = require "hilum.progress"

local drawing = {}

local ELEMENT = { f64 = 8, f32 = 4, bf16 = 2 }

-- "16 × 32 × 32 × 32  2.0 MiB  7056 parameters"
local function text_of(layer, dtype)
  local bytes, sizes = ELEMENT[dtype] or 4, {}
  for i, n in ipairs(layer.shape) do
    bytes = bytes * n
    if i > 1 then sizes[#sizes + 1] = tostring(n) end
  end
  return string.format("%s  %s  %d parameters", table.concat(sizes, " × "), progress.bytes(bytes), layer.parameters)
end

-- The U-shaped networks among the layers: { { place, down = { … }, up = { … }, heads = { [level] = text } } … }.
local function networks(layers)
  local found, by_place = {}, {}
  for _, layer in ipairs(layers) do
    local place, side, level, rest = layer.place:match "^(.*unet)%.(%a+)%[(%d+)%](.*)$"
    if place and (side == "down" or side == "up") then
      local net = by_place[place] or { place = place, down = {}, up = {}, heads = {} }
      if not by_place[place] then
        by_place[place], found[#found + 1] = net, net
      end
      if rest == "" then net[side][tonumber(level)] = layer end
      if rest:find "^%.head" then net.heads[tonumber(level)] = rest:match "%[(.*)%]" end
    end
  end
  return found
end

local function draw(net, dtype)
  local left, right, widest, lines = {}, {}, 0, { net.place }
  for i, layer in ipairs(net.down) do
    left[i] = ("   "):rep(i - 1) .. (i > 1 and "↘ " or "  ") .. text_of(layer, dtype)
    widest = math.max(widest, utf8.len(left[i]))
    local up = net.up[i]
    right[i] = up and text_of(up, dtype) .. (i > 1 and " ↗" or "") or ""
    if net.heads[i] then right[i] = right[i] .. "  head at stride " .. net.heads[i] end
  end
  for i, text in ipairs(left) do
    local bridge = net.up[i] and " " .. ("─"):rep(widest - utf8.len(text) + 4) .. "▷ " or ""
    lines[#lines + 1] = "  " .. text .. bridge .. right[i]
  end
  return table.concat(lines, "\n")
end

--- The U-shaped networks among noted layers (see builder:note), drawn; "" if there are none. Bytes are those of the
--- state that a level holds.
function drawing.text(layers, dtype)
  local texts = {}
  for i, net in ipairs(networks(layers)) do texts[i] = draw(net, dtype) end
  return table.concat(texts, "\n")
end

return drawing
