-- Array ops where samples do not reach: ties, zeros, infinities, indices, and the words of refusals.

local t = require "tap"
local hl = require "hilum"

local op = hl.op
local inf, nan = 1 / 0, 0 / 0

local function numbers(tensor)
  local list = tensor:to("f64"):dense("plain"):table()
  for i, n in ipairs(list) do list[i] = n ~= n and "nan" or string.format("%.6g", n == 0 and 0 or n) end
  return table.concat(list, " ")
end

-- Both by the kernel (f32) and by the reference (f64).
local function both(what, expected, f, ...)
  local inputs = table.pack(...)
  for _, dtype in ipairs { "f32", "f64" } do
    local tensors = {}
    for i = 1, inputs.n do tensors[i] = hl.tensor(inputs[i], { dtype = dtype }) end
    t.is(numbers(f(table.unpack(tensors))), expected, what .. ", " .. dtype)
  end
end

-- The gradient of the sum of f(x), f32 and f64.
local function slopes(what, expected, f, x)
  both(what, expected, function(tensor)
    return (select(2, hl.gradient(function(v) return op.sum(f(v)) end, tensor)))
  end, x)
end

local function raises(words, what, f)
  local fine, err = pcall(f)
  t.ok(not fine and tostring(err):find(words, 1, true) ~= nil, what .. " is refused: " .. words)
  if fine or not tostring(err):find(words, 1, true) then t.diag("  got " .. tostring(err)) end
end

-- extremes
slopes("max: equal ones share the gradient", "0 0.5 0.5 0", op.max, { 1, 3, 3, 2 })
slopes("min: all equal", "0.25 0.25 0.25 0.25", op.min, { 7, 7, 7, 7 })
slopes("norm_inf: by size, with signs", "0 -0.5 0.5", op.norm_inf, { 1, -3, 3 })
slopes("maximum: equal ones share", "0.5 1 0", function(v) return op.maximum(v, 2) end, { 2, 3, 1 })
slopes("minimum: equal ones share", "0.5 0 1", function(v) return op.minimum(v, 2) end, { 2, 3, 1 })
both("max: NaN wins", "nan", op.max, { 1, nan, 3 })
both("min: NaN wins over columns", "nan 2", function(v) return op.min(v, { axes = { 1 } }) end,
  { { nan, 2 }, { 1, 5 } })
both("max of infinities", "-inf", op.max, { -inf, -inf })
both("maximum: NaN wins on either side", "nan nan 2", op.maximum, { nan, 1, 2 }, { 1, nan, 1 })
both("comparisons with NaN are false, but not_equal", "0 0 1", function(v)
  return op.concat(op.less(v, v), op.equal(v, v), op.not_equal(v, v), { axis = 1 })
end, { nan })

-- products and norms
slopes("prod without a zero", "6 3 2", op.prod, { 1, 2, 3 })
slopes("prod with one zero", "0 3 0", op.prod, { 1, 0, 3 })
slopes("prod with two zeros", "0 0 0", op.prod, { 0, 0, 3 })
slopes("norm2 at 0", "0 0", op.norm2, { 0, 0 })
slopes("norm1 at 0", "0 1 -1", op.norm1, { 0, 2, -2 })
slopes("std of equal numbers", "0 0 0", op.std, { 5, 5, 5 })
both("prod and norm of nothing", "1 0", function(v)
  local none = v:reshape { 0 }
  return op.concat(op.reshape(op.prod(none), { shape = { 1 } }), op.reshape(op.norm2(none), { shape = { 1 } }),
    { axis = 1 })
end, {})
local far = {}
for i = 1, 1000 do far[i] = 1e6 + i % 2 end
both("var far from 0 does not cancel", "0.25", function(v) return op.var(v, { biased = true }) end, far)

-- exponentials
both("logsumexp of huge numbers", "1000.69", op.logsumexp, { 1000, 1000 })
both("logsumexp of -infinity", "-inf", op.logsumexp, { -inf, -inf })
both("logsumexp of infinity", "inf", op.logsumexp, { inf, 1 })
both("softmax of huge logits", "0 0 1", function(v) return op.softmax(v, { axis = 1 }) end, { -2000, 0, 2000 })
both("log_softmax of huge logits", "-600 -300 0", function(v) return op.log_softmax(v, { axis = 1 }) end,
  { -300, 0, 300 })
both("softmax with an impossible class", "0 0.5 0.5", function(v) return op.softmax(v, { axis = 1 }) end,
  { -inf, 1, 1 })
slopes("logsigmoid far out", "1 0.5 0", op.logsigmoid, { -1e4, 0, 1e4 })
slopes("gelu far out", "0 0.5 1", op.gelu, { -1e4, 0, 1e4 })
slopes("gelu_tanh far out", "0 0.5 1", op.gelu_tanh, { -1e30, 0, 1e30 })
slopes("silu far out", "0 0.5 1", op.silu, { -1e4, 0, 1e4 })
slopes("elu at 0", "1", op.elu, { 0 })

-- powers
both("pow of negative numbers", "4 -8 nan", function(v)
  return op.concat(op.pow(v, { exponent = 2 }), op.pow(v, { exponent = 3 }), op.pow(v, { exponent = 0.5 }),
    { axis = 1 })
end, { -2 })
slopes("pow with exponent 0 at 0", "0 0", function(v) return op.pow(v, { exponent = 0 }) end, { 0, 2 })
slopes("pow with exponent 1 at 0", "1", function(v) return op.pow(v, { exponent = 1 }) end, { 0 })

