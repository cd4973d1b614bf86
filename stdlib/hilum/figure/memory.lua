-- Peak memory of a training step against depth and against image size: hilum's, promised and measured, and a peer's.

local gnuplot = require "hilum.gnuplot"

local memory = {}

-- The curves: name of their tables, whose, net, mode.
local curves = {
  { "own_rebuilt", true, "iUNet", "rebuilt" }, { "own_stored", true, "iUNet", "stored" },
  { "own_unet", true, "UNet", "stored" }, { "peer_rebuilt", false, "iUNet", "rebuilt" },
  { "peer_stored", false, "iUNet", "stored" }, { "peer_unet", false, "UNet", "stored" },
}

local function point(x, row)
  local function mib(bytes) return bytes and bytes / 2 ^ 20 or 0 / 0 end
  return { x, mib(row.planned), mib(row.ledger), mib(row.resident), mib(row.activations) }
end

-- x, promised, ledger, resident, activations (MiB) of the rows of one curve, by x.
local function points(rows, curve, x_of)
  local list = {}
  for _, row in ipairs(rows) do
    local own = not row.peer
    local x = own == curve[2] and row.net == curve[3] and row.mode == curve[4] and x_of(row)
    if x then list[#list + 1] = point(x, row) end
  end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return #list > 0 and list or { point(0 / 0, {}) }
end

-- The edges of the axes. (The first argument of min and max stays where the other is no number.)
local function ends(tables)
  local most, low, high = 100, 16, 64
  for _, curve in ipairs(curves) do
    for _, p in ipairs(tables["depth_" .. curve[1]]) do most = math.max(most, p[4]) end
    for _, p in ipairs(tables["size_" .. curve[1]]) do low, high = math.min(low, p[4]), math.max(high, p[4]) end
  end
  return math.ceil(most * 1.05 / 500) * 500, low * 0.6, high * 1.6
end

local function names(rows)
  local own, peer = "hilum", nil
  for _, row in ipairs(rows) do
    if row.peer then peer = row.who else own = row.who end
  end
  return own, peer
end

--- run.measured, rows: { who, net, mode, size, couplings, planned, ledger, resident (bytes above the start), peer };
--- those of a peer have no planned. run.data.details: { side, couplings }, what stays as it is while the other
--- changes. Returns the list of written files, or nil, err.
function memory.draw(run, basename, formats)
  local rows, fixed = run.measured, run.data.details
  local tables, width, height = {}, 1480, 700
  local function depth_of(row) return row.net == "iUNet" and row.size == fixed.side and row.couplings end
  local function size_of(row) return (row.net == "UNet" or row.couplings == fixed.couplings) and row.size end
  for _, curve in ipairs(curves) do
    tables["depth_" .. curve[1]] = points(rows, curve, depth_of)
    tables["size_" .. curve[1]] = points(rows, curve, size_of)
  end
  local own, peer = names(rows)
  tables.page = { { width, height, ends(tables) } }
  tables.title = { { 100, height - 34, "Peak memory of a training step above its start" } }
  tables.note = { { 100, height - 66, string.format("f32, batch 1, Adam  ·  %s%s", own,
    peer and "  ·  " .. gnuplot.shortened(peer, 40) or "") } }
  tables.axes = {
    { 370, 26, string.format("couplings per level (side %d)", fixed.side) },
    { 935, 26, string.format("side of the image (%d couplings per level)", fixed.couplings) },
  }
  tables.unit = { { 52, 603, "MiB" }, { 692, 603, "MiB" } }
  return gnuplot.draw("memory", tables, basename, formats)
end

return memory
