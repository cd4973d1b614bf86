-- What a prediction is worth.
--
-- A metric is a value of the family "metric" with
--   name(self)         of its column: "dice", "hausdorff95_mm"
--   measure(self, m)   of a case, as metric.case gives it; nil where it is not defined
--   better             "higher" or "lower"       in_mm   true where a spacing is needed
--
-- The rule for empty masks, everywhere in hilum. Shares (Dice, IoU, precision, recall, surface Dice): where truth and
-- prediction are both empty 1 (the prediction is right), where only one is, 0. Distances: both empty 0, only one: not
-- defined; such cases are counted. Relative volume error: not defined where the truth is empty, but 0 where both are.
-- Voxels that are not valid count nowhere.

local engine = require "hilum.engine"
local schema = require "hilum.schema"
local statistics = require "hilum.statistics"

local metric = {}

-- ---- one case ----

local Case = {}
Case.__index = Case

--- What is measured of one case, each thing once: o = { prediction (probabilities or a mask), truth, valid,
--- spacing_mm = { z, y, x } or nil, threshold = of metrics that name none (default: 0.5) }.
function metric.case(o)
  return setmetatable({ prediction = o.prediction, truth = o.truth, valid = o.valid, spacing_mm = o.spacing_mm,
    threshold = o.threshold or 0.5, known = {} }, Case)
end

local function once(self, key, make)
  if self.known[key] == nil then self.known[key] = make() end
  return self.known[key]
end

