-- What can be chosen about an invertible U-Net.

local schema = require "hilum.schema"
local basic = require "hilum.nn.basic"
local coupling = require "hilum.nn.coupling"
local levels = require "hilum.nn.levels"
local matrix = require "hilum.nn.matrix"
local orthogonal = require "hilum.nn.orthogonal"

local fields = {}

local function counts(doc)
  return schema.list(schema.int { min = 1 }, { min = 2, default = { 2, 2, 2, 2 }, doc = doc })
end

fields.fields = {
  dimensions = schema.int { min = 1, max = 3, default = 3,
    doc = "of the image: 3; 2 without z; 1 without z and y (kernels and default strides are 1 along missing axes)" },
  channels = schema.list(schema.int { min = 2 }, {
    min = 2, default = { 16, 32, 64, 128 }, doc = "per level; the closest that can be had is taken",
  }),
  couplings = counts "couplings per level on the way down",
  couplings_up = counts "couplings per level on the way up (default: as on the way down)",
  strides = levels.field(),
  coupling = schema.value { family = "coupling", default = function() return coupling.additive {} end,
    doc = "the layer that is repeated: hl.nn.additive { … } or one made with hl.nn.invertible" },
  resampling = schema.record {
    doc = "between the levels: every channel's block of voxels times an orthogonal matrix of its own", default = {},
    fields = {
      method = orthogonal.method_field(),
      start = schema.one_of { "haar", "pixel_shuffle", "random", "given", default = "haar",
        doc = "first matrix; haar needs strides of 1 and 2 and is a pixel shuffle where they are larger" },
      matrix = schema.optional(schema.list(schema.list(schema.number {}), { min = 1,
        doc = "rows of the orthogonal matrix to start from, with start = \"given\"" })),
      learnable = schema.bool { default = true, doc = "train the matrices" },
    },
  },
  mixing = schema.record {
    doc = "orthogonal matrix over the channels; true and false stand for frequency -1 and 0", default = {},
    fields = {
      frequency = schema.int { min = -1, default = -1, doc = "-1: before each split and after the first coupling that "
        .. "follows a concatenation; 0: never; n: after every n-th coupling" },
      method = orthogonal.method_field(),
      start = schema.one_of { "identity", "random", default = "identity", doc = "first matrix" },
      learnable = schema.bool { default = true, doc = "train the matrices" },
    },
  },
  padding = schema.record {
    doc = "of sizes that the total stride does not divide", default = {},
    fields = {
      mode = schema.one_of { "none", "constant", "reflect", "replicate", default = "none",
        doc = "none: such a size is an error" },
      value = schema.number { default = 0, doc = "of constant padding" },
      revert = schema.bool { default = true, doc = "cut it off the output again (its inverse is then not exact)" },
    },
  },
  grid = schema.one_of { "q10", "q9", "q8", "q7", default = "q8",
    doc = "of the state where images are bf16: steps of 2^-10 up to 32, 2^-9 up to 64, 2^-8 up to 128 or 2^-7 up "
      .. "to 256" },
  backprop = schema.one_of { "rebuild", "store", default = "rebuild", doc = "activations for the backward pass" },
  heads = basic.heads_field(),
}

function fields.prepare(raw)
  local copy = {}
  for key, part in pairs(raw) do copy[key] = part end
  if raw.couplings_up == nil then copy.couplings_up = raw.couplings end
  if type(raw.mixing) == "boolean" then copy.mixing = { frequency = raw.mixing and -1 or 0 } end
  local r = raw.resampling
  if type(r) == "table" and r.matrix ~= nil and r.start == nil then
    copy.resampling = { start = "given" }
    for key, part in pairs(r) do copy.resampling[key] = part end
  end
  return copy
end

local function check_counts(self, report, name)
  if #self[name] ~= #self.channels then
    report(name, string.format("expected %d, one for each entry of channels, got %d", #self.channels, #self[name]))
  end
end

local function check_strides(self, report)
  for i, stride in ipairs(self.strides or {}) do
    for axis = 1, 3 - self.dimensions do
      if stride[axis] ~= 1 then
        report(string.format("strides[%d]", i), string.format("an image of %d dimensions has no %s: expected 1 there, "
          .. "got %d", self.dimensions, ("zyx"):sub(axis, axis), stride[axis]))
      end
    end
    if levels.product(levels.kernel(stride, self.dimensions)) == 1 then
      report(string.format("strides[%d]", i), "1 along every axis would leave no coarser level")
    end
  end
end

-- The given matrix as plain rows, if it is square.
local function square(list)
  for _, row in ipairs(list) do
    if #row ~= #list then return nil end
  end
  return matrix.new(#list, function(i, j) return list[i][j] end)
end

local function check_matrix(self, report)
  local r = self.resampling
  if (r.start == "given") ~= (r.matrix ~= nil) then
    return report("resampling.matrix", r.matrix and "is used with start = \"given\" only"
      or "missing: expected the rows of a matrix, because start is \"given\"")
  end
  local given = r.matrix and square(r.matrix)
  if not r.matrix then return end
  if not given then return report("resampling.matrix", "expected a square matrix") end
  for _, stride in ipairs(levels.strides(self.strides, #self.channels - 1, self.dimensions)) do
    local sigma = levels.product(stride)
    if sigma ~= #given then
      return report("resampling.matrix", string.format("has %d rows, but stride %s has %d voxels", #given,
        table.concat(stride, ","), sigma))
    end
  end
  local problem = orthogonal.problem(r.method, given)
  if problem then report("resampling.matrix", problem) end
end

function fields.check(self, report)
  local problems = 0
  local function note(...)
    problems = problems + 1
    report(...)
  end
  check_counts(self, note, "couplings")
  if self.couplings_up ~= self.couplings and #self.couplings == #self.channels then
    check_counts(self, note, "couplings_up")
  end
  levels.check_scales(self, note, #self.channels - 1, self.dimensions)
  if problems > 0 then return end
  check_strides(self, note)
  check_matrix(self, note)
end

return fields
