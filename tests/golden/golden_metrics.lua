-- Golden vectors of metrics. What the file computed in double precision (exact.*) is met as every other golden value;
-- the peer's own results in single precision (monai.*) within 2e-6. Empty masks: the peer's rules, written down here,
-- on top of hilum's counts.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local froc = require "hilum.froc"

local NAN, INF = 0 / 0, math.huge
local PEER = 2e-6

local function same(a, b)
  if a ~= a or b ~= b then return a ~= a and b ~= b end
  return a == b or math.abs(a - b) <= PEER * math.max(1, math.abs(b))
end

local function check_peer(case, got)
  for name, value in pairs(got) do
    local want = case["monai." .. name]
    if want ~= nil and not same(value, want) then
      error(string.format("monai.%s is %.9g, the peer has %.9g", name, value, want), 0)
    end
  end
end

local function division(a, b)
  return b == 0 and NAN or a / b
end

local function measured(pred, gt, spacing, percentile, tolerance)
  local _, both, in_a, in_b, voxels = engine.dice(pred, gt)
  local zyx, volume = golden.zyx(spacing, 1), 1
  for _, mm in ipairs(spacing) do volume = volume * mm end
  local function surface(p)
    return engine.surface(pred, gt, nil, { spacing_mm = zyx, percentile = p, tolerance_mm = tolerance })
  end
  local s = surface(percentile)
  return { tp = both, fp = in_a - both, fn = in_b - both, tn = voxels - in_a - in_b + both, in_a = in_a, in_b = in_b,
    volume = volume, surface = s }
end

-- The peer: Dice and IoU are nothing without truth; distances are infinite where one mask is empty, but for
-- percentiles, which are nothing.
local function peer_of(m)
  local s, none, one = m.surface, m.in_a + m.in_b == 0, m.in_a == 0 or m.in_b == 0
  local function far(value, otherwise) return none and NAN or one and otherwise or value end
  local dice, iou = division(2 * m.tp, m.in_a + m.in_b), division(m.tp, m.in_a + m.in_b - m.tp)
  return {
    dice = m.in_b == 0 and NAN or dice, iou = m.in_b == 0 and NAN or iou,
    dice_keep_empty = none and 1 or dice, iou_keep_empty = none and 1 or iou,
    precision = division(m.tp, m.in_a), recall = division(m.tp, m.in_b), specificity = division(m.tn, m.tn + m.fp),
    hd = far(s.hausdorff, INF), hd_directed = far(s.from_a, INF), hd95 = far(s.percentile, NAN),
    assd = far(s.mean, INF), asd_pred_to_gt = far(s.mean_from_a, INF), surface_dice = far(s.dice, 0),
  }
end

local exact = { "exact.tp", "exact.fp", "exact.fn", "exact.tn", "exact.volume_pred", "exact.volume_gt",
  "exact.edge_voxels_pred", "exact.edge_voxels_gt", "exact.hd", "exact.hd_directed", "exact.hd95", "exact.assd",
  "exact.asd_pred_to_gt", "exact.surface_dice" }

local function segmentation(case, _, data)
  local m = measured(data.inputs.pred, data.inputs.gt, case.spacing, case.percentile, case.surface_dice_tolerance)
  check_peer(case, peer_of(m))
  local s, out = m.surface, {}
  local all = { tp = m.tp, fp = m.fp, fn = m.fn, tn = m.tn, volume_pred = m.in_a * m.volume,
    volume_gt = m.in_b * m.volume, edge_voxels_pred = s.size_a, edge_voxels_gt = s.size_b, hd = s.hausdorff,
    hd_directed = s.from_a, hd95 = s.percentile, assd = s.mean, asd_pred_to_gt = s.mean_from_a, surface_dice = s.dice }
  for name, value in pairs(all) do out["exact." .. name] = value end
  return out
end

-- The voxels of one class.
local function of_class(labels, class)
  local t = labels:clone()
  return engine.op.equal(t, engine.from({ class }, { dtype = t.dtype }))
end

local function multiclass(case, _, data)
  for class = 1, case.classes - 1 do
    local m = measured(of_class(data.inputs.pred, class), of_class(data.inputs.gt, class), case.spacing,
      case.percentile, 1)
    local want = {}
    for _, name in ipairs { "dice", "iou", "hd95", "assd" } do
      want["monai." .. name] = data.peer[name]:table()[class]
    end
    check_peer(want, peer_of(m))
  end
  return {}
end

-- The file's way to match: a candidate on a label hits that nodule, whose score without a hit is 0, and thresholds
-- are the distinct scores without the smallest.
local function match(case, data)
  local masks, scan = data.inputs.masks, data.inputs.candidate_scan:table()
  local at, score = data.inputs.candidate_voxel_zyx:table(), data.inputs.candidate_score:table()
  local hits, wrong, index = {}, {}, {}
  for i = 1, case.images do
    local most = masks:slice(1, i):stats().max
    for label = 1, most do
      hits[#hits + 1] = 0
      index[i .. " " .. label] = #hits
    end
  end
  for i, s in ipairs(score) do
    local image = math.tointeger(scan[i]) + 1
    local label = masks:get(image, at[3 * i - 2] + 1, at[3 * i - 1] + 1, at[3 * i] + 1)
    s = string.unpack("<f", string.pack("<f", s))
    if label == 0 then
      wrong[#wrong + 1] = s
    else
      local k = index[image .. " " .. math.tointeger(label)]
      hits[k] = math.max(hits[k], s)
    end
  end
  return hits, wrong
end

local function detection(case, _, data)
  local hits, wrong = match(case, data)
  local curve = froc.curve(hits, wrong, case.images)
  table.remove(curve, 1)
  local cpm, at = froc.score(curve, case.eval_fps)
  local camelyon = froc.score(curve, { 0.25, 0.5, 1, 2, 4, 8 })
  check_peer({ ["monai.cpm"] = data.peer.cpm:table()[1], ["monai.score"] = data.peer.camelyon_score:table()[1] },
    { cpm = cpm, score = camelyon })
  for i, want in ipairs(data.peer.sensitivity_at_fps:table()) do
    check_peer({ ["monai.at"] = want }, { at = at[i] })
  end
  local rates, sensitivity = data.peer.fps_per_image:table(), data.peer.sensitivity:table()
  if #rates ~= #curve then error(string.format("the curve has %d points, the peer's %d", #curve, #rates), 0) end
  for i, point in ipairs(curve) do
    check_peer({ ["monai.rate"] = rates[i], ["monai.sensitivity"] = sensitivity[i] },
      { rate = point.rate, sensitivity = point.sensitivity })
  end
  return {}
end

golden.run {
  topic = "metrics",
  dtypes = { "f64" },
  ops = {
    segmentation = { run = segmentation, attributes = exact },
    segmentation_multiclass = { run = multiclass },
    froc = { run = detection },
  },
}
