-- Gradients at the prompt: every op is computed at once and noted on a tape, which is then played backwards.

local engine = require "hilum.engine"

local tape = {}

--- gradient(f, a, b, …): f is called with values standing for the tensors and returns one number made of
--- them by ops. Gives that number as a tensor, then its gradient with respect to each tensor.
---
---   local loss, dx, dw = hl.gradient(function(x, w) return hl.op.mean(hl.op.square(x * w)) end, x, w)
function tape.gradient(f, ...)
  local tensors = table.pack(...)
  if tensors.n == 0 then error("gradient: name at least one tensor to differentiate by", 2) end
  local program = engine.program { live = true }
  local values = {}
  for i = 1, tensors.n do
    values[i] = program:bind(string.format("argument %d", i), tensors[i], true)
  end
  local result = f(table.unpack(values, 1, tensors.n))
  if type(result) ~= "userdata" or not result.program then
    error("gradient: the function must return a value computed from its arguments by ops", 2)
  end
  local gradients = program:gradient(result, values)
  for i, g in ipairs(gradients) do gradients[i] = g:tensor() end
  return result:tensor(), table.unpack(gradients)
end

return tape
