-- Golden vectors of orthogonal matrices, resampling and channel mixing.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local grid = require "hilum.nn.grid"

local op = engine.op

-- An image as the pass has it: on the grid of an invertible state, where matrices are applied by lifting, or as it is.
local function on_state(case, x)
  return case.state and grid.on(x, case.state) or x
end

-- What was lifted comes back bit for bit.
local function check_state(case, x, again)
  if case.state and not x:tensor():same(again:tensor()) then error("the state did not come back bit for bit", 0) end
end

local MAPS = { cayley = op.cayley, exp = op.matrix_exp }

-- W − Wᵀ, which our maps form themselves.
local function skew(w)
  local order = {}
  for i = 1, #w.shape do order[i] = i end
  order[#order], order[#order - 1] = order[#order - 1], order[#order]
  return w - w:permute(order):dense()
end

-- n × n entries of the stack m from (row, column) on.
local function block(m, row, column, n)
  local rank = #m.shape
  return m:slice(rank - 1, row, row + n - 1):slice(rank, column, column + n - 1)
end

-- The gradient with respect to A as an unconstrained matrix. Our maps know skew matrices only; but among the
-- skew [[A, E], [−Eᵀ, A]] the direction E is free, and the map's block above the diagonal has the derivative in
-- its direction as the map itself has at A. So E's gradient at E = 0, pulled from that block, is the one wanted.
local function free_gradient(map, w, upstream)
  local n, shape = w.shape[#w.shape], table.move(w.shape, 1, #w.shape, 1, {})
  shape[#shape], shape[#shape - 1] = 2 * n, 2 * n
  local wide = engine.zeros(shape, { dtype = w.dtype })
  block(wide, 1, 1, n):copy_(w)
  block(wide, n + 1, n + 1, n):copy_(w)
  local seed = engine.zeros(shape, { dtype = w.dtype })
  block(seed, 1, n + 1, n):copy_(upstream)
  local p = engine.program { live = true }
  local value = p:bind("W", wide, true)
  local g = p:gradient(op.sum(op.mul(map(value), seed)), { value })[1]:tensor()
  return block(g, 1, n + 1, n):dense()
end

local function map_case(case, v, data)
  local map, w = MAPS[case.method], v.W:tensor()
  return { Q = map(v.W), A = skew(w) }, nil,
    { A = free_gradient(map, w, data.upstream.Q:to(w.dtype)) }
end

local function start_case(case, v)
  local matrix = MAPS[case.method](v.W)
  local stride, shape = golden.zyx(case.stride, 1), { matrix.shape[1] * matrix.shape[2], 1 }
  table.move(stride, 1, 3, 3, shape)
  return { kernel_matrix = matrix, kernel = op.reshape(matrix, { shape = shape }) }
end

-- Resampling there and, for the file's inverse_of_y, back. `up`: coarse to fine.
local function resampling(up)
  local there, back = op.resample_down, op.resample_up
  if up then there, back = back, there end
  return {
    bind = { x = golden.image }, state = true,
    run = function(case, v)
      local matrix, o = MAPS[case.method](v.W), { stride = golden.zyx(case.stride, 1) }
      local x = on_state(case, v.x)
      local y = there(x, matrix, o)
      local again = back(y, matrix, o)
      check_state(case, x, again)
      return { y = grid.off(y), inverse_of_y = grid.off(again), kernel_matrix = matrix }
    end,
  }
end

local function inverse_resampling(up)
  local back = up and op.resample_down or op.resample_up
  return {
    bind = { y = golden.image }, state = true,
    run = function(case, v)
      local matrix, o = MAPS[case.method](v.W), { stride = golden.zyx(case.stride, 1) }
      return { x = grid.off(back(on_state(case, v.y), matrix, o)) }
    end,
  }
end

golden.run {
  topic = "orthogonal", dtypes = { "f64", "f32", "moved", "bf16", "q10" },
  ops = {
    map_cayley = { run = map_case, parameters = true },
    map_exp = { run = map_case, parameters = true },
    householder = {
      run = function(case, v) return { Q = op.householder(v.V, { eps = case.eps }) } end,
      parameters = true,
    },
    init = { run = start_case, parameters = true },
    downsampling = resampling(false),
    downsampling_inverse = inverse_resampling(false),
    upsampling = resampling(true),
    upsampling_inverse = inverse_resampling(true),
    channel_mixing = {
      bind = { x = golden.image }, state = true,
      run = function(case, v)
        local matrix, x = MAPS[case.method](v.W), on_state(case, v.x)
        local y = op.mix(x, matrix)
        local again = op.mix(y, matrix, { transpose = true })
        check_state(case, x, again)
        return { y = grid.off(y), inverse_of_y = grid.off(again), kernel_matrix = matrix }
      end,
    },
    channel_mixing_inverse = {
      bind = { y = golden.image }, state = true,
      run = function(case, v)
        return { x = grid.off(op.mix(on_state(case, v.y), MAPS[case.method](v.W), { transpose = true })) }
      end,
    },
  },
}
