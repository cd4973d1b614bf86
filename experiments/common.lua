-- What the experiments here share: data, split, augmentation, optimiser, length. Each of them adds its name,
-- its network and its loss.

local hl = require "hilum"

return function(own)
  return hl.experiment {
    name = own.name,
    seed = 2020,
    data = hl.data.source(hl.arg("data", "phantom"), {
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
    }),
    split = { train = 0.8, by = "patient" },
    augment = { hl.augment.flip { axes = "zyx" }, hl.augment.turn {} },
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
