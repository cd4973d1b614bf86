-- Start values of parameters: functions fill(tensor, rng, shape).

local engine = require "hilum.engine"

local init = {}

local LEAK = 0.01

local function volume(shape, first)
  local n = 1
  for i = first, #shape do n = n * shape[i] end
  return n
end

local function he_uniform(fan)
  return function(tensor, rng, shape)
    local bound = math.sqrt(6 / ((1 + LEAK ^ 2) * fan(shape)))
    rng:fill_uniform(tensor, -bound, bound)
  end
end

--- He et al. 2015, uniform, for leaky ReLU 0.01. Weights O, I, kz, ky, kx.
init.he_fan_in = he_uniform(function(shape) return shape[2] * volume(shape, 3) end)
init.he_fan_out = he_uniform(function(shape) return shape[1] * volume(shape, 3) end)

function init.ones(tensor)
  tensor:fill(1)
end

-- Kronecker product of square matrices (lists of rows).
local function kron(a, b)
  local n, m, rows = #a, #b, {}
  for i = 1, n * m do
    rows[i] = {}
    for j = 1, n * m do
      rows[i][j] = a[(i - 1) // m + 1][(j - 1) // m + 1] * b[(i - 1) % m + 1][(j - 1) % m + 1]
    end
  end
  return rows
end

-- Solves X·B = C for small well-conditioned B by Gauss–Jordan elimination on columns, with pivoting.
local function divide(c, b)
  local n, rows = #b, {}
  for i = 1, n do -- (B | C) transposed: Bᵀ·Xᵀ = Cᵀ
    rows[i] = {}
    for j = 1, n do rows[i][j], rows[i][n + j] = b[j][i], c[j][i] end
  end
  for k = 1, n do
    local pivot = k
    for i = k + 1, n do
      if math.abs(rows[i][k]) > math.abs(rows[pivot][k]) then pivot = i end
    end
    rows[k], rows[pivot] = rows[pivot], rows[k]
    local top = rows[k][k]
    for j = k, 2 * n do rows[k][j] = rows[k][j] / top end
    for i = 1, n do
      local factor = rows[i][k]
      if i ~= k and factor ~= 0 then
        for j = k, 2 * n do rows[i][j] = rows[i][j] - factor * rows[k][j] end
      end
    end
  end
  local x = {}
  for i = 1, n do
    x[i] = {}
    for j = 1, n do x[i][j] = rows[j][n + i] end
  end
  return x
end

-- W with cayley(W) = R ⊗ … ⊗ R, one rotation R by 45° for each axis of stride 2: a Haar transform whose last
-- row is the mean. Its eigenvalues are eighth roots of unity other than −1 for up to three axes, so its Cayley
-- preimage A = (I − Q)(I + Q)⁻¹ exists; W = A/2 is one of the weights with W − Wᵀ = A.
local function haar_weight(axes)
  local h = math.sqrt(0.5)
  local q = { { 1 } }
  for _ = 1, axes do q = kron(q, { { h, -h }, { h, h } }) end
  local minus, plus = {}, {}
  for i, row in ipairs(q) do
    minus[i], plus[i] = {}, {}
    for j, v in ipairs(row) do
      local unit = i == j and 1 or 0
      minus[i][j], plus[i][j] = unit - v, unit + v
    end
  end
  local w = divide(minus, plus)
  for _, row in ipairs(w) do
    for j = 1, #row do row[j] = row[j] / 2 end
  end
  return w
end

--- Free weights W { C, σ, σ } of orthogonal resampling. Their Cayley map is the Haar transform if every
--- stride is 1 or 2, else the identity (pixel shuffle: W = 0).
function init.haar(stride)
  return function(tensor, _, shape)
    local axes = 0
    for _, s in ipairs(stride) do
      if s > 2 then return end
      axes = axes + s - 1
    end
    local one = engine.from(haar_weight(axes), { dtype = tensor.dtype }):reshape { 1, shape[2], shape[3] }
    for c = 1, shape[1] do tensor:slice(1, c, c):copy_(one) end
  end
end

return init
