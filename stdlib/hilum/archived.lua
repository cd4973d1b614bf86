-- From an archive back to what can be used: the experiment as a value, its network with the weights of a run.
--
-- An archive may come from a stranger: its program sees the constructors of values and nothing else, and neither runs
-- for long nor takes much memory.

local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local loss = require "hilum.loss"
local metric = require "hilum.metric"
local model = require "hilum.model"
local problem = require "hilum.problem"
local sandbox = require "hilum.sandbox"
local schema = require "hilum.schema"
local value = require "hilum.value"

local archived = {}

local MOST_CALLS = 200 -- of the watch, ten thousand lines each
local MOST_BYTES = 1 << 28 -- of Lua's memory

-- The constructors among the functions of a table.
local function constructors(t)
  local list = {}
  for name, one in pairs(t) do
    if schema.is_constructor(one) then list[name] = one end
  end
  return list
end

-- What an archived experiment is made of, as `hl`.
local function vocabulary()
  return { experiment = experiment.new, data = constructors(require "hilum.dataset"),
    augment = constructors(require "hilum.augment"), nn = constructors(require "hilum.nn"),
    loss = constructors(loss), optim = constructors(require "hilum.optim"),
    schedule = constructors(require "hilum.schedule"), metric = constructors(metric),
    measure = constructors(require "hilum.measurement"), hook = require("hilum.hook").new }
end

local function environment()
  local hl = vocabulary()
  local function require_in(name)
    if name == "hilum" then return hl end
    problem.raise("module", string.format("it needs the module '%s', and archives are rebuilt from hilum's own parts "
      .. "alone", tostring(name)))
  end
  return setmetatable({ require = require_in }, {
    __metatable = false,
    __index = function(_, name)
      problem.raise("global", string.format("it is made of '%s', which is not part of this hilum: archives are rebuilt "
        .. "from hilum's own parts alone", tostring(name)))
    end,
  })
end

local function limited()
  local calls = 0
  return function()
    calls = calls + 1
    if calls > MOST_CALLS then problem.raise("limit", "it runs for too long") end
  end
end

--- The experiment of an archived run (archive.run_read) as a value; `path` is for messages. Or nil and a problem.
function archived.experiment(run, path)
  if type(run.experiment) ~= "string" then
    return nil, problem.new("format", path .. ": is not the archive of a training run: it holds no experiment")
  end
  local chunk, err = sandbox.compile(run.experiment, path .. ":/experiment", environment())
  if not chunk then
    return nil, problem.new(err.code, string.format("%s: its experiment is no program: %s", path, err.message))
  end
  local fine, found = pcall(engine.within, MOST_BYTES, schema.gather, problem.watch, limited(), chunk)
  if not fine then
    if found == "not enough memory" then found = problem.new("limit", "it takes too much memory") end
    found = problem.of(found)
    return nil, problem.new(found.code, string.format("%s: its experiment cannot be built: %s", path, found.message))
  end
  if value.constructor(found) ~= experiment.new then
    return nil, problem.new("format", path .. ": holds no experiment that trains a network")
  end
  return found
end

--- True if two texts of experiments say the same but for the places of files.
function archived.same_experiment(a, b)
  local x, y = archived.experiment({ experiment = a }, "a"), archived.experiment({ experiment = b }, "b")
  return x ~= nil and y ~= nil and value.hash(x) == value.hash(y)
end

-- Tensors by name: the last ones, or the best; with a moving average of the weights, that is what was evaluated.
local function weights_of(run, spec, which)
  local weights = type(run.weights) == "table" and run.weights[which]
  if type(weights) ~= "table" then return nil end
  if which == "best" or not spec.train.average then return weights end
  local averages = {}
  for name, tensor in pairs(weights) do
    averages[name] = (run.optimiser or {})[name .. ".average"] or tensor
  end
  return averages
end

--- A model with the weights of an archived run: which = "best" or "last" (with train.average both are the averages).
--- size: of an image { z, y, x }. Returns the model, or nil and a problem.
function archived.model(run, spec, path, which, size)
  local weights = weights_of(run, spec, which)
  if not weights then
    return nil, problem.new("format", string.format("%s: holds no %s weights: no epoch was complete", path, which))
  end
  local net = model.new(spec.model, { seed = spec.seed, precision = spec.train.precision })
  local fine, err = pcall(function()
    net:draw { size = size } -- parameters come to life when the network is traced
    net:load_weights(weights)
  end)
  if fine then return net end
  err = type(err) == "string" and { message = err } or err -- without the line of this file
  return nil, problem.new("format", string.format("%s: its weights do not fit its network: %s", path,
    problem.of(err).message))
end

return archived
