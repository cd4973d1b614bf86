-- hilum bench ops: what each op moves or computes per second, beside what the machine can.
--
-- Time is that of the kernel alone, the best of as many runs as fit into the patience given; outputs and scratch
-- exist already. GB/s count every input read once and every output written once, so passes that a kernel takes
-- more than once show as a lower share. GF/s of convolutions count two operations for each product of the plain
-- convolution, padding included. With dtype bf16 images are bf16 and parameters f32, as networks have them.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"

local patience = 0.3

-- Orthogonal matrices close to where networks begin.
local function orthogonal(shape, key)
  local skew = engine.zeros(shape)
  engine.rng(0, "bench " .. key, 0, 0):fill_uniform(skew, -0.05, 0.05)
  return engine.op.cayley(skew)
end

-- Tensors of the sizes wanted, made once and kept while their group is measured.
local function maker(dtype)
  local made = {}
  return function(spec)
    local shape, layout, name = spec[1], spec[2], spec[3] or ""
    local type = spec.dtype or (layout == "image" or spec.like_images) and dtype or "f32"
    local key = table.concat(shape, "x") .. layout .. type .. name
    if spec.orthogonal then made[key] = made[key] or orthogonal(shape, key) end
    if not made[key] then
      made[key] = engine.zeros(shape, { layout = layout, dtype = type })
      engine.rng(0, "bench " .. key, 0, 0):fill_uniform(made[key], 0.1, 0.9)
    end
    return made[key]
  end
end

-- The image of the bandwidth measurements; channels and their vectors follow from it.
local function image_shape(side, channels)
  return { 1, channels, side, side, side }
end

