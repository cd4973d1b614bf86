-- Where channels are mixed in an invertible U-Net.

local mixing = {}

--- The name of the mixing that follows coupling j of `count` on a side of a level, or nil. frequency −1: after the
--- last coupling of the way down and the first of the way up, above the deepest level; 0: never; n: after every
--- n-th coupling.
function mixing.name(frequency, side, j, count, deepest)
  if frequency == 0 then return nil end
  if frequency < 0 then
    local at = side == "down" and count or 1
    return j == at and not deepest and "mix.weight" or nil
  end
  return j % frequency == 0 and string.format("mix[%d].weight", j) or nil
end

return mixing
