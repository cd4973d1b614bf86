-- Does the state come back? An invertible network's backward pass rests on states that are rebuilt, with rounding
-- errors that grow on the way. The guard goes back through the network from its outputs, in a program of its own,
-- and compares what is rebuilt with what was there: for each level the error of the state it begins with.

local engine = require "hilum.engine"
local builder = require "hilum.nn.builder"
local grid = require "hilum.nn.grid"
local steps = require "hilum.nn.steps"

local op = engine.op
local guard = {}
guard.__index = guard

-- Root of the summed squares of the differences, relative to that of the state.
local function distance(parts, rebuilt)
  local off, size
  for i, x in ipairs(parts) do
    local d, s = op.sum(op.square(grid.wide(op.sub(rebuilt[i], x)))), op.sum(op.square(grid.wide(x)))
    off, size = off and op.add(off, d) or d, size and op.add(size, s) or s
  end
  return op.sqrt(op.div(off, op.affine(size, { shift = 1e-30 })))
end

local function place_of(path)
  local place = ""
  for _, part in ipairs(path) do
    place = place .. ((place == "" or part:sub(1, 1) == "[") and "" or ".") .. part
  end
  return place
end

-- Forward, then back; one result for each level, in the order in which the backward pass reaches them.
local function record(self)
  local model, o = self.model, self.options
  local p = engine.program()
  local b = builder.new(p, model.store, { training = true, steps = {}, slabs = o.slabs })
  local shape = { o.batch, model.channels, o.size[1], o.size[2], o.size[3] }
  local image = p:input("image", shape, { dtype = model.store.dtype, layout = "image" })
  model:apply(b, image)
  self.places = {}
  steps.unwind(b, b.steps, {}, function(place, parts, rebuilt)
    self.places[#self.places + 1] = place
    p:output(distance(parts, rebuilt))
  end, function(path)
    local place = place_of(path)
    for kept in pairs(self.kept) do
      if place:sub(1, #kept) == kept then return true end
    end
    return false
  end)
  self.program = #self.places > 0 and p:finish() or nil
end

--- o: { batch, size = { z, y, x }, slabs = those of the trainer }. nil for a network that rebuilds nothing.
function guard.new(model, o)
  local self = setmetatable({ model = model, options = o, kept = {} }, guard)
  record(self)
  return self.program and self or nil
end

--- { { place, error } … } for an image, in the order of the backward pass; nil and an error if it was stopped.
function guard:measure(image)
  local out, err = self.program:run { image }
  if not out then return nil, err end
  local errors = {}
  for i, place in ipairs(self.places) do errors[i] = { place = place, error = out[i]:table()[1] } end
  return errors
end

--- The first place whose error is above a threshold (or no number), or nil: later ones inherit it.
function guard.first_above(errors, threshold)
  for _, one in ipairs(errors) do
    if one.error > threshold or one.error ~= one.error then return one end
  end
end

--- The worst error of a measurement.
function guard.worst(errors)
  local worst = 0
  for _, one in ipairs(errors) do worst = one.error ~= one.error and one.error or math.max(worst, one.error) end
  return worst
end

--- From now on this place counts as stored. Returns all that do: what trainer:keep takes.
function guard:keep(place)
  self.kept[place] = true
  record(self)
  return self.kept
end

--- Bytes that a measurement holds at most, weights not counted.
function guard:peak()
  return self.program:plan().peak.all
end

return guard
