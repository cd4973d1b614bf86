-- require "hilum": everything a script or the prompt needs, as one table.

local engine = require "hilum.engine"
local args = require "hilum.args"
local experiment = require "hilum.experiment"
local loss = require "hilum.loss"
local reference = require "hilum.reference"
local schema = require "hilum.schema"
local tape = require "hilum.tape"

return {
  version = engine.version,
  engine = engine,

  -- writing experiments
  experiment = experiment.new,
  arg = args.get,
  describe = function(what) print(reference.describe(what)) end,
  schema = schema,
  data = require "hilum.dataset",
  augment = require "hilum.augment",
  nn = require "hilum.nn",
  loss = {
    dice = loss.dice, jaccard = loss.jaccard, tversky = loss.tversky, generalized_dice = loss.generalized_dice,
    bce = loss.bce, cross_entropy = loss.cross_entropy, focal = loss.focal,
    multiscale = loss.multiscale, sum = loss.sum, own = loss.own,
  },
  optim = require "hilum.optim",
  schedule = require "hilum.schedule",
  metric = require "hilum.metric",
  hook = require("hilum.hook").new,
  measure = require "hilum.measurement",
  study = require("hilum.study").new,

  -- at the prompt
  op = engine.op,
  zeros = engine.zeros,
  tensor = engine.from,
  rng = engine.rng,
  npy_read = engine.npy_read,
  image = require "hilum.image",
  predict = require "hilum.predict.prompt",
  gradient = tape.gradient,
  gradcheck = tape.gradcheck,
  custom = tape.custom,
  profile = require("hilum.profile").new,
  timeline = require("hilum.timeline").new,
}
