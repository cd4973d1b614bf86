-- Small square matrices as lists of rows, for start values.

local matrix = {}

--- n × n numbers; f(i, j) gives one (default: the identity).
function matrix.new(n, f)
  local rows = {}
  for i = 1, n do
    rows[i] = {}
    for j = 1, n do
      if f then rows[i][j] = f(i, j) else rows[i][j] = i == j and 1.0 or 0.0 end
    end
  end
  return rows
end

function matrix.transpose(a)
  return matrix.new(#a, function(i, j) return a[j][i] end)
end

--- fa·a + fb·b
function matrix.sum(fa, a, fb, b)
  return matrix.new(#a, function(i, j) return fa * a[i][j] + fb * b[i][j] end)
end

function matrix.product(a, b)
  return matrix.new(#a, function(i, j)
    local sum = 0.0
    for k = 1, #a do sum = sum + a[i][k] * b[k][j] end
    return sum
  end)
end

--- Kronecker product.
function matrix.kron(a, b)
  local m = #b
  return matrix.new(#a * m, function(i, j)
    return a[(i - 1) // m + 1][(j - 1) // m + 1] * b[(i - 1) % m + 1][(j - 1) % m + 1]
  end)
end

--- Largest absolute entry; infinite if one is no number.
function matrix.largest(a)
  local most = 0.0
  for _, row in ipairs(a) do
    for _, x in ipairs(row) do most = x ~= x and math.huge or math.max(most, math.abs(x)) end
  end
  return most
end

-- Eliminates column k of rows [A | B] by Gauss and Jordan; false if it has no pivot.
local function eliminate(rows, k)
  local n, pivot = #rows, k
  for i = k + 1, n do
    if math.abs(rows[i][k]) > math.abs(rows[pivot][k]) then pivot = i end
  end
  rows[k], rows[pivot] = rows[pivot], rows[k]
  local top = rows[k][k]
  if math.abs(top) < 1e-12 then return false end
  for j = k, 2 * n do rows[k][j] = rows[k][j] / top end
  for i = 1, n do
    local factor = rows[i][k]
    if i ~= k and factor ~= 0 then
      for j = k, 2 * n do rows[i][j] = rows[i][j] - factor * rows[k][j] end
    end
  end
  return true
end

--- X with X·b = c; nil if b is singular.
function matrix.divide(c, b)
  local n, rows = #b, {}
  for i = 1, n do -- (B | C) transposed: Bᵀ·Xᵀ = Cᵀ
    rows[i] = {}
    for j = 1, n do rows[i][j], rows[i][n + j] = b[j][i], c[j][i] end
  end
  for k = 1, n do
    if not eliminate(rows, k) then return nil end
  end
  return matrix.new(n, function(i, j) return rows[j][n + i] end)
end

--- How far aᵀ·a is from the identity.
function matrix.off_orthogonal(a)
  return matrix.largest(matrix.sum(1, matrix.product(matrix.transpose(a), a), -1, matrix.new(#a)))
end

-- The orthogonal factor of x = Q·S, by Newton's iteration.
local function polar(x)
  local unit = matrix.new(#x)
  for _ = 1, 30 do
    local inverse = matrix.divide(unit, x)
    if not inverse then return nil end
    x = matrix.sum(0.5, x, 0.5, matrix.transpose(inverse))
  end
  return x
end

--- The principal logarithm of a rotation without the eigenvalue −1, else nil. Square roots (the polar factor of
--- I + Q) bring it near the identity; there log Q = 2·artanh((Q − I)(Q + I)⁻¹).
function matrix.log(q)
  local unit, halvings = matrix.new(#q), 0
  while matrix.largest(matrix.sum(1, q, -1, unit)) > 0.1 do
    q = halvings < 40 and polar(matrix.sum(1, unit, 1, q)) or nil
    if not q then return nil end
    halvings = halvings + 1
  end
  local z = matrix.divide(matrix.sum(1, q, -1, unit), matrix.sum(1, q, 1, unit))
  local square, term, sum = matrix.product(z, z), z, z
  for k = 3, 25, 2 do
    term = matrix.product(term, square)
    sum = matrix.sum(1, sum, 1 / k, term)
  end
  return matrix.sum(2.0 ^ (halvings + 1), sum, 0, sum)
end

--- Vectors whose reflections, one after another, multiply to the orthogonal matrix: a list of vectors.
function matrix.reflections(q)
  local n, found = #q, {}
  local r = matrix.new(n, function(i, j) return q[i][j] end)
  for k = 1, n do
    local v, norm = {}, 0.0
    for i = 1, n do v[i] = i < k and 0.0 or r[i][k] end
    v[k] = v[k] - 1 -- column k becomes a unit vector
    for i = k, n do norm = norm + v[i] * v[i] end
    if norm > 1e-20 then
      for j = 1, n do
        local along = 0.0
        for i = k, n do along = along + v[i] * r[i][j] end
        for i = k, n do r[i][j] = r[i][j] - 2 * along / norm * v[i] end
      end
      found[#found + 1] = v
    end
  end
  return found
end

return matrix
