-- Where the time of a step goes: an observer of its ops.
--
--   local p = profile.new()
--   step:run(batch, p.observe)
--   print(p:table(engine.machine()))

local profile = {}
profile.__index = profile

-- Multiply-adds of a plain convolution count as two operations, those with the padding included: 2 · elements of the
-- result · (elements of a filter). Which tensors are the result and the filter, of each op.
local convolutions = {
  conv = function(s) return s.out[1], s.input[2] end,
  conv_grad_input = function(s) return s.input[1], s.input[2] end,
  conv_grad_weight = function(s) return s.input[2], s.out[1] end,
  conv_norm = function(s) return s.out[1], s.input[2] end,
  conv_norm_grad_weight = function(s) return s.input[2], s.out[1] end,
  conv_grad_input_add = function(s) return s.input[2], s.input[3] end,
}

local function work_of(step)
  local which = convolutions[step.op]
  if not which then return 0 end
  local y, w = which(step)
  return 2 * #y * (#w // w.shape[1])
end

local function bytes_of(step)
  local n = 0
  for _, list in ipairs { step.input, step.out } do
    for _, t in ipairs(list) do n = n + t.bytes end
  end
  return n
end

--- Lets go of the tensors of an op that an observer was told about; at once, because they are large.
function profile.let_go(step)
  for _, list in ipairs { step.input, step.out } do
    for _, t in ipairs(list) do t:free() end
  end
end

--- A profile; p.observe goes to a trainer's run. It may watch several runs.
function profile.new()
  local p = setmetatable({ rows = {}, by_key = {}, seconds = 0 }, profile)
  function p.observe(step)
    local key = step.op .. (step.backward and " backward" or "")
    local row = p.by_key[key]
    if not row then
      row = { op = step.op, backward = step.backward, calls = 0, seconds = 0, bytes = 0, work = 0 }
      p.by_key[key], p.rows[#p.rows + 1] = row, row
    end
    row.calls, row.seconds = row.calls + 1, row.seconds + step.seconds
    row.bytes, row.work = row.bytes + bytes_of(step), row.work + work_of(step)
    p.seconds = p.seconds + step.seconds
    profile.let_go(step)
  end
  return p
end

--- The kinds of ops, the slowest first: { op, backward, calls, seconds, bytes (inputs and results, once each), work
--- (operations of convolutions), share } …
function profile:list()
  local rows = table.move(self.rows, 1, #self.rows, 1, {})
  table.sort(rows, function(a, b)
    if a.seconds ~= b.seconds then return a.seconds > b.seconds end
    return a.op < b.op
  end)
  for _, row in ipairs(rows) do row.share = row.seconds / self.seconds end
  return rows
end

--- As text. machine: the peaks { triad, multiply_add } that rates are compared with.
function profile:table(machine)
  local lines = { string.format("%-44s %-8s %6s %9s %6s %10s %10s %8s", "op", "pass", "calls", "seconds", "share",
    "GB/s", "GF/s", "of peak") }
  for _, row in ipairs(self:list()) do
    local gb, gf = row.bytes / row.seconds, row.work / row.seconds
    local peak = row.work > 0 and gf / machine.multiply_add or gb / machine.triad
    lines[#lines + 1] = string.format("%-44s %-8s %6d %9.3f %5.1f%% %10.1f %10s %7.0f%%", row.op:sub(1, 44),
      row.backward and "backward" or "forward", row.calls, row.seconds, 100 * row.share, gb / 1e9,
      row.work > 0 and string.format("%.0f", gf / 1e9) or "", 100 * peak)
  end
  return table.concat(lines, "\n")
end

return profile
