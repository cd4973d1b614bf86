-- Numbers that are not finite (NaN, infinite): whether there are some, and which op of a program makes the first.

local engine = require "hilum.engine"

local finite = {}

local ROWS = 16 -- images of a batch that are named at most
local fast = { f32 = true, bf16 = true } -- element types of the kernels

function finite.is(x)
  return x - x == 0
end

--- NaN has no sign worth telling.
function finite.text(x)
  return x ~= x and "nan" or string.format("%g", x)
end

--- How many numbers of a tensor are not finite, and its stats.
function finite.count(tensor)
  local s = tensor:stats()
  return s.nan + s.infinite, s
end

-- The largest size of a number is NaN if one is: by the kernel, on all threads.
local function has_bad(tensor)
  if tensor.dtype:find "^q%d" then return false end -- fixed point has no such numbers
  if not fast[tensor.dtype] then return finite.count(tensor) > 0 end
  local largest <close> = engine.op.total_norm(tensor, { order = "inf" })
  return not finite.is(largest:table()[1])
end

-- Positions along n of those images that hold such numbers.
local function rows_of(tensor)
  local rows = {}
  for i = 1, tensor.shape[1] do
    local one <close> = tensor:slice(1, i)
    if #rows < ROWS and has_bad(one) then rows[#rows + 1] = i end
  end
  return rows
end

local function describe(step, tensor)
  local bad = finite.count(tensor)
  local image = tensor.layout == "image"
  return { op = step.op, place = step.place, backward = step.backward, numbers = #tensor, bad = bad,
    images = image and tensor.shape[1] or 0, rows = image and rows_of(tensor) or {} }
end

--- Runs a program, looking at the result of every op, until one is not finite. Returns { op = its name (of a chain:
--- those of its ops), place = in the model, backward, numbers = in that result, bad = how many of them, images = in
--- the batch (0 if the result is no image), rows = those of them that hold bad ones, 16 at most }; nil if all is
--- finite; nil and a problem if the user asked to stop.
function finite.search(program, inputs)
  local found
  local out, err = program:run(inputs, function(step)
    for _, tensor in ipairs(step.out) do
      if not found and has_bad(tensor) then found = describe(step, tensor) end
      tensor:free()
    end
    for _, tensor in ipairs(step.input) do tensor:free() end
    return found and "found" or nil
  end)
  for _, tensor in ipairs(out or {}) do tensor:free() end
  if found or out then return found end
  return nil, err
end

return finite
