-- Tensors as scripts use them: parts and assignment, comparison, .npy files, gradients and their check, changes in
-- place that a gradient cannot survive.

local t = require "tap"
local hl = require "hilum"
local engine = require "hilum.engine"

local function numbers(tensor)
  return table.concat(tensor:dense("plain"):table(), " ")
end

local function counting(shape, options)
  local tensor = hl.zeros(shape, options)
  local flat, n = {}, #tensor
  for i = 1, n do flat[i] = i end
  return tensor:copy_(hl.tensor(flat):reshape(shape))
end

local function raises(words, what, f, ...)
  local fine, err = pcall(f, ...)
  t.ok(not fine and tostring(err):find(words, 1, true) ~= nil, what .. " is refused: " .. words)
  if fine or not tostring(err):find(words, 1, true) then t.diag("  got " .. tostring(err)) end
end

-- parts
local x = counting { 3, 4 }
t.is(x[{ 2, 3 }], 7.0, "one element is a number")
t.is(numbers(x[2]), "5.0 6.0 7.0 8.0", "one index takes a row")
t.is(x[2][-1], 8.0, "rows of rows; negative numbers count from the end")
t.is(numbers(x:at { ":", 2 }), "2.0 6.0 10.0", "a number drops its axis")
t.is(numbers(x:at { "2:3", "1:4:2" }), "5.0 7.0 9.0 11.0", "ranges with steps")
t.is(numbers(x:at { { 1, 2 }, { -2 } }), "3.0 4.0 7.0 8.0", "ranges as tables; a missing end is the end")
t.is(numbers(x:at { [2] = ":-3" }), "1.0 2.0 5.0 6.0 9.0 10.0", "axes that are not mentioned are whole")
t.is(#x:at { "2:2" }.shape, 2, "a range of one keeps its axis")
local image = counting({ 1, 2, 2, 2, 3 }, { layout = "image" })
t.is(image:at { c = "2:2", z = "1:1" }.layout, "image", "ranges of an image are an image")
t.is(numbers(image:at { c = 2, z = 1, n = 1 }), "13.0 14.0 15.0 16.0 17.0 18.0", "axes by name")
for _, case in ipairs {
  { { 4 }, "there is no element 4" }, { { 0 }, "there is no element 0" }, { { "1-2" }, "is no range" },
  { { "3:2" }, "holds no element" }, { { "1:3:0" }, "holds no element" }, { { 1, 1, 1 }, "none of the 2 axes" },
  { { z = 1 }, "'z' is none of the 2 axes" }, { { true }, "not boolean" }, { { 1.5 }, "whole numbers" },
  { { "1:99999999999999999999" }, "there is no element" },
} do
  raises(case[2], "a part", function() return x:at(case[1]) end)
end

-- assignment
local y = x:clone()
y[{ 1, 1 }] = -1
y[{ ":", 4 }] = 0
y[3] = { 7, 8, 9, 10 }
y[{ 2, "1:2" }] = hl.tensor { 50, 60 }
t.is(numbers(y), "-1.0 2.0 3.0 0.0 50.0 60.0 7.0 0.0 7.0 8.0 9.0 10.0", "numbers, tables and tensors are assigned")
local z = hl.tensor { 1, 2, 3, 4, 5 }
z[{ "2:5" }] = z:at { "1:4" }
t.is(numbers(z), "1.0 1.0 2.0 3.0 4.0", "overlapping parts are copied as if apart")
z[{ "1:5:2" }] = z:at { "3:5" }
t.is(numbers(z), "2.0 1.0 3.0 3.0 4.0", "with steps too")
raises("does not fit", "another shape", function() y[1] = hl.tensor { 1, 2 } end)
raises("every row must have", "a table of another shape", function() y[1] = { 1, 2 } end)
raises("not string", "text", function() y[1] = "x" end)
raises("no field 'name'", "a field", function() y.name = 1 end)
local gone = hl.zeros { 2 }
gone:free()
raises("already released", "a released tensor", function() return gone[1] end)
raises("already released", "a released tensor as a value", function() y[1] = gone end)
raises("would not fit into any memory", "a huge tensor", function() return hl.zeros { 1 << 40, 1 << 40 } end)
raises("whole number ≥ 0", "a negative size", function() return hl.zeros { -1 } end)

-- comparison
t.ok(x:same(x:clone()) and not x:same(y) and not x:same(x:to "f64"), "same: shape, type and numbers")
t.ok(hl.tensor { 0 / 0 }:same(hl.tensor { 0 / 0 }), "NaN is the same as NaN")
local near, off = hl.tensor({ 1, 2 }):near(hl.tensor { 1, 2.002 }, 1e-2)
t.ok(near and off > 9e-4 and off < 1.1e-3, "near: within a tolerance of the largest number")
t.ok(not hl.tensor { 0 / 0 }:near(hl.tensor { 1 }), "NaN is near nothing")
t.is(numbers(hl.op.less(x:at { 1 }, 3)), "1.0 1.0 0.0 0.0", "comparisons give 0 and 1")

t.is(numbers(-hl.tensor { 1, -2 }), "-1.0 2.0", "a minus sign is neg")

-- types
local halves = hl.tensor { 1, 1 + 2 ^ -8, 1 + 3 * 2 ^ -8, 1 / 3, -2 ^ 100, 1 / 0, 65504 }
t.is(numbers(halves:to("bf16"):to("f64")),
  string.format("1.0 1.0 %s 0.333984375 %s inf 65536.0", 1 + 2 ^ -6, -2.0 ^ 100), "bf16: nearest, ties to even")
t.is(halves:to("bf16").bytes, 14, "bf16 takes two bytes")
t.is(numbers(hl.tensor({ -1.5, 2.5, 3.5, 300, 0 / 0 }):to "u8"), "0.0 2.0 4.0 255.0 0.0", "u8 saturates")
do -- all bytes, dense and strided, in both layouts
  local bytes = hl.zeros({ 1, 2, 2, 8, 8 }, { dtype = "u8", layout = "image" })
  for i = 0, 255 do bytes:set(1, i // 128 + 1, i // 64 % 2 + 1, i // 8 % 8 + 1, i % 8 + 1, i) end
  local exact = bytes:to "f64"
  t.ok(exact:get(1, 2, 2, 8, 8) == 255 and bytes:to("f32"):to("f64"):same(exact), "u8 to f32: each byte's number")
  t.ok(bytes:dense("plain"):to("f32"):to("f64"):same(exact:dense "plain"), "in the plain layout, too")
  local order = { 1, 2, 5, 3, 4 }
  t.ok(bytes:permute(order):to("f32"):to("f64"):same(exact:permute(order):dense "plain"), "and with strides")
end
t.is(numbers(hl.op.cast(hl.tensor { 1.5, 1e10 }, { to = "i32" })), "2.0 2147483647.0", "cast as an op")
raises("must be one of f32|f64", "an unknown type", hl.op.cast, x, { to = "f16" })

-- files
local path = os.tmpname()
t.ok(image:npy_write(path), "a tensor is written as .npy")
local back = hl.npy_read(path)
t.ok(back:same(image:dense "plain"), "and read back")
os.remove(path)
local none, err = hl.npy_read(path)
t.ok(none == nil and err.code == "io" and err.message:find(path, 1, true), "a missing file is an error value")
t.ok(select(2, x:npy_write "/nowhere/x.npy").message:find("/nowhere", 1, true), "a file that cannot be written, too")

-- gradients
local op = hl.op
local a, b = counting { 2, 3 }, counting { 3, 2 }
local fine, report = hl.gradcheck(function(u, v)
  local product = op.matmul(u, v)
  return op.sum(op.square(op.softmax(product:at { 1 } / 20, { axis = 1 }))) + op.mean(product:at { ":", "2:2" })
end, a, b)
t.ok(fine and #report == 2, "a composition with parts of values passes gradcheck")
t.diag(tostring(report))
fine = hl.gradcheck(function(u) return op.sum(op.cast(op.cast(u, { to = "f32" }), { to = "f64" })) end, a,
  { tolerance = 1e-2, step = 0.5 })
t.ok(fine, "the gradient of a cast passes between f64 and f32")
local picture = counting({ 1, 2, 1, 2, 2 }, { layout = "image" })
fine = hl.gradcheck(function(u) return op.norm2(u:at { c = 1, n = 1 }) end, picture, { elements = 8 })
t.ok(fine, "an axis of an image is dropped on the tape")
local wrong, told = hl.gradcheck(function(u) return op.sum(op.abs(u)) end, hl.tensor { 0.000001, 1 })
t.ok(not wrong and tostring(told):find("WRONG", 1, true) and told[1].index[1] == 1, "a kink is reported with its place")
raises("unknown option 'steps'", "an option", hl.gradcheck, op.sum, a, { steps = 1 })
raises("does not depend on 'argument 2'", "an argument without influence",
  hl.gradient, function(u) return op.sum(u) end, a, b)

-- ops with a gradient of their own
local halve = hl.custom {
  forward = function(u, w) return op.exp(u) * w, op.greater(u, 0) end,
  backward = function(inputs, outputs, dy) return dy * outputs[1], dy * op.exp(inputs[1]) end,
}
local function with_custom(u, w)
  local product, sign = halve(u, w)
  return op.sum(product * product) + op.sum(sign * w)
end
t.ok(hl.gradcheck(with_custom, hl.tensor { 0.5, -1 }, hl.tensor { 2, 3 }), "a right gradient passes gradcheck")
local liar = hl.custom { forward = function(u) return op.square(u) end, backward = function(_, _, dy) return dy end }
t.ok(not hl.gradcheck(function(u) return op.sum(liar(u)) end, hl.tensor { 3 }), "a wrong one does not")
local round = hl.custom {
  forward = function(u) return op.cast(op.cast(u, { to = "i32" }), { to = "f32" }) end,
  backward = function(_, _, dy) return dy end,
}
local loss, through = hl.gradient(function(u) return op.sum(round(u) * 2) end, hl.tensor { 1.2, 2.7 })
t.is(numbers(loss:reshape { 1 }) .. ", " .. numbers(through), "8.0, 2.0 2.0", "ops without gradients inside")
t.is(numbers(round(hl.tensor { 1.2 })), "1.0", "on a tensor it just computes")
local _, second = hl.gradient(function(u, w) return op.sum(select(2, halve(u, w)) * w) end, hl.tensor { 1, -1 },
  hl.tensor { 2, 3 })
t.is(numbers(second), "0.0 0.0", "outputs at which nothing arrives count as 0")
raises("the gradient gives 1 values, the block has 2 inputs", "a gradient that is missing", function()
  local f = hl.custom { forward = function(u, w) return u * w end, backward = function(_, _, dy) return dy end }
  return hl.gradient(function(u, w) return op.sum(f(u, w)) end, a, a)
end)
raises("the gradient gives that of input 1 as f32[], but it was f32[2,3]", "a gradient of another shape", function()
  local f = hl.custom { forward = op.square, backward = function(_, _, dy) return op.sum(dy) end }
  return hl.gradient(function(u) return op.sum(f(u)) end, a)
end)
raises("output 1 is not computed inside it", "an input as output", function()
  local f = hl.custom { forward = function(u) return u end, backward = function(_, _, dy) return dy end }
  return hl.gradient(function(u) return op.sum(f(u)) end, a)
end)
local traced = engine.program {}
local input = traced:input("x", { 2, 3 })
local parameter = traced:bind("w", counting { 2, 3 }, true)
local total = op.sum((halve(input / 10, parameter)))
for _, g in ipairs(traced:gradient(total, { parameter })) do traced:output(g) end
traced:finish()
t.ok(traced:run({ a })[1]:near(op.exp(a / 10)), "in a traced program too")

-- changes in place
local function changed(change)
  local w = hl.tensor { 1, 2, 3 }
  return function()
    return hl.gradient(function(v)
      local result = op.sum(op.square(v))
      change(w)
      return result
    end, w)
  end
end
for what, change in pairs {
  fill = function(w) w:fill(0) end,
  set = function(w) w:set(1, 5) end,
  part = function(w) w[1] = 5 end,
  copy = function(w) w:copy_(hl.tensor { 3, 2, 1 }) end,
  view = function(w) w:at({ "2:3" }):fill(1) end,
  ["random numbers"] = function(w) hl.rng(1, "x", 0, 0):fill_uniform(w) end,
} do
  raises("argument 1, f32[3], was changed in place", "a gradient after a change by " .. what, changed(change))
end
raises("a result, f32[3], was changed in place", "a gradient after a change of a result", function()
  return hl.gradient(function(v)
    local e = op.exp(v)
    local result = op.sum(e)
    e:tensor():fill(0)
    return result
  end, hl.tensor { 1, 2, 3 })
end)
local _, slope = hl.gradient(function(v)
  local result = op.sum(v + 1)
  return result
end, a)
t.is(numbers(slope), "1.0 1.0 1.0 1.0 1.0 1.0", "a gradient")
local unneeded = hl.tensor { 1, 2 }
local program = engine.program { live = true }
local v = program:bind("x", unneeded, true)
local sum = op.sum(v + 1)
unneeded:fill(7)
t.is(numbers(program:gradient(sum, { v })[1]:tensor()), "1.0 1.0", "a change of what no gradient needs is harmless")

-- what docs/tensors.md shows runs
local doc = assert(io.open((os.getenv "HILUM_SOURCE" or ".") .. "/docs/tensors.md", "rb"))
local text, blocks, printed = doc:read "a", {}, {}
doc:close()
for block in text:gmatch "```lua\n(.-)```" do blocks[#blocks + 1] = block end
local chunk = assert(load(table.concat(blocks, "\n"), "docs/tensors.md", "t",
  setmetatable({ print = function(...) printed[#printed + 1] = table.pack(...) end }, { __index = _G })))
t.ok(xpcall(chunk, function(e) t.diag(debug.traceback(e)) end), "the examples in docs/tensors.md run")
t.ok(#printed == 8 and printed[2][1] == 6.0 and printed[6][1] == "f32", "and print what they say")
t.ok(printed[#printed - 1][1] == true, "their gradient is right")

t.done()
