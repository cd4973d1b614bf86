-- hilum bench: what a step costs on this machine.

local common = require "hilum.cli.common"
local cost = require "hilum.cost"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local figure = require "hilum.figure"
local loss = require "hilum.loss"
local nn = require "hilum.nn"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local profile = require "hilum.profile"
local timeline = require "hilum.timeline"

local CHANNELS = "16,32,64,128"

-- "16,32" -> { 16, 32 }
local function numbers(text, name)
  local list = {}
  for word in (text .. ","):gmatch("([^,]*),") do
    local n = math.tointeger(tonumber(word))
    if not n or n < 1 then
      error(problem.new("usage", string.format("--%s: expected whole numbers like 16,32, got '%s'", name, text)), 0)
    end
    list[#list + 1] = n
  end
  return list
end

local function size_of(text)
  local size = numbers(text, "size")
  if #size == 1 then return { size[1], size[1], size[1] } end
  if #size == 3 then return size end
  error(problem.new("usage", string.format("--size: expected one number or z,y,x, got '%s'", text)), 0)
end

local function strides_of(text)
  local list = {}
  for part in (text .. "/"):gmatch("([^/]*)/") do list[#list + 1] = numbers(part, "strides") end
  return list
end

-- "1.5" -> bytes; nil where nothing is given.
local function gibibytes(text)
  if not text then return nil end
  local n = tonumber(text)
  if n and n > 0 and n < 2 ^ 30 then return math.floor(n * 2 ^ 30) end
  error(problem.new("usage", string.format("--memory-gib: expected a number above 0, got '%s'", text)), 0)
end

-- The networks of the comparison: convolution in → network → 1×1×1 convolution out.
local function network(given, command)
  local channels = numbers(given.channels or CHANNELS, "channels")
  local strides = strides_of(given.strides or string.rep("2,2,2", #channels - 1, "/"))
  if options.choice(command, given, "net", { "iunet", "unet" }) == "unet" then
    return nn.unet { channels = channels, strides = strides }
  end
  local blocks, couplings = numbers(given.blocks or "2", "blocks")[1], {}
  for i = 1, #channels do couplings[i] = blocks end
  return nn.chain {
    nn.conv { out = channels[1] },
    nn.iunet {
      channels = channels, couplings = couplings, strides = strides,
      backprop = options.choice(command, given, "backprop", { "rebuild", "store" }),
    },
  }
end

-- The first scan of a folder of LIDC-IDRI that has nodules, all of it on one grid.
local function scan_of(folder, size)
  local source = dataset.lidc { folder = folder, crop = size, extent = "scan" }
  local set, err = source:open {}
  if not set then error(problem.of(err), 0) end
  local sample, batch = set:load(1), {}
  for _, name in ipairs { "image", "truth", "valid" } do
    batch[name] = engine.zeros({ 1, 1, size[1], size[2], size[3] }, { layout = "image" })
    batch[name]:copy_(sample[name])
    sample[name]:free()
  end
  return batch, set.cases[1].id
end

-- Soft Dice as the peers have it; a few voxels of a whole scan move the sum with cross entropy sooner.
local losses_known = {
  dice = function() return loss.dice {} end,
  ["dice+bce"] = function() return loss.dice {} + loss.bce {} end,
}

-- What the steps compute with, as a function, and its name.
local function data_of(given, n, size)
  if not given.data then return nil, "random" end
  if n ~= 1 then error(problem.new("usage", "--data takes one scan at a time: --batch must be 1"), 0) end
  local batch, case = scan_of(given.data, size)
  return function() return batch end, case
end

-- "iunet 16-32-64-128, 2 couplings, 96 × 96 × 96, batch 1, f32, rebuild, 2 threads, random data"
local function words(result)
  return string.format("%s %s, %d couplings, %s, batch %d, %s, %s, %d threads, %s", result.net,
    table.concat(result.channels, "-"), result.blocks, table.concat(result.size, " × "), result.batch, result.dtype,
    result.backprop, result.threads, result.data == "random" and "random data" or result.data)
end

local function draw(kind, what, base)
  local files, err = figure.draw(kind, what, base)
  if not files then error(problem.of(err), 0) end
  for _, file in ipairs(files) do print("figure " .. file) end
end

local function draw_profile(result, base)
  draw("step", { rows = result.profile, machine = result.machine, title = "Where the time of a training step goes",
    note = string.format("%s  ·  step of %.3f s", words(result), result.seconds_per_step) }, base)
end

local function draw_memory(result, base)
  draw("step_memory", { steps = result.memory, planned = result.planned_bytes,
    own = result.start_rss_bytes - result.start_ledger_bytes,
    title = "What memory a training step holds", note = words(result) }, base)
end

local function train(given, command)
  local size, n = size_of(given.size or "64"), options.number(command, given, "batch", 1, 1)
  local steps = options.number(command, given, "steps", 3, 1)
  local wanted = losses_known[options.choice(command, given, "loss", { "dice", "dice+bce" })]()
  local precision = options.choice(command, given, "dtype", { "f32", "bf16" })
  if given.threads then engine.threads(options.number(command, given, "threads", 1, 1)) end
  local net = network(given, command)
  local batch, case = data_of(given, n, size)
  local watch, lives = given.profile and profile.new() or nil, given["memory-figure"] and timeline.new() or nil
  if watch and steps < 2 then error(problem.new("usage", "--profile needs --steps 2: the first is left out"), 0) end
  local result = cost.of_steps { net = net, size = size, n = n, batch = batch, loss = wanted, steps = steps,
    precision = precision, profile = watch, timeline = lives, budget = gibibytes(given["memory-gib"]),
    each = not given.json and function(i, seconds, loss_now)
      print(string.format("step %d of %d: %.3f s, loss %.6f, ledger %.1f MiB at most", i, steps, seconds, loss_now,
        engine.ledger().peak.all / 2 ^ 20))
    end or nil }
  for name, what in pairs {
    who = "hilum " .. engine.version, net = given.net or "iunet", size = size, batch = n, steps = steps,
    dtype = precision, channels = numbers(given.channels or CHANNELS, "channels"),
    blocks = numbers(given.blocks or "2", "blocks")[1],
    data = case, backprop = given.backprop or "rebuild", threads = engine.threads(),
  } do result[name] = what end
  if watch then result.machine, result.profile = engine.machine(), watch:list() end
  if lives then result.memory = lives.steps end
  if given.json then return common.emit_line(result) end
  if watch then print(watch:table(result.machine)) end
  if watch and given.figure then draw_profile(result, given.figure) end
  if lives then draw_memory(result, given["memory-figure"]) end
  print(string.format("%d parameters; best step %.3f s; peak %.1f MiB above the start; ledger %.1f, planned %.1f MiB",
    result.parameters, result.seconds_per_step, result.peak_above_start_bytes / 2 ^ 20,
    result.peak_ledger_bytes / 2 ^ 20, result.planned_bytes / 2 ^ 20))
  if result.clipped > 0 then print(string.format("%d numbers of the state left their range", result.clipped)) end
end

local function ops(given, command)
  if given.threads then engine.threads(options.number(command, given, "threads", 1, 1)) end
  return require("hilum.cli.bench_ops").run {
    only = given.only, json = given.json, side = options.number(command, given, "size", 96, 4),
    channels = options.number(command, given, "channels", 16, 1),
    seconds = options.decimal(command, given, "seconds", 0.001, 3600),
    dtype = options.choice(command, given, "dtype", { "f32", "bf16" }),
  }
end

local function metrics(given, command)
  if #given == 1 then error(problem.new("usage", "bench metric takes two masks, or none"), 0) end
  if given.threads then engine.threads(options.number(command, given, "threads", 1, 1)) end
  return require("hilum.cli.bench_metric").run {
    files = given, side = options.number(command, given, "size", 128, 4), json = given.json,
    spacing_mm = given.spacing and options.vector(command, "spacing", given.spacing, 3) or { 1, 1, 1 },
    runs = options.number(command, given, "runs", 5, 1),
  }
end

-- The command that measures ops at the shapes of the networks; bench() is their module.
local function of_shapes(name, summary, bench)
  return {
    name = name,
    summary = summary,
    arguments = {},
    options = {
      { "size", "N", "side of the largest image (default: 128)" },
      { "dtype", "f32|bf16", "of images (default: f32); parameters are f32" },
      { "seconds", "N", "patience per kernel; the fastest run counts (default: 0.3)" },
      { "threads", "N", "compute threads (default: all processors)" },
      { "json", nil, "one JSON line" },
    },
    run = function(given, command)
      if given.threads then engine.threads(options.number(command, given, "threads", 1, 1)) end
      return require("hilum.cli.bench_shapes").run(bench(), {
        json = given.json, side = options.number(command, given, "size", 128, 4),
        seconds = options.decimal(command, given, "seconds", 0.001, 3600),
        dtype = options.choice(command, given, "dtype", { "f32", "bf16" }),
      })
    end,
  }
end

return {
  name = "bench",
  summary = "measures what training, single ops and metrics cost on this machine",
  commands = {
    {
      name = "bench train",
      summary = "forward, soft Dice, backward, Adam on one random batch",
      arguments = {},
      options = {
        { "net", "NAME", "iunet (default) or unet" },
        { "channels", "LIST", "per level (default: 16,32,64,128)" },
        { "blocks", "N", "couplings per level of an iunet (default: 2)" },
        { "strides", "LIST", "of each level, z,y,x separated by / (default: 2,2,2/…)" },
        { "size", "N", "side, or z,y,x (default: 64)" },
        { "batch", "N", "images in a step (default: 1)" },
        { "steps", "N", "how many; the fastest counts (default: 3)" },
        { "dtype", "NAME", "of images: f32 (default) or bf16, parameters staying f32" },
        { "backprop", "NAME", "rebuild (default) or store" },
        { "threads", "N", "compute threads (default: all processors)" },
        { "memory-gib", "N", "budget of a step: couplings go through slabs of z to keep it" },
        { "loss", "NAME", "dice (default) or dice+bce" },
        { "data", "DIR", "the first scan below this folder of LIDC-IDRI, on a grid of --size (default: random)" },
        { "profile", nil, "where the time of the steps after the first goes, by op, beside the machine's peaks" },
        { "figure", "BASE", "with --profile: draws it to BASE.svg and BASE.png" },
        { "memory-figure", "BASE", "draws what memory the last step holds at each op; with --json: its numbers" },
        { "json", nil, "one JSON line" },
      },
      run = train,
    },
    {
      name = "bench ops",
      summary = "each op's kernel: GB/s or GF/s beside a measured triad and multiply-add",
      arguments = {},
      options = {
        { "only", "NAME", "ops whose names begin so" },
        { "size", "N", "side of the image (default: 96)" },
        { "dtype", "f32|bf16", "of images (default: f32); parameters are f32" },
        { "channels", "N", "of the image (default: 16; convolutions: 4, 8, 16, 32)" },
        { "seconds", "N", "patience per op; the fastest run counts (default: 0.3)" },
        { "threads", "N", "compute threads (default: all processors)" },
        { "json", nil, "one JSON line" },
      },
      run = ops,
    },
    require "hilum.cli.bench_feed",
    {
      name = "bench metric",
      summary = "Dice, HD95, ASSD and surface Dice of two masks",
      arguments = { { "[PREDICTION.npy]", "a mask of z, y, x (default: a dented ball)" },
        { "[TRUTH.npy]", "another one" } },
      options = {
        { "size", "N", "side of the balls (default: 128)" },
        { "spacing", "z,y,x", "mm (default: 1,1,1)" },
        { "runs", "N", "how many; the fastest counts (default: 5)" },
        { "threads", "N", "compute threads (default: all processors)" },
        { "json", nil, "one JSON line" },
      },
      run = metrics,
    },
    of_shapes("bench conv", "the networks' convolutions and their gradients: GF/s and GB/s beside the machine's",
      function() return require "hilum.cli.bench_conv" end),
    of_shapes("bench norm", "the networks' normalisations and their gradients: GB/s beside the machine's",
      function() return require "hilum.cli.bench_norm" end),
    of_shapes("bench resample", "an iunet's mixing and resampling and their gradients: GB/s beside the machine's",
      function() return require "hilum.cli.bench_resample" end),
  },
}
