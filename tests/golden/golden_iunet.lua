-- Golden vectors of whole invertible U-Nets, rebuilt and stored, and of the channels that can be had.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local hl = require "hilum"
local names = require "hilum.nn.iunets_names"
local network = require "golden.network"

local op = engine.op

local function strides_of(case)
  local list = {}
  for i, stride in ipairs(case.resampling_stride) do list[i] = golden.zyx(stride, 1) end
  return list
end

local function net_of(case, rebuild)
  return hl.nn.iunet {
    dimensions = case.dim, channels = case.channels_requested, couplings = case.architecture,
    strides = strides_of(case), backprop = rebuild and "rebuild" or "store",
    coupling = hl.nn.additive { inner = hl.nn.inner { depth = case.depth, norm = case.normalization } },
    resampling = { method = case.resampling_method, learnable = case.learnable_resampling },
    mixing = { frequency = case.channel_mixing_freq, method = case.channel_mixing_method,
      learnable = case.learnable_channel_mixing },
    padding = { mode = case.padding_mode, value = case.padding_value, revert = case.revert_input_padding },
  }
end

-- Our names in the store have the network's place before them.
local function placed(map)
  local full = {}
  for theirs, ours in pairs(map) do full[theirs] = "iunet." .. ours end
  return full
end

-- The input and the output with their padding, as the file keeps them of padded cases.
local function padded_outputs(case, b, x, rebuild, outputs)
  local raw = {}
  for key, part in pairs(case) do raw[key] = part end
  raw.revert_input_padding = false
  local net = net_of(raw, rebuild)
  local out = net:build(b, x)
  local before, after = golden.zyx(case.pad_before, 0), golden.zyx(case.pad_after, 0)
  outputs.padded_input = op.pad(x, { before = before, after = after, mode = case.padding_mode,
    value = case.padding_mode == "constant" and case.padding_value or 0 })
  outputs.padded_out = out
  outputs.inverse_of_padded_out = net:inverse(b, out, x, { padded = true })
end

local function iunet(case, v, data)
  local map = placed(names.of_network(net_of(case, true)))
  local computed, gradients, updated = network.both {
    x = v.x:tensor(), names = map, values = v, training = case.training, once = case.once,
    build = function(b, x, rebuild)
      b.dimensions = case.dim
      local net = net_of(case, rebuild)
      local out = net:build(b, x)
      local upstream = b.program:bind("G", data.upstream.G:to(case.dtype):reshape(out.shape):dense "image", false)
      local loss = op.mean(op.mul(out, upstream))
      local outputs = { out = out, loss = loss,
        inverse_of_out = net:inverse(b, out, x, { padded = not case.revert_input_padding }) }
      for i, code in ipairs(net:encode(b, x)) do outputs["code" .. i - 1] = code end
      if data.outputs.padded_out then padded_outputs(case, b, x, rebuild, outputs) end
      return outputs, loss
    end,
  }
  for theirs, ours in pairs(map) do
    if data.outputs["after_" .. theirs] then computed["after_" .. theirs] = updated[ours] end
  end
  return computed, nil, gradients
end

-- The loss is a mean of products of either sign: it is measured against the mean of their sizes.
local function scale(_, data)
  local product = op.mul(data.outputs.out, data.upstream.G:reshape(data.outputs.out.shape))
  return { loss = op.mean(op.abs(product)):table()[1] }
end

-- An instance norm of two voxels gives 1 and -1 whatever they are: a step, whose gradient divides by their difference.
-- f32 is off by up to 6e-5 of all gradients there, and by 3e-6 elsewhere.
local function steps(case, data)
  local last = 0
  while data.outputs["code" .. last + 1] do last = last + 1 end
  local deepest, voxels = data.outputs["code" .. last].shape, 1
  for i = 3, #deepest do voxels = voxels * deepest[i] end
  return case.normalization == "instance" and voxels < 4
end

-- Attributes alone: compared here, because the file has no datasets of them.
local function channels(case)
  local plan = hl.nn.iunet {
    dimensions = case.dim, channels = case.channels_requested, strides = strides_of(case),
    couplings = case.channels_requested,
  }:plan()
  if case.peer_ok == false or case.peer_ok == 0 then return {} end
  for i, want in ipairs(case.channels) do
    local skip = case.skipped_channels[i]
    if plan[i].channels ~= want or plan[i].skip ~= skip then
      error(string.format("level %d has %d channels and keeps %s; expected %d and %s", i, plan[i].channels,
        plan[i].skip, want, skip), 0)
    end
  end
  return {}
end

golden.run {
  topic = "iunet", networks = true,
  -- Outputs of whole networks in f32: one op's 2e-5 and more, since errors pass through normalisations of few voxels.
  -- Without fused multiply-adds the loss of `oddpad` is off by 3.3e-5, with oneDNN's convolutions alone by 1.7e-5.
  tolerance = { f64 = { outputs = 1e-10, grads = 1e-10 }, f32 = { outputs = 1e-4, grads = 1e-3 },
    bf16 = { outputs = 0.1, grads = network.KINK } },
  floor = { f32 = network.FLOOR }, -- before an instance norm of two voxels a gradient cancels to 1e-5 of the others
  ops = { iunet = { bind = { x = golden.image }, run = iunet, scale = scale, steps = steps }, channels = channels },
}
