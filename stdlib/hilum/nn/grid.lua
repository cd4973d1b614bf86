-- The state of an invertible network whose images are bf16: fixed point in 16 bits. What a coupling adds can then be
-- taken away again bit for bit, and what a matrix does is undone bit for bit (engine/ops/lift.h). A bf16 state would
-- come back with an error of 2⁻⁹ of each number at every coupling. Other layers compute on bf16 copies of the state.

local engine = require "hilum.engine"

local op = engine.op
local grid = {}

--- Whether a value lies on such a grid.
function grid.is_fixed(x)
  return x.dtype:find "^q%d" ~= nil
end

--- x as an element type, which it may have already.
function grid.to(x, dtype)
  return x.dtype == dtype and x or (op.cast(x, { to = dtype }))
end

--- x as an invertible network keeps it: on a grid where images are bf16.
function grid.on(x, steps)
  return x.dtype == "bf16" and grid.to(x, steps) or x
end

--- x as layers compute with it: bf16 for what lies on a grid.
function grid.off(x)
  return grid.is_fixed(x) and grid.to(x, "bf16") or x
end

--- x as statistics are computed from it: f32 for what is narrower.
function grid.wide(x)
  return (grid.is_fixed(x) or x.dtype == "bf16") and grid.to(x, "f32") or x
end

--- All of a list as an element type.
function grid.all_to(list, dtype)
  local all = {}
  for i, x in ipairs(list) do all[i] = grid.to(x, dtype) end
  return all
end

return grid
