-- The parameter names of the Python library iunets, as its state dict has them, in terms of ours.

local mixing = require "hilum.nn.mixing"

local names = {}

-- One coupling's F: convolution, normalisation and activation one after another.
local function add_inner(map, theirs, ours, inner)
  local width = inner.norm == "none" and 2 or 3
  for k = 1, inner.depth do
    local conv, norm = width * (k - 1), width * (k - 1) + 1
    map[string.format("%sF.seq.%d.weight", theirs, conv)] = string.format("%sconv[%d].weight", ours, k)
    if inner.norm ~= "none" then
      for their_part, our_part in pairs { weight = "scale", bias = "offset" } do
        map[string.format("%sF.seq.%d.%s", theirs, norm, their_part)] =
          string.format("%snorm[%d].%s", ours, k, our_part)
      end
    end
    if inner.norm == "batch" then
      for their_part, our_part in pairs { running_mean = "mean", running_var = "variance" } do
        map[string.format("%sF.seq.%d.%s", theirs, norm, their_part)] =
          string.format("%snorm[%d].%s", ours, k, our_part)
      end
    end
  end
end

--- Of one additive coupling: { ["F.seq.0.weight"] = "conv[1].weight", … }.
function names.of_coupling(coupling)
  local map = {}
  add_inner(map, "", "", coupling.inner)
  return map
end

local function add_level(map, net, side, i)
  local theirs = string.format("%s_modules.%d.", side == "down" and "encoder" or "decoder", i - 1)
  local ours = string.format("%s[%d].", side, i)
  local count, k = net:couplings_of(side)[i], 0
  for j = 1, count do
    add_inner(map, string.format("%s%d._fn.", theirs, k), string.format("%scoupling[%d].", ours, j),
      net.coupling.inner)
    k = k + 1
    local mix = mixing.name(net.mixing.frequency, side, j, count, i == #net.channels)
    if mix then
      map[string.format("%s%d._fn.weight", theirs, k)] = ours .. mix
      k = k + 1
    end
  end
end

--- Of an invertible U-Net with additive couplings of the single form and hl.nn.inner as F. Names of ours are
--- relative to the network's place: "down[1].coupling[1].conv[1].weight".
function names.of_network(net)
  local map = {}
  for i = 1, #net.channels do
    add_level(map, net, "down", i)
    add_level(map, net, "up", i)
    if i < #net.channels then
      map[string.format("downsampling_layers.%d._fn.weight", i - 1)] = string.format("down[%d].resample.weight", i)
      map[string.format("upsampling_layers.%d._fn.weight", i - 1)] = string.format("up[%d].resample.weight", i)
    end
  end
  return map
end

return names