-- choosing
slopes("where stops a gradient where the other side was taken, infinite as it may be", "inf 0", function(v)
  return op.where(hl.tensor({ 1, 0 }, { dtype = v.dtype }), v, 1) * inf
end, { 2, 3 })
both("where takes NaN for true", "1 2", function(c, a, b) return op.where(c, a, b) end, { nan, 0 }, { 1, 1 },
  { 2, 2 })

-- sorting and picking
both("sort keeps the order of equal numbers, NaN last", "-inf 0 0 1 inf nan nan",
  function(v) return (op.sort(v, { axis = 1 })) end, { nan, 1, 0, inf, -0.0, -inf, nan })
both("places of a sort", "5 2 4 1 3 0 6",
  function(v) return (select(2, op.sort(v, { axis = 1 }))) end, { nan, 1, 0, inf, -0.0, -inf, nan })
both("descending keeps the order of equal numbers too", "1 3 0 2",
  function(v) return (select(2, op.sort(v, { axis = 1, descending = true }))) end, { 1, 2, 1, 2 })
both("top_k", "9 7", function(v) return (op.top_k(v, { axis = 1, k = 2 })) end, { 3, 9, 7, 1 })
slopes("gather adds up where an element was picked twice", "2 0 1", function(v)
  return op.gather(v, hl.tensor({ 0, 2, 0 }, { dtype = v.dtype }), { axis = 1 })
end, { 1, 2, 3 })
both("one_hot of what is no class", "0 0 0 0 0 1", function(v) return op.one_hot(v, { classes = 2 }) end,
  { { -1 }, { 0.5 }, { 1 } })
both("permute by name", "2 3", function(v)
  local y = op.permute(v:reshape { 1, 1, 1, 2, 3 }, { order = "xyzcn" })
  return hl.tensor { y.shape[2], y.shape[1] }
end, { 1, 2, 3, 4, 5, 6 })
both("matmul over nothing is 0", "0 0", function(v) return op.matmul(v:reshape { 2, 0 }, v:reshape { 0 }) end, {})

-- large tensors: pieces and threads agree with the whole
local r = hl.rng(1, "arrays", 0, 0)
local big = r:fill_normal(hl.zeros({ 2, 5, 13, 17, 19 }, { layout = "image" }))
local wide = big:to "f64"
for _, name in ipairs { "max", "min", "norm1", "norm2", "norm_inf", "logsumexp", "var", "std" } do
  for _, axes in ipairs { "nczyx", "zyx", "nzyx", "c", "n", "x", "nx", "cz" } do
    local near, off = op[name](big, { axes = axes }):near(op[name](wide, { axes = axes }), 2e-6)
    t.ok(near, string.format("%s over %s as the reference (%.1e)", name, axes, off))
  end
end
local a, b = r:fill_normal(hl.zeros { 3, 230, 517 }), r:fill_normal(hl.zeros { 517, 301 })
local near, off = op.matmul(a, b):near(op.matmul(a:to "f64", b:to "f64"), 2e-6)
t.ok(near, string.format("a product of many blocks as the reference (%.1e)", off))

-- refusals
local x, image = hl.zeros { 3, 4 }, hl.zeros({ 1, 2, 3, 4, 5 }, { layout = "image" })
for _, case in ipairs {
  { "there is no axis 3", op.softmax, x, { axis = 3 } },
  { "axis names one axis, not 2", op.softmax, x, { axis = { 1, 2 } } },
  { "the shapes do not broadcast", op.where, x, hl.zeros { 5 }, x },
  { "the shapes do not broadcast", op.less, x, hl.zeros { 3 } },
  { "there is no max of no elements", op.max, hl.zeros { 0 } },
  { "only the biased form", op.var, hl.zeros { 1 } },
  { "a has 4 columns, but b has 3 rows", op.matmul, x, x },
  { "a is a vector: there is nothing to transpose", op.matmul, hl.zeros { 3 }, x, { transpose_a = true } },
  { "must be in plain layout", op.matmul, image, x },
  { "x2 differs from x1 in more than the size of axis 1", op.concat, x, hl.zeros { 3, 5 }, { axis = 1 } },
  { "must add up to the 4 elements of axis 2", op.split, x, { axis = 2, sizes = { 1, 2 } } },
  { "one number for each of the 2 axes", op.slice, x, { start = { 0 }, stop = { 1 } } },
  { "does not lie within the 4 elements", op.slice, x, { start = { 0, 2 }, stop = { 3, 5 } } },
  { "the order must name each of the 2 axes once", op.permute, x, { order = { 1, 1 } } },
  { "the order must name each of the 2 axes once", op.permute, x, { order = { 1 } } },
  { "index 4 is not one of 0 to 3", op.gather, x, hl.zeros({ 3, 1 }):fill(4), { axis = 2 } },
  { "nan is not one of 0 to 3", op.gather, x, hl.zeros({ 3, 1 }):fill(nan), { axis = 2 } },
  { "differs from x in more than the size of axis 2", op.gather, x, hl.zeros { 2, 1 }, { axis = 2 } },
  { "k is 5, but axis 2 has 4 elements", op.top_k, x, { axis = 2, k = 5 } },
  { "must have size 1, not 4", op.one_hot, x, { classes = 3, axis = 2 } },
  { "attribute 'exponent' is required", op.pow, x },
  { "takes f32, f64 or bf16, not i16", op.gelu, hl.zeros({ 2 }, { dtype = "i16" }) },
} do
  raises(case[1], "a call", function() return case[2](table.unpack(case, 3)) end)
end
raises("whole numbers (i32) have no gradient", "a gradient by whole numbers", function()
  return hl.gradient(function(v) return op.sum(op.cast(v, { to = "f32" })) end, hl.zeros({ 2 }, { dtype = "i32" }))
end)

t.done()
