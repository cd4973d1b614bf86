-- Going back through a network whose invertible steps were collected (see builder.new).

local steps = {}

-- Goes back through a step at the place where it was recorded, so that its parameters are found again.
local function back_through(b, step, ...)
  local path, dimensions = b.path, b.dimensions
  b.path, b.dimensions = table.move(step.path, 1, #step.path, 1, {}), step.dimensions
  local result = table.pack(step.inverse(...))
  b.path, b.dimensions = path, dimensions
  return table.unpack(result, 1, result.n)
end

local function look_up(now, values)
  local found = {}
  for i, v in ipairs(values) do found[i] = now[v] or v end
  return found
end

--- Rebuilds every step's inputs from its outputs, the last one first. now[value]: what stands for a value of the
--- way forward (others stand for themselves) and takes what is rebuilt. visit(place, parts, rebuilt) is told of each
--- marked state that is reached; exact(path), optional, says which steps are stored and not rebuilt.
function steps.unwind(b, list, now, visit, exact)
  for i = #list, 1, -1 do
    local step = list[i]
    if step.mark then
      if visit then visit(step.mark, step.parts, look_up(now, step.parts)) end
    elseif exact and exact(step.path) then
      for _, v in ipairs(step.inputs) do now[v] = nil end
    else
      local back = table.pack(back_through(b, step, table.unpack(look_up(now, step.outputs))))
      for k, v in ipairs(step.inputs) do now[v] = back[k] end
    end
  end
end

return steps
