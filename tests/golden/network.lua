-- Networks in golden tests: built from hl.nn's own values, traced, their gradients taken with rebuilt and with
-- stored activations.

local engine = require "hilum.engine"
local builder = require "hilum.nn.builder"

local op = engine.op
local network = {}

--- The part of a network's largest gradient below which f32 sees what cancellation has left: with a tolerance of
--- 1e-3, sixteen units in the last place of the largest.
network.FLOOR = 1e-3

--- What bf16 may change in all gradients of a case together, beside what moved data do. Cases have few voxels: one
--- value of a few dozen on the other side of an activation's kink is enough for 0.18, the most seen in 300 cases.
network.KINK = 0.25

-- Of rebuilt and stored gradients, relative to the largest entry; in bf16 they are the same bits.
local AGREEMENT = { f64 = 1e-10, f32 = 1e-3, bf16 = 0 }

-- Copies the file's weights to where the network has them, which is known once it was traced.
local function load_weights(store, names, values)
  for theirs, ours in pairs(names) do
    local found = store.by_name[ours]
    if found and values[theirs] then
      local tensor = values[theirs]:tensor()
      if #tensor ~= #found.tensor then error("the size of " .. theirs .. " differs from that of " .. ours) end
      found.tensor:copy_(tensor:to(found.tensor.dtype):reshape(found.tensor.shape))
    end
  end
end

-- What the file may have gradients of: its names and the values, the input first.
local function differentiated(b, o, x)
  local ours, theirs, wrt = {}, { o.input or "x" }, { x }
  for _, t in ipairs(b.trainable) do ours[t.parameter.name] = t.value end
  for name, place in pairs(o.names) do
    if ours[place] then theirs[#theirs + 1], wrt[#wrt + 1] = name, ours[place] end
  end
  return theirs, wrt
end

--- One pass. o: { x (tensor), names, values, training, build = function(b, x) -> outputs by name, objective value or
--- nil, upstream = { [output] = tensor } }. Returns tensors: outputs and gradients by the file's names, states after
--- the pass by ours.
function network.run(o)
  local dtype = o.x.dtype
  local store = builder.store { dtype = dtype == "bf16" and "f32" or dtype, seed = 1 }
  local p = engine.program()
  local b = builder.new(p, store, { training = o.training })
  local x = p:bind("x", o.x, true)
  local outputs, objective = o.build(b, x)
  load_weights(store, o.names, o.values)
  for name, upstream in pairs(o.upstream or {}) do
    local out = outputs[name]
    local part = op.sum(op.mul(out, p:bind("upstream", upstream:to(dtype):reshape(out.shape):dense(out.layout), false)))
    objective = objective and op.add(objective, part) or part
  end
  local wanted, wrt = differentiated(b, o, x)
  local gradients, order = p:gradient(objective, wrt), {}
  for name, value in pairs(outputs) do
    p:output(value)
    order[#order + 1] = name
  end
  for _, g in ipairs(gradients) do p:output(g, "gradients") end
  for _, update in ipairs(b.updates) do p:output(update.value) end
  p:finish()
  local out = assert(p:run {})
  local computed, by_name, updated = {}, {}, {}
  for i, name in ipairs(order) do computed[name] = out[i] end
  for i, name in ipairs(wanted) do by_name[name] = out[#order + i] end
  for _, state in ipairs(store.states) do updated[state.name] = state.tensor end
  for i, update in ipairs(b.updates) do updated[update.name] = out[#order + #wanted + i] end
  return computed, by_name, updated
end

local function largest(tensor)
  local s = tensor:stats()
  return math.max(math.abs(s.min), math.abs(s.max))
end

local function check_agreement(dtype, rebuilt, stored)
  local most = 0
  for _, g in pairs(stored) do most = math.max(most, largest(g)) end
  for name, g in pairs(rebuilt) do
    local scale = math.max(largest(stored[name]), dtype == "f32" and network.FLOOR * most or 1e-300)
    local off = g:same(stored[name]) and 0 or largest(g - stored[name]) / scale
    if off > AGREEMENT[dtype] then
      error(string.format("rebuilt and stored gradients of %s differ by %.2g", name, off), 0)
    end
  end
end

--- Runs both ways (once: only the rebuilt one), raises where their gradients differ, returns what the rebuilt one gave.
--- o.build is called as build(b, x, rebuild).
function network.both(o)
  local results = {}
  for i, rebuild in ipairs(o.once and { true } or { true, false }) do
    local one = setmetatable({
      build = function(b, x) return o.build(b, x, rebuild) end,
    }, { __index = o })
    results[i] = table.pack(network.run(one))
  end
  if not o.once then check_agreement(o.x.dtype, results[1][2], results[2][2]) end
  return table.unpack(results[1], 1, 3)
end

return network
