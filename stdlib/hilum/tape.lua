-- Gradients at the prompt: every op is computed at once and noted on a tape, which is then played backwards.

local engine = require "hilum.engine"

local tape = {}

--- gradient(f, a, b, …): f is called with values standing for the tensors and returns one number made of
--- them by ops. Gives that number as a tensor, then its gradient with respect to each tensor.
---
---   local loss, dx, dw = hl.gradient(function(x, w) return hl.op.mean(hl.op.square(x * w)) end, x, w)
function tape.gradient(f, ...)
  local tensors = table.pack(...)
  if tensors.n == 0 then error("gradient: name at least one tensor to differentiate by", 2) end
  local program = engine.program { live = true }
  local values = {}
  for i = 1, tensors.n do
    values[i] = program:bind(string.format("argument %d", i), tensors[i], true)
  end
  local result = f(table.unpack(values, 1, tensors.n))
  if type(result) ~= "userdata" or not result.program then
    error("gradient: the function must return a value computed from its arguments by ops", 2)
  end
  local gradients = program:gradient(result, values)
  for i, g in ipairs(gradients) do gradients[i] = g:tensor() end
  return result:tensor(), table.unpack(gradients)
end

-- The program of the first value among some things; nil if all are tensors and numbers.
local function program_of(list)
  for i = 1, list.n do
    if type(list[i]) == "userdata" and list[i].program then return list[i].program end
  end
end

--- custom { forward =, backward = }: an op with a gradient of its own. forward(x, …) computes one or several results
--- by ops; backward(inputs, outputs, dy, …) gets both as lists and the gradients that arrive, and returns one
--- gradient per input, made by ops. Ops in forward need no gradients of their own. hl.gradcheck says whether
--- backward is right.
---
---   local round = hl.custom {                        -- rounds, but lets the gradient through
---     forward = function(x) return hl.op.cast(hl.op.cast(x, { to = "i32" }), { to = "f32" }) end,
---     backward = function(_, _, dy) return dy end,
---   }
function tape.custom(spec)
  for key in pairs(spec) do
    if key ~= "forward" and key ~= "backward" then error("custom: unknown key '" .. tostring(key) .. "'", 2) end
  end
  if type(spec.forward) ~= "function" or type(spec.backward) ~= "function" then
    error("custom: forward and backward must be functions", 2)
  end
  return function(...)
    local inputs = table.pack(...)
    local program = program_of(inputs)
    if not program then return spec.forward(...) end
    for i = 1, inputs.n do
      if not inputs[i].program then inputs[i] = program:bind("constant", inputs[i], false) end
    end
    inputs.n = nil
    program:custom_begin(inputs)
    local outputs = { spec.forward(table.unpack(inputs)) }
    local arriving = program:block_turn(outputs)
    program:block_end { spec.backward(inputs, outputs, table.unpack(arriving)) }
    return table.unpack(outputs)
  end
end

-- The 1-based index of element number k of a tensor, in row-major order.
local function index_of(shape, k)
  local index, rest = {}, k - 1
  for axis = #shape, 1, -1 do
    index[axis] = rest % shape[axis] + 1
    rest = rest // shape[axis]
  end
  return index
end

local function value_of(f, tensors)
  local program <close> = engine.program { live = true }
  local values = {}
  for i, t in ipairs(tensors) do values[i] = program:bind("argument " .. i, t, false) end
  local result <close> = f(table.unpack(values)):tensor()
  return result:reshape({ 1 })[1]
end

-- The difference quotient of f along one element.
local function quotient(f, tensors, t, index, step)
  local function at(x)
    index[#index + 1] = x
    t:set(table.unpack(index))
    index[#index] = nil
    return value_of(f, tensors)
  end
  local x = t:get(table.unpack(index))
  local up, down = at(x + step), at(x - step)
  at(x)
  return (up - down) / (2 * step)
end

-- Compares one argument's gradient with difference quotients of evenly spaced elements.
local function check_argument(f, tensors, i, gradient, options)
  local t = tensors[i]
  local n, largest, worst = #t, 0, { off = 0 }
  local every = math.max(1, math.ceil(n / options.elements))
  for k = 1, n, every do
    local index = index_of(t.shape, k)
    local want, got = quotient(f, tensors, t, index, options.step), gradient:get(table.unpack(index))
    local off = math.abs(got - want)
    largest = math.max(largest, math.abs(want), math.abs(got))
    if off > worst.off or off ~= off then worst = { off = off, index = index, got = got, want = want } end
    if off ~= off then break end
  end
  local relative = worst.off == 0 and 0 or worst.off / math.max(largest, 1e-300)
  return {
    argument = i, fine = relative <= options.tolerance, worst = relative, index = worst.index, tape = worst.got,
    difference = worst.want,
  }
end

local report_text = {
  __tostring = function(report)
    local lines = {}
    for _, r in ipairs(report) do
      local where = r.index and string.format(" at {%s}: the tape says %.9g, the difference quotient %.9g",
        table.concat(r.index, ", "), r.tape, r.difference) or ""
      lines[#lines + 1] = string.format("argument %d: %s, worst relative error %.2g%s", r.argument,
        r.fine and "right" or "WRONG", r.worst, where)
    end
    return table.concat(lines, "\n")
  end,
}

--- gradcheck(f, a, b, …[, { step = 1e-5, tolerance = 1e-6, elements = 100 }]): compares the tape's gradients of
--- f, a function as for gradient, with central differences in f64, at up to `elements` places of each tensor.
--- Gives true or false and a report per argument, which prints as text: { argument, fine, worst, index, tape,
--- difference }, worst relative to the argument's largest derivative. The tensors stay as they are.
---
---   print(hl.gradcheck(function(x) return hl.op.sum(hl.op.silu(x)) end, hl.tensor { 0.5, -2 }))
function tape.gradcheck(f, ...)
  local tensors = table.pack(...)
  local options = { step = 1e-5, tolerance = 1e-6, elements = 100 }
  if type(tensors[tensors.n]) == "table" then
    for key, value in pairs(tensors[tensors.n]) do
      if not options[key] then error("gradcheck: unknown option '" .. tostring(key) .. "'", 2) end
      options[key] = value
    end
    tensors[tensors.n] = nil
  end
  for i, t in ipairs(tensors) do tensors[i] = t:to("f64"):clone() end
  tensors.n = nil
  local gradients = { select(2, tape.gradient(f, table.unpack(tensors))) }
  local report, fine = setmetatable({}, report_text), true
  for i = 1, #tensors do
    report[i] = check_argument(f, tensors, i, gradients[i], options)
    fine = fine and report[i].fine
  end
  return fine, report
end

return tape
