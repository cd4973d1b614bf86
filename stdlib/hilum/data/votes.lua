-- The consensus of readers' masks where they are tensors already (the engine does the same for outlines on scans).

local engine = require "hilum.engine"
local schema = require "hilum.schema"

local votes = {}

--- The field `consensus` of sources whose readers drew masks.
function votes.field()
  return schema.record {
    doc = "when a voxel is nodule", default = {},
    fields = {
      level = schema.number { default = 0.5, above = 0, max = 1, doc = "share of the votes needed" },
      of = schema.one_of { "sessions", "marks", default = "sessions",
        doc = "of all readers, or of those who drew this nodule" },
    },
  }
end

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