--- { both, predicted, truth, voxels } at a threshold (default: the case's).
function Case:overlap(threshold)
  threshold = threshold or self.threshold
  return once(self, "overlap " .. threshold, function()
    local _, both, predicted, truth, voxels = engine.dice(self.prediction, self.truth, self.valid, threshold)
    return { both = both, predicted = predicted, truth = truth, voxels = voxels }
  end)
end

--- The same for each slice along z: { both, predicted, truth }, lists.
function Case:slices(threshold)
  threshold = threshold or self.threshold
  return once(self, "slices " .. threshold, function()
    local counts = { both = {}, predicted = {}, truth = {} }
    for z = 1, self.truth.shape[3] do
      local a <close> = self.prediction:slice(3, z)
      local b <close> = self.truth:slice(3, z)
      local valid <close> = self.valid and self.valid:slice(3, z) or nil
      local _, both, predicted, truth = engine.dice(a, b, valid, threshold)
      counts.both[z], counts.predicted[z], counts.truth[z] = both, predicted, truth
    end
    return counts
  end)
end

--- Surface distances, see engine.surface.
function Case:surface(threshold, percentile, tolerance_mm)
  threshold = threshold or self.threshold
  return once(self, table.concat({ "surface", threshold, percentile, tolerance_mm }, " "), function()
    return engine.surface(self.prediction, self.truth, self.valid, { spacing_mm = self.spacing_mm,
      percentile = percentile, tolerance_mm = tolerance_mm, threshold = threshold })
  end)
end

-- A share by the rule for empty masks: part(o) of counts o.
local function share(o, part)
  if o.predicted + o.truth == 0 then return 1.0 end
  if o.predicted == 0 or o.truth == 0 then return 0.0 end
  return part(o)
end

-- A distance by that rule: value(surface).
local function distance(s, value)
  if s.size_a + s.size_b == 0 then return 0.0 end
  if s.size_a == 0 or s.size_b == 0 then return nil end
  return value(s)
end

-- ---- the constructors ----

local function threshold()
  return schema.optional(schema.number { above = 0, below = 1,
    doc = "a voxel is predicted above it (default: the experiment's predict.threshold)" })
end

local function overlap_metric(name, doc, part)
  return schema.constructor("hl.metric." .. name, {
    doc = doc, family = "metric", fields = { threshold = threshold() },
    methods = {
      name = function() return name end,
      better = function() return "higher" end,
      measure = function(self, m) return share(m:overlap(self.threshold), part) end,
    },
  })
end

metric.dice = overlap_metric("dice", "Dice coefficient of the thresholded prediction, over valid voxels.",
  function(o) return 2 * o.both / (o.predicted + o.truth) end)
metric.iou = overlap_metric("iou", "Intersection over union (Jaccard index).",
  function(o) return o.both / (o.predicted + o.truth - o.both) end)

-- Dice of each slice along z, and their mean: slices that hold neither truth nor prediction say nothing and are left
-- out, those that hold one of them count 0.
local function slice_mean(counts)
  local sum, n = 0, 0
  for z, both in ipairs(counts.both) do
    local all = counts.predicted[z] + counts.truth[z]
    if all > 0 then sum, n = sum + 2 * both / all, n + 1 end
  end
  return n > 0 and sum / n or 1.0
end

metric.slice_dice = schema.constructor("hl.metric.slice_dice", {
  doc = "Mean of the slices' own Dice, over the slices (along z) with truth or prediction; one of them empty: 0.",
  family = "metric", fields = { threshold = threshold() },
  methods = {
    name = function() return "slice_dice" end,
    better = function() return "higher" end,
    measure = function(self, m) return slice_mean(m:slices(self.threshold)) end,
  },
})

metric.precision = overlap_metric("precision", "Share of the prediction that is truth.",
  function(o) return o.both / o.predicted end)
metric.recall = overlap_metric("recall", "Share of the truth that is predicted (sensitivity).",
  function(o) return o.both / o.truth end)

local function in_mm(ctor_name, o)
  local methods = { in_mm = function() return true end }
  for name, method in pairs(o.methods) do methods[name] = method end
  local fields = { threshold = threshold() }
  for name, kind in pairs(o.fields or {}) do fields[name] = kind end
  return schema.constructor("hl.metric." .. ctor_name, { doc = o.doc, family = "metric", fields = fields,
    methods = methods })
end

local TOLERANCE = 1 -- mm

metric.hausdorff = in_mm("hausdorff", {
  doc = "Hausdorff distance between the surfaces in mm, or a percentile of it: the larger of both directions.",
  fields = {
    percentile = schema.number { default = 100, min = 0, max = 100, doc = "of the distances; 100: the largest" },
  },
  methods = {
    name = function(self)
      return self.percentile == 100 and "hausdorff_mm" or string.format("hausdorff%g_mm", self.percentile)
    end,
    better = function() return "lower" end,
    measure = function(self, m)
      return distance(m:surface(self.threshold, self.percentile, TOLERANCE), function(s) return s.percentile end)
    end,
  },
})

metric.assd = in_mm("assd", {
  doc = "Average symmetric surface distance in mm, over the distances of both directions together.",
  methods = {
    name = function() return "assd_mm" end,
    better = function() return "lower" end,
    measure = function(self, m)
      return distance(m:surface(self.threshold, 95, TOLERANCE), function(s) return s.mean end)
    end,
  },
})

metric.surface_dice = in_mm("surface_dice", {
  doc = "Share of both surfaces' voxels that lie within a tolerance of the other surface.",
  fields = { tolerance_mm = schema.number { default = TOLERANCE, min = 0, doc = "that counts as touching" } },
  methods = {
    name = function(self) return string.format("surface_dice_%gmm", self.tolerance_mm) end,
    better = function() return "higher" end,
    measure = function(self, m)
      local s = m:surface(self.threshold, 95, self.tolerance_mm)
      return share({ predicted = s.size_a, truth = s.size_b }, function() return s.dice end)
    end,
  },
})

metric.border_dice = in_mm("border_dice", {
  doc = "Dice within a band around the border of the truth: where segmentations fail.",
  fields = { width_mm = schema.number { default = 2, above = 0, doc = "of the band on each side of the border" } },
  methods = {
    name = function(self) return string.format("border_dice_%gmm", self.width_mm) end,
    better = function() return "higher" end,
    measure = function(self, m)
      return share(m:overlap(self.threshold), function()
        return (engine.border(m.prediction, m.truth, m.valid, { spacing_mm = m.spacing_mm, width_mm = self.width_mm,
          threshold = self.threshold or m.threshold }))
      end)
    end,
  },
})

metric.volume_error = schema.constructor("hl.metric.volume_error", {
  doc = "Predicted volume less the true one, relative to the true one.", family = "metric",
  fields = { threshold = threshold() },
  methods = {
    name = function() return "volume_error" end,
    better = function() return "zero" end,
    measure = function(self, m)
      local o = m:overlap(self.threshold)
      if o.predicted + o.truth == 0 then return 0.0 end
      return o.truth > 0 and (o.predicted - o.truth) / o.truth or nil
    end,
  },
})

-- ---- numbers by hand ----

--- Dice of two masks or probabilities (a voxel is in above `threshold`, default 0.5). Returns the Dice and
--- whether `b`, the truth, is empty.
function metric.dice_of(a, b, valid, level)
  local m = metric.case { prediction = a, truth = b, valid = valid }
  local o = m:overlap(level or 0.5)
  return share(o, function() return 2 * o.both / (o.predicted + o.truth) end), o.truth == 0
end

local Calibrator = {}
Calibrator.__index = Calibrator

--- How often predicted probabilities come true, case by case: c:add(probability, truth, valid), c:result().
function metric.calibrator(bins)
  local c = setmetatable({ sums = {} }, Calibrator)
  for i = 1, bins or 10 do c.sums[i] = { count = 0, mean = 0, share = 0 } end
  return c
end

function Calibrator:add(probability, truth, valid)
  for i, bin in ipairs(engine.calibration({ { probability, truth, valid } }, #self.sums)) do
    local sum = self.sums[i]
    if bin.count > 0 then
      sum.count = sum.count + bin.count
      sum.mean, sum.share = sum.mean + bin.count * bin.mean, sum.share + bin.count * bin.share
    end
  end
end

--- Columns { count, mean (of the probabilities), share (of truth) } over equal intervals of the probability; mean and
--- share are missing where the count is 0.
function Calibrator:result()
  local columns = { count = {}, mean = {}, share = {} }
  for i, sum in ipairs(self.sums) do
    columns.count[i] = sum.count
    if sum.count > 0 then columns.mean[i], columns.share[i] = sum.mean / sum.count, sum.share / sum.count end
  end
  return columns
end

--- The same of a list of { probability, truth, valid } at once.
function metric.calibration(list, bins)
  local c = metric.calibrator(bins)
  for _, one in ipairs(list) do c:add(one[1], one[2], one[3]) end
  return c:result()
end

--- Expected calibration error of such columns, Σ count·|share − mean| / Σ count (Naeini and others 2015); nil where
--- nothing was counted.
function metric.ece(columns)
  local total, sum = 0, 0
  for i, count in ipairs(columns.count) do
    if count > 0 then total, sum = total + count, sum + count * math.abs(columns.share[i] - columns.mean[i]) end
  end
  return total > 0 and sum / total or nil
end

--- Each reader against the majority (at least half) of the other readers who outlined the same nodule: a
--- list of Dice values, empty where fewer than two did.
function metric.interreader(readers, valid)
  local n, values = #readers, {}
  if n < 2 then return values end
  local add, sub, affine = engine.op.add, engine.op.sub, engine.op.affine
  local masks, votes = {}, nil
  for i, mask in ipairs(readers) do
    masks[i] = mask:to("f32")
    votes = votes and add(votes, masks[i]) or masks[i]
  end
  for i = 1, n do
    local part = affine(sub(votes, masks[i]), { scale = 1 / (n - 1), shift = 1e-6 })
    values[i] = metric.dice_of(masks[i], part, valid, 0.5)
  end
  return values
end

--- Mean and median of a list of numbers (nil for an empty one).
function metric.summary(values)
  if #values == 0 then return nil end
  return { mean = statistics.mean(values), median = statistics.median(values), count = #values }
end

return metric
