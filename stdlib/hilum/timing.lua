-- How long a training will take, from steps that are really run here: on random images of the planned size, or, where
-- these take too long or too much memory, on smaller ones, whose time grows with the number of voxels.

local cost = require "hilum.cost"
local engine = require "hilum.engine"
local memory = require "hilum.memory"
local setup = require "hilum.train.setup"
local value = require "hilum.value"

local timing = {}

local LONGEST = 4 -- seconds that one measured step may take
local SMALL = 32 * 32 * 32 -- voxels of the size that is measured first
local SHARE = 0.9 -- of the available memory that it may need

-- Smaller by the factor of two along the longest axis that still can be divided; nil if none can.
local function halved(size, strides)
  local longest
  for i = 1, 3 do
    if size[i] % (2 * strides[i]) == 0 and (not longest or size[i] > size[longest]) then longest = i end
  end
  if not longest then return nil end
  local smaller = { size[1], size[2], size[3] }
  smaller[longest] = size[longest] // 2
  return smaller
end

-- What sizes must be multiples of: the strides of the network that predicts.
local function strides_of(part)
  if part.total_stride then return part:total_stride() end
  for _, child in ipairs(part) do
    local found = strides_of(child)
    if found then return found end
  end
end

local function clocked(fn, ...)
  local start = engine.clock()
  local result, err = fn(...)
  return result and engine.clock() - start, err
end

-- Ends a run that takes too long.
local function impatient()
  local start = engine.clock()
  return function(step)
    for _, list in ipairs { step.input, step.out } do
      for _, tensor in ipairs(list) do tensor:free() end
    end
    return engine.clock() - start > LONGEST and "takes too long" or nil
  end
end

-- Seconds of one batch through a trainer, with the update; nil if it takes too long.
local function step_seconds(step, batch)
  local first = clocked(step.run, step, batch, impatient())
  if not first then return nil end
  local update = clocked(step.update, step, 1e-4)
  if not update then return first end
  if first > LONGEST / 2 then return first + update end
  return math.min(first, clocked(step.run, step, batch) or first) + update -- the first one had to prepare itself
end

-- Seconds of one image without gradients.
local function image_seconds(net, spec, size)
  local evaluator = net:evaluator { loss = spec.loss, batch = 1, size = size }
  local batch = cost.random_batch(1, size)
  local first = clocked(evaluator.run, evaluator, batch)
  local second = first and first < LONGEST / 2 and clocked(evaluator.run, evaluator, batch)
  return second or first
end

local function fits(plan, available)
  return not available or plan.bytes.peak <= SHARE * available
end

-- Measured at one size, or nil.
local function at(spec, size, net, step)
  local batch = cost.random_batch(spec.train.batch, size)
  local seconds = step_seconds(step, batch)
  for _, tensor in pairs(batch) do tensor:free() end
  return seconds and { batch = seconds, image = image_seconds(net, spec, size) }
end

local function voxels(size)
  return size[1] * size[2] * size[3]
end

-- Small enough to be measured first.
local function beginning(full, strides)
  local size = { full[1], full[2], full[3] }
  while voxels(size) > SMALL do
    local smaller = halved(size, strides)
    if not smaller then return size end
    size = smaller
  end
  return size
end

--- Measures, in a few seconds: steps on a small size and then, if it is quick enough and fits, on the planned one.
--- ready: from train.prepare, whose network is trained by it. Returns { size = { z, y, x } that was measured, scaled =
--- true if it is smaller than planned, threads, seconds_per_step, seconds_per_image (without gradients) }; or nil where
--- no step could be measured, or the user asked to stop.
function timing.measure(spec, ready)
  local full, strides = value.plain(spec.data.crop), strides_of(spec.model) or { 1, 1, 1 }
  local available = memory.available()
  local size, found = beginning(full, strides), nil
  local factor = voxels(full) / voxels(size)
  if factor > 1 then
    local net, step, plan = setup.at_size(spec, size)
    found = fits(plan, available) and at(spec, size, net, step)
    if not found or not found.image then return nil end
  end
  if factor == 1 or found.batch * factor <= LONGEST and fits(ready.plan, available) then
    found = fits(ready.plan, available) and at(spec, full, ready.net, ready.step)
    size, factor = full, 1
  end
  if not found or not found.image or engine.cancelled() then return nil end
  return { size = { size[1], size[2], size[3] }, scaled = factor > 1, threads = engine.threads(),
    seconds_per_step = found.batch * factor * spec.train.accumulate, seconds_per_image = found.image * factor }
end

--- What that makes of an epoch and of the run. counts: { training, validation } cases, or nil.
function timing.whole(measured, spec, counts)
  if not counts then return nil end
  local images = setup.watched_count(counts.training, counts.validation) + counts.validation
  local epoch = setup.steps(counts.training, spec.train) * measured.seconds_per_step
    + images * measured.seconds_per_image
  return { seconds_per_epoch = epoch,
    seconds_per_run = spec.train.epochs * epoch
      + (counts.training + counts.validation) * measured.seconds_per_image }
end

return timing
