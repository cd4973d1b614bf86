-- Orthogonal matrices of free weights: how they are parametrised and where they start.
--
-- cayley       Q = (I + A)⁻¹(I − A), A = W − Wᵀ
-- exp          Q = exp(A)
-- householder  Q = H₁H₂…, reflections along the columns of W
-- Each reaches rotations only (determinant 1); Cayley none with the eigenvalue −1.

local engine = require "hilum.engine"
local matrix = require "hilum.nn.matrix"
local schema = require "hilum.schema"

local op = engine.op
local orthogonal = {}

-- Columns of zeros, which no start makes, shall not give NaN; else the reflections are exact to rounding.
local HOUSEHOLDER_EPS = 1e-12

function orthogonal.method_field()
  return schema.one_of { "cayley", "exp", "householder", default = "cayley",
    doc = "how orthogonal matrices are made of free weights" }
end

-- ---- the matrix a start stands for ----

-- R ⊗ … ⊗ R, one rotation by 45° for each axis of stride 2: a Haar transform whose last row is the mean.
-- Its eigenvalues are eighth roots of unity other than −1 for up to three axes.
local function haar(stride)
  local h = math.sqrt(0.5)
  local q = { { 1.0 } }
  for _, s in ipairs(stride) do
    if s > 2 then return nil end
    if s == 2 then q = matrix.kron(q, { { h, -h }, { h, h } }) end
  end
  return q
end

-- ---- its free weight ----

local function half_skew(a)
  return matrix.sum(0.5, a, 0, a) -- W = A / 2 has W − Wᵀ = A
end

local preimage = {}

function preimage.cayley(q)
  local unit = matrix.new(#q)
  local a = matrix.divide(matrix.sum(1, unit, -1, q), matrix.sum(1, unit, 1, q))
  return a and half_skew(a)
end

function preimage.exp(q)
  local a = matrix.log(q)
  return a and half_skew(a)
end

--- Free weight W with the given rotation as its matrix; nil if there is none. Householder: rows of n × k numbers.
function orthogonal.weight_of(method, q)
  return preimage[method](q)
end

-- Columns of V: the reflections of q, and pairs of equal ones, which undo each other and can still move apart.
local function reflection_columns(q, n, k, rng)
  local columns = matrix.reflections(q)
  if (k - #columns) % 2 ~= 0 then return nil end
  while #columns < k do
    local v = {}
    for i = 1, n do v[i] = rng:normal() end
    columns[#columns + 1], columns[#columns + 2] = v, table.move(v, 1, n, 1, {})
  end
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, k do rows[i][j] = columns[j][i] end
  end
  return rows
end

-- How many numbers a row of the free weight has: an even number of reflections makes a rotation.
local function width(method, n)
  return method == "householder" and n + n % 2 or n
end

-- Copies one list of rows into every matrix of the stack.
local function copy_rows(tensor, shape, rows)
  local one = engine.from(rows, { dtype = tensor.dtype })
  if #shape == 2 then return tensor:copy_(one) end
  one = one:reshape { 1, shape[2], shape[3] }
  for c = 1, shape[1] do tensor:slice(1, c, c):copy_(one) end
end

local function fill_with(method, target)
  return function(tensor, rng, shape)
    local n, k = shape[#shape - 1], shape[#shape]
    if method == "householder" then
      copy_rows(tensor, shape, reflection_columns(target or matrix.new(n), n, k, rng))
    elseif target then
      copy_rows(tensor, shape, orthogonal.weight_of(method, target))
    end
  end
end

local function fill_random(tensor, rng)
  rng:fill_normal(tensor, 0, 1)
end

--- Why a given matrix cannot be a start of a method: a sentence, or nil.
function orthogonal.problem(method, given)
  local off = matrix.off_orthogonal(given)
  if off > 1e-6 then
    return string.format("is not orthogonal: transposed times itself differs from the identity by %.3g", off)
  end
  if method == "householder" then
    local even = #matrix.reflections(given) % 2 == 0
    return not even and "has determinant -1: only rotations can be reached" or nil
  end
  if not preimage[method](given) then
    return string.format("cannot be reached by '%s': it has the eigenvalue -1 (or determinant -1)", method)
  end
end

--- One orthogonal matrix (o.count nil) or a stack of them, trained unless o.learnable is false.
--- o: { name, n, count, method, start = "identity" | "haar" | "random" | "given", stride (haar), matrix (given),
--- learnable }
function orthogonal.matrix(b, o)
  local shape = { o.n, width(o.method, o.n) }
  if o.count then table.insert(shape, 1, o.count) end
  local fill = fill_random
  if o.start == "haar" then
    fill = fill_with(o.method, haar(o.stride))
  elseif o.start == "given" then
    fill = fill_with(o.method, o.matrix)
  elseif o.start ~= "random" then
    fill = fill_with(o.method, nil)
  end
  local weight = o.learnable == false and b:state(o.name, shape, fill) or
    b:param(o.name, shape, fill, { decay = false })
  if o.method == "exp" then return (op.matrix_exp(weight)) end
  if o.method == "householder" then return (op.householder(weight, { eps = HOUSEHOLDER_EPS })) end
  return (op.cayley(weight))
end

return orthogonal
