-- Changes of samples that leave image, truth and validity on one grid.
--
-- An augmentation is a value with two methods: draw(rng) gives the drawn parameters as a table of plain
-- values (they are recorded), apply(drawn, sample) a new sample { image, truth, valid }. Drawing and
-- applying are apart, so that what was drawn can be applied again.

local engine = require "hilum.engine"
local schema = require "hilum.schema"

local augment = {}

-- t mirrored along one axis ("z", "y" or "x"): plane by plane into a new tensor.
local function mirrored(t, axis)
  local at = { z = 3, y = 4, x = 5 }
  local n = t.shape[at[axis]]
  local out = engine.zeros(t.shape, { dtype = t.dtype, layout = t.layout })
  for i = 1, n do
    local to <close> = out:slice(axis, i)
    local from <close> = t:slice(axis, n + 1 - i)
    to:copy_(from)
  end
  return out
end

augment.flip = schema.constructor("hl.augment.flip", {
  doc = "Mirrors the sample along each of the axes with the given probability.",
  family = "augmentation",
  fields = {
    axes = schema.axes { default = "zyx", doc = "axes that may be mirrored" },
    probability = schema.number { default = 0.5, min = 0, max = 1, doc = "of each axis, independently" },
  },
  methods = {
    draw = function(self, rng)
      local axes = ""
      for axis in self.axes:gmatch(".") do
        if rng:uniform() < self.probability then axes = axes .. axis end
      end
      return { flip = axes }
    end,
    apply = function(_, drawn, sample)
      local result = sample
      for axis in drawn.flip:gmatch(".") do
        result = { image = mirrored(result.image, axis), truth = mirrored(result.truth, axis),
          valid = mirrored(result.valid, axis) }
      end
      return result
    end,
  },
})

-- y and x exchanged.
local function transposed(t)
  local view <close> = t:permute { 1, 2, 3, 5, 4 }
  return view:dense(t.layout)
end

-- t turned k times by 90° in the plane of y and x, from y towards x.
local function turned(t, k)
  if k == 1 then return mirrored(transposed(t), "y") end
  if k == 2 then return mirrored(mirrored(t, "y"), "x") end
  return mirrored(transposed(t), "x")
end

augment.turn = schema.constructor("hl.augment.turn", {
  doc = "Turns the sample by a multiple of 90° in the plane of y and x; the crop must be square there.",
  family = "augmentation",
  fields = {
    probability = schema.number { default = 0.75, min = 0, max = 1, doc = "of any turn at all" },
  },
  methods = {
    draw = function(self, rng)
      if rng:uniform() >= self.probability then return { quarter_turns = 0 } end
      return { quarter_turns = 1 + rng:below(3) }
    end,
    apply = function(_, drawn, sample)
      local k = drawn.quarter_turns
      if k == 0 then return sample end
      local shape = sample.image.shape
      if shape[4] ~= shape[5] then
        error(string.format("hl.augment.turn: a crop of %d × %d (y, x) is not square", shape[4], shape[5]), 0)
      end
      return { image = turned(sample.image, k), truth = turned(sample.truth, k), valid = turned(sample.valid, k) }
    end,
  },
})

--- Draws from and applies a list of augmentations. The stream is named by the case, so neither the
--- order of samples nor the number of workers matters. Returns the new sample and what was drawn.
function augment.apply(list, sample, seed, epoch, case)
  local drawn = {}
  if #list == 0 then return sample, drawn end
  local rng = engine.rng(seed, "augment", epoch, case)
  for i, one in ipairs(list) do
    drawn[i] = one:draw(rng)
    sample = one:apply(drawn[i], sample)
  end
  return sample, drawn
end

return augment
