-- bf16 as a user meets it: at the prompt, and in a small network whose images are bf16 and whose parameters are f32.

local t = require "tap"
local engine = require "hilum.engine"
local hl = require "hilum"

local op = hl.op

-- ---- at the prompt ----

do
  local x = hl.tensor({ { 1, 2.7183, 3 }, { 4, 5, -6 } }, { dtype = "bf16" })
  t.is(tostring(x), "bf16[2,3]  min -6  mean 1.62  max 5\n           1      2.719          3\n"
    .. "           4          5         -6", "it prints as it is stored")
  t.is(x[{ 1, 2 }], 2.71875, "a part is read")
  x[{ 2, ":" }] = 0.1
  t.is(x[{ 2, 3 }], 0.10009765625, "and written, rounded")
  t.is((x + 1).dtype, "bf16", "numbers take the tensor's type")
  t.ok(op.tanh(x):near(op.tanh(x:to "f32"):to "bf16", 0), "an op is that of f32, rounded")
  local loss, dx = hl.gradient(function(v) return op.sum(op.square(v)) end, x)
  t.is(loss.dtype .. " " .. dx.dtype, "bf16 bf16", "gradients have the type of what they belong to")
  t.ok(dx:same(x + x), "and their numbers")
  local fine, err = pcall(function() return x + x:to "f32" end)
  t.ok(not fine and tostring(err):find("input 1 is bf16 and input 2 is f32", 1, true), "types are not mixed silently")
  local _, dw = hl.gradient(function(w) return op.sum(op.cast(op.cast(w, { to = "bf16" }) * x, { to = "f32" })) end,
    hl.tensor { 1, 2, 3 })
  t.is(dw.dtype, "f32", "a parameter that is cast keeps an f32 gradient")
end

-- ---- a network ----

local channels, size = 6, 12

local function filled(shape, name, deviation, options)
  local tensor = engine.zeros(shape, options)
  engine.rng(7, name, 0, 0):fill_normal(tensor, 0, deviation)
  return tensor
end

-- Parameters, f32: of convolutions and normalisations as they are, `gain` cast where it is used.
local function parameters()
  local c = channels
  return {
    filled({ c, 1, 3, 3, 3 }, "first", 0.3), engine.zeros { c },
    engine.zeros({ c }):fill(1), engine.zeros { c },
    filled({ c, c, 2, 2, 2 }, "down", 0.15), engine.zeros { c },
    filled({ c, c, 2, 2, 2 }, "up", 0.15), engine.zeros { c },
    engine.zeros({ c, 1, 1, 1 }):fill(1),
    filled({ 1, 2 * c, 1, 1, 1 }, "head", 0.2), engine.zeros { 1 },
  }
end

local function network(x, p, dtype)
  x = op.cast(x, { to = dtype })
  local top = op.instance_norm(op.conv(x, p[1], p[2], { padding = 1 }), p[3], p[4], { slope = 0.01 })
  local low = op.leaky_relu(op.conv(top, p[5], p[6], { stride = 2 }))
  local up = op.conv_transpose(low, p[7], p[8], { stride = 2 }) * op.cast(p[9], { to = dtype })
  local logits = op.conv(op.regroup(top, op.silu(up)), p[10], p[11])
  return op.cast(logits, { to = "f32" })
end

-- The losses of Adam's steps towards a ball in noise, the gradients' types, and the program.
local function train(dtype, steps)
  local shape = { 2, 1, size, size, size }
  local image, truth = filled(shape, "image", 0.5, { layout = "image" }), engine.zeros(shape, { layout = "image" })
  truth:at({ z = "4:9", y = "4:9", x = "4:9" }):fill(1)
  image = image + truth
  local p, program = parameters(), engine.program {}
  local x, y = program:input("image", shape, { layout = "image" }), program:input("truth", shape, { layout = "image" })
  local values = {}
  for i, tensor in ipairs(p) do values[i] = program:bind("parameter " .. i, tensor, true) end
  local loss = op.mean(op.bce(network(x, values, dtype), y))
  program:output(loss)
  for _, g in ipairs(program:gradient(loss, values)) do program:output(g, "gradients") end
  program:finish()
  local losses, types, state = {}, {}, {}
  for i, tensor in ipairs(p) do state[i] = { engine.zeros(tensor.shape), engine.zeros(tensor.shape) } end
  for step = 1, steps do
    local results = program:run { image, truth }
    losses[step] = results[1]:get()
    local clock = engine.from({ 0.02, step }, { dtype = "f64" })
    for i, tensor in ipairs(p) do
      types[results[i + 1].dtype] = true
      op.adam(tensor, results[i + 1], state[i][1], state[i][2], clock)
    end
  end
  return losses, types, program, { image, truth }
end

local wide = train("f32", 40)
local narrow, types, program, inputs = train("bf16", 40)
t.is(next(types, next(types)), nil, "one type of gradients")
t.ok(types.f32, "which is f32")
t.ok(narrow[40] < 0.5 * narrow[1], string.format("bf16: the loss falls from %.3f to %.3f", narrow[1], narrow[40]))
local worst = 0
for i, loss in ipairs(narrow) do worst = math.max(worst, math.abs(loss - wide[i]) / wide[i]) end
t.ok(worst < 0.1, string.format("and stays within %.1f %% of that of f32 images", 100 * worst))

do
  local plan = program:plan().peak
  collectgarbage()
  collectgarbage()
  local base = engine.ledger().live.all
  engine.reset_peak()
  local results = program:run(inputs)
  t.is(engine.ledger().peak.all - base, plan.all - inputs[1].bytes - inputs[2].bytes,
    "the scratch in which bf16 is widened is planned: bytes measured = promised")
  t.is(#results, 12, "for all results")
end

t.done()
