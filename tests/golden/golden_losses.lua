-- Golden vectors of losses, through the constructors that experiments use.

local golden = require "golden.golden"
local engine = require "hilum.engine"
local grid = require "hilum.nn.grid"
local hl = require "hilum"

-- A target of class indices without a channel axis gets one.
local function target(tensor, case)
  if case.op == "cross_entropy" then
    local shape = table.move(tensor.shape, 2, #tensor.shape, 3, { tensor.shape[1], 1 })
    tensor = tensor:reshape(shape)
  end
  return golden.image(tensor)
end

local function overlap(make, more)
  return function(c)
    local fields = {
      activation = c.activation, include_background = c.include_background, batch = c.batch,
      smooth_nr = c.smooth_nr, smooth_dr = c.smooth_dr, reduction = c.reduction,
    }
    for ours, theirs in pairs(more) do fields[ours] = c[theirs] end
    return make(c)(fields)
  end
end

local dice = overlap(function(c) return c.jaccard and hl.loss.jaccard or hl.loss.dice end,
  { squared_pred = "squared_pred", class_weights = "weight" })

local function cross_entropy(c)
  return hl.loss.cross_entropy { class_weights = c.class_weight, ignore_index = c.ignore_index,
    label_smoothing = c.label_smoothing, reduction = c.reduction }
end

local function focal(c)
  return hl.loss.focal { activation = c.focal_activation or c.activation, gamma = c.gamma, alpha = c.alpha,
    include_background = c.include_background, class_weights = c.class_weight, reduction = c.reduction }
end

local losses = {
  dice = dice,
  generalized_dice = overlap(function() return hl.loss.generalized_dice end, { weighting = "w_type" }),
  tversky = overlap(function() return hl.loss.tversky end, { alpha = "alpha", beta = "beta" }),
  bce_with_logits = function(c)
    return hl.loss.bce { pos_weight = c.pos_weight_per_channel or c.pos_weight, reduction = c.reduction }
  end,
  cross_entropy = cross_entropy,
  focal = focal,
  dice_ce = function(c, channels)
    local entropy = channels == 1 and hl.loss.bce {} or hl.loss.cross_entropy {}
    return c.lambda_dice * dice(c) + c.lambda_ce * entropy
  end,
  dice_focal = function(c) return c.lambda_dice * dice(c) + c.lambda_focal * focal(c) end,
}

-- The reference makes a one-hot truth in single precision, and for squared sums squares its norm, in that precision.
local function rounded_reference(case)
  return case.squared_pred and case.target_is_class_index and 2e-7 or nil
end

local ops = {}
for name, make in pairs(losses) do
  ops[name] = {
    bind = { x = golden.image, target = target },
    tolerance = rounded_reference,
    run = function(case, v)
      local s = v.x.shape
      local dtype = case.dtype == "bf16" and "f32" or case.dtype -- logits in bf16, losses in f32, as in training
      local valid = engine.zeros({ s[1], 1, s[3], s[4], s[5] }, { dtype = dtype, layout = "image" }):fill(1)
      local loss = make(case, s[2]):build(grid.to(v.x, dtype), grid.to(v.target, dtype), valid)
      return { loss = loss }, loss
    end,
  }
end

golden.run { topic = "losses", ops = ops }