local function halved(shape)
  return { shape[1], shape[2], shape[3] // 2, shape[4] // 2, shape[5] // 2 }
end

-- Ops on one image: what follows the image among their inputs, and their attributes. Ops of one or two inputs that
-- need no attributes are found in the op table and not listed here.
local function bandwidth_cases(side, channels)
  local x, c = image_shape(side, channels), { channels }
  local function im(shape, name) return { shape or x, "image", name } end
  local function vec(shape, name) return { shape or c, "plain", name } end
  local one = { {}, "plain", "one", like_images = true }
  local stats = { 1, channels, 2 }
  local size = string.format("size=%d,%d,%d", x[3], x[4], x[5])
  return {
    { "instance_norm", { im(), vec(nil, "s"), vec() }, "slope=0.01" },
    { "instance_norm_grad", { im(), vec(stats), im(nil, "dy"), vec(nil, "s"), vec() }, "slope=0.01" },
    { "group_norm", { im(), vec(nil, "s"), vec() }, "groups=" .. math.max(1, channels // 4) },
    { "group_norm_grad", { im(), vec { 1, math.max(1, channels // 4), 2 }, im(nil, "dy"), vec(nil, "s"), vec() },
      "groups=" .. math.max(1, channels // 4) },
    { "batch_norm", { im(), vec(nil, "s"), vec() }, "slope=0.01" },
    { "batch_norm_grad", { im(), vec(), vec(), im(nil, "dy"), vec(), vec(), vec(nil, "s"), vec() }, "slope=0.01" },
    { "batch_norm_eval", { im(), vec(), vec(), vec(nil, "s"), vec() }, "slope=0.01" },
    { "max_pool", { im() }, "kernel=2" },
    { "max_pool_grad", { im(), im(halved(x)) }, "kernel=2" },
    { "avg_pool", { im() }, "kernel=2" },
    { "avg_pool_grad", { im(halved(x)) }, "kernel=2 " .. size },
    { "interpolate", { im(halved(x)) }, "scale=2" },
    { "interpolate_grad", { im() }, "size=" .. table.concat(halved(x), ",", 3) },
    { "interpolate", { im(halved(x)) }, "scale=2 mode=nearest" },
    { "pad", { im() }, "before=2 after=2" },
    { "pad", { im() }, "before=2 after=2 mode=reflect" },
    { "pad", { im() }, "before=-2 after=-2" },
    { "sum", { im() }, "axes=0,2,3,4" },
    { "sum", { im() }, "axes=1" },
    { "add", { im(), im(nil, "b") } },
    { "mul", { im(), one } },
    { "clamp", { im() }, "low=0.2 high=0.8" },
    { "regroup", { im() }, string.format("sizes=%d,%d", channels // 2, channels - channels // 2) },
    { "mix", { im(), vec { channels, channels } } },
    { "resample_down", { im(), vec { channels, 8, 8 } }, "stride=2" },
    { "resample_up", { im { 1, channels * 8, x[3] // 2, x[4] // 2, x[5] // 2 }, vec { channels, 8, 8 } }, "stride=2" },
    { "adam", { vec { 1 << 23 }, vec({ 1 << 23 }, "g"), vec({ 1 << 23 }, "m"), vec({ 1 << 23 }, "v"), "clock" } },
  }
end

-- Ops of the table that take images of one shape and need nothing else.
local function plain_ops(listed)
  local names = {}
  for _, op in ipairs(engine.ops()) do
    local free = op.args == "x" or op.args == "a, b"
    for _, attribute in ipairs(op.attributes) do free = free and attribute.default ~= nil end
    if free and not listed[op.name] then names[#names + 1] = op end
  end
  return names
end

local function conv_cases(side)
  local cases = {}
  for _, c in ipairs { 4, 8, 16, 32 } do
    local x, w = image_shape(side, c), { c, c, 3, 3, 3 }
    local size = string.format("size=%d,%d,%d", side, side, side)
    local work = 2 * 27 * c * c * side ^ 3
    cases[#cases + 1] = { "conv", { { x, "image" }, { w, "plain" } }, "padding=1", c, work }
    cases[#cases + 1] = { "conv_grad_input", { { x, "image" }, { w, "plain" } }, "padding=1 " .. size, c, work }
    cases[#cases + 1] = { "conv_grad_weight", { { x, "image" }, { x, "image", "dy" } }, "padding=1 kernel=3", c, work }
  end
  local c = 16
  local x, w = image_shape(side, c), { c, 1, 3, 3, 3 }
  local groups, work = " groups=" .. c, 2 * 27 * c * side ^ 3
  local size = string.format(" size=%d,%d,%d", side, side, side)
  cases[#cases + 1] = { "conv", { { x, "image" }, { w, "plain" } }, "padding=1" .. groups, c, work }
  cases[#cases + 1] = { "conv_grad_input", { { x, "image" }, { w, "plain" } }, "padding=1" .. groups .. size, c, work }
  cases[#cases + 1] =
    { "conv_grad_weight", { { x, "image" }, { x, "image", "dy" } }, "padding=1 kernel=3" .. groups, c, work }
  return cases
end

local function inputs_of(case, make)
  local inputs = {}
  for i, spec in ipairs(case[2]) do
    inputs[i] = spec == "clock" and engine.from({ 1e-3, 1 }, { dtype = "f64" }) or make(spec)
  end
  return inputs
end

local function time(case, make, seconds)
  return engine.time_op(case[1], case[3], seconds or patience, table.unpack(inputs_of(case, make)))
end

local function measure(case, make)
  local fine, seconds, bytes = pcall(time, case, make)
  if not fine then
    if case.guessed then return nil end -- an op that does not take images
    error(seconds, 0)
  end
  return {
    op = case[1], attributes = case[3], channels = case[4], seconds = seconds, gb_per_s = bytes / seconds / 1e9,
    gf_per_s = case[5] and case[5] / seconds / 1e9,
  }
end

local function table_of(side, channels)
  local cases, listed = bandwidth_cases(side, channels), {}
  for _, case in ipairs(cases) do
    listed[case[1]], case[4] = true, channels
  end
  for _, op in ipairs(plain_ops(listed)) do
    local x = image_shape(side, channels)
    local inputs = { { x, "image" } }
    if op.args == "a, b" then inputs[2] = { x, "image", "b" } end
    cases[#cases + 1] = { op.name, inputs, nil, channels, guessed = true }
  end
  return cases
end

local function line(row, machine)
  local what = row.op .. (row.attributes and " " .. row.attributes or "")
  local share = row.gf_per_s and row.gf_per_s * 1e9 / machine.multiply_add or row.gb_per_s * 1e9 / machine.triad
  return string.format("%-58s %3d %9.3f ms %8.1f %s %5.0f %%", what:sub(1, 58), row.channels, 1e3 * row.seconds,
    row.gf_per_s or row.gb_per_s, row.gf_per_s and "GF/s" or "GB/s", 100 * share)
end

-- The machine may have been busy when it was measured: the best counts.
local function look_again(machine)
  for key, value in pairs(engine.machine()) do machine[key] = math.max(machine[key], value) end
end

local bench_ops = {
  --- maker(dtype): a function that makes tensors of { shape, layout, name, dtype = of images unless it is said,
  --- orthogonal = whether it is a stack of such matrices }, each once.
  maker = maker,
  --- look_again(machine): raises the peaks to those of now, should they be higher.
  look_again = look_again,
  --- time({ op, inputs, attributes }, make, patience in seconds): seconds of the fastest run, bytes moved.
  time = time,
}

--- Measures every op (or those whose name begins with `only`) and prints a table or one JSON line.
function bench_ops.run(settings)
  patience = settings.seconds or patience
  local side, channels = settings.side or 96, settings.channels or 16
  local machine = engine.machine()
  local dtype = settings.dtype or "f32"
  local rows, make = {}, maker(dtype)
  local function add(cases)
    for _, case in ipairs(cases) do
      if not settings.only or case[1]:sub(1, #settings.only) == settings.only then
        if #rows > 0 and #rows % 10 == 0 then look_again(machine) end
        local row = measure(case, make)
        if row then rows[#rows + 1] = row end
        if row and not settings.json then print(line(row, machine)) end
      end
    end
  end
  if not settings.json then
    print(string.format("triad %.1f GB/s, multiply-add %.0f GF/s, %d threads; image {1,%d,%d,%d,%d} %s",
      machine.triad / 1e9, machine.multiply_add / 1e9, engine.threads(), channels, side, side, side,
      dtype))
    print(string.format("%-58s %3s %12s %13s %7s", "op", "c", "time", "rate", "of peak"))
  end
  add(table_of(side, channels))
  make = maker(dtype)
  collectgarbage()
  add(conv_cases(side))
  if not settings.json then
    print(string.format("best triad %.1f GB/s, best multiply-add %.0f GF/s", machine.triad / 1e9,
      machine.multiply_add / 1e9))
  end
  if settings.json then
    return common.emit_line {
      who = "hilum " .. engine.version, threads = engine.threads(), image = image_shape(side, channels), dtype = dtype,
      triad_gb_per_s = machine.triad / 1e9, multiply_add_gf_per_s = machine.multiply_add / 1e9, ops = rows,
    }
  end
end

return bench_ops
