-- The consensus of readers' masks where they are tensors already (the engine does the same for outlines on scans).

local engine = require "hilum.engine"

local votes = {}

--- 1 where at least consensus_level of the readers drew; u8 like the masks (a list of at least one). of: protocol =
--- { consensus_level, consensus_of = "sessions" | "marks" }; `sessions`: how many readers looked at the images.
function votes.consensus(masks, sessions, protocol)
  local of = protocol.consensus_of == "marks" and #masks or sessions
  local needed = math.max(1, math.ceil(protocol.consensus_level * of - 1e-9))
  local sum = masks[1]:to "f32"
  for i = 2, #masks do sum = engine.op.add(sum, masks[i]:to "f32") end
  local agreed = engine.op.affine(sum, { shift = 1 - needed })
  return engine.op.clamp(agreed, { low = 0, high = 1 }):to "u8"
end

return votes
