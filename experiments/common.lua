-- What the experiments here share: data, split, augmentation, optimiser, length. Each of them adds its name,
-- its network and its loss.

local hl = require "hilum"

-- What is exact and costs next to nothing is enough for the phantom, whose training is to take minutes.
local function augmentation(where, data)
  local list = { hl.augment.flip { axes = "zyx" }, hl.augment.turn {} }
  if where == "phantom" then return list end
  local more = {
    hl.augment.rotate { degrees = 15, probability = 0.3 },
    hl.augment.scale { factor = { 0.85, 1.2 }, probability = 0.3 },
    hl.augment.elastic { spacing_voxels = 16, magnitude_voxels = 2 },
    hl.augment.low_resolution { probability = 0.1 }, hl.augment.blur { probability = 0.1 },
    hl.augment.brightness {}, hl.augment.contrast {}, hl.augment.gamma { probability = 0.2 },
    hl.augment.noise {},
  }
  if data.window_hu then more[#more + 1] = hl.augment.shift_hu {} end
  return table.move(more, 1, #more, #list + 1, list)
end

return function(own)
  local where = hl.arg("data", "phantom")
  local data = hl.data.source(where, {
    lidc = {
      nodules = { min_diameter_mm = 3, min_readers = 2 },
      consensus = { level = 0.5, of = "sessions" },
      spacing_mm = { 1, 1, 1 },
      window_hu = { -1000, 400 },
      crop = { 64, 64, 64 },
    },
    list = { crop = { 64, 64, 64 } },
    slices = { min_readers = 2, consensus = { level = 0.5, of = "sessions" }, crop = { 8, 64, 64 } },
    phantom = { cases = 60, nodules_per_case = 2, crop = { 32, 32, 32 } },
  })
  return hl.experiment {
    name = own.name,
    seed = 2020,
    data = data,
    split = { train = 0.8, by = "patient" },
    augment = augmentation(where, data),
    model = own.model,
    loss = own.loss,
    optim = hl.optim.adam { rate = hl.schedule.cosine { from = 1e-3, to = 1e-5 } },
    train = { preset = "by source" },
    evaluate = {
      hl.metric.dice {}, hl.metric.slice_dice {}, hl.metric.precision {}, hl.metric.recall {},
      hl.metric.hausdorff { percentile = 95 }, hl.metric.assd {}, hl.metric.surface_dice { tolerance_mm = 1 },
      hl.metric.border_dice { width_mm = 2 },
    },
    figures = { "dice_curves", "slices", "scales", "dice_by_size", "bland_altman", "reliability" },
  }
end
