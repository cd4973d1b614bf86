-- Golden vectors of single couplings, there and back, as invertible blocks that rebuild and that store.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local grid = require "hilum.nn.grid"
local hl = require "hilum"
local names = require "hilum.nn.iunets_names"
local network = require "golden.network"

local op = engine.op

local function coupling_of(case)
  return hl.nn.additive {
    inner = hl.nn.inner { depth = case.depth, norm = case.normalization, slope = case.leaky_slope },
  }
end

local function parts_of(x, sizes)
  return { op.regroup(grid.on(x, "q10"), { sizes = sizes }) }
end

-- inverse = true: the block is the inverse coupling, undone by the coupling itself.
local function run(case, v, data, inverse)
  local layer = coupling_of(case)
  local map = names.of_coupling(layer)
  local input, output = inverse and "y" or "x", inverse and "x" or "y"
  local split, rest = case.split, case.channels - case.split
  local computed, gradients, updated = network.both {
    x = v[input]:tensor(), input = input, names = map, values = v, training = case.training, once = case.once,
    upstream = { [output] = data.upstream[output] },
    build = function(b, x, rebuild)
      b.dimensions = case.dim
      local function there(...) return layer:forward(b, ...) end
      local function back(...) return layer:inverse(b, ...) end
      if inverse then there, back = back, there end
      local parts = parts_of(x, inverse and { rest, split } or { split, rest })
      local out = { b:invertible(parts, rebuild, there, back) }
      local outputs = { [output] = grid.off(op.regroup(table.unpack(out))) }
      if not inverse then outputs.inverse_of_y = op.regroup(back(table.unpack(out))) end
      return outputs
    end,
  }
  for theirs, ours in pairs(map) do
    if data.outputs["after_" .. theirs] then computed["after_" .. theirs] = updated[ours] end
  end
  return computed, nil, gradients
end

golden.run {
  topic = "coupling", networks = true,
  -- bf16: one more rounding of the result than an op has, that to the grid of the state; gradients, see network.lua.
  tolerance = { f64 = { outputs = 1e-10, grads = 1e-10 }, f32 = { outputs = 2e-5, grads = 1e-3 },
    bf16 = { outputs = 2 ^ -7, grads = network.KINK } },
  ops = {
    coupling = {
      bind = { x = golden.image },
      run = function(case, v, data) return run(case, v, data, false) end,
    },
    coupling_inverse = {
      bind = { y = golden.image },
      run = function(case, v, data) return run(case, v, data, true) end,
    },
  },
}
