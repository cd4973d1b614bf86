-- hl.schedule: the learning rate over a run. A schedule has at(self, clock) -> rate, with the clock
--   { step = from 0, steps = of the whole run, per_epoch = steps in an epoch, history = columns of finished epochs }.
-- It is a function of the clock alone: a resumed run needs nothing but its curves.
--
-- Formulas are those of PyTorch's lr_scheduler, whose values the golden vectors hold.

local schema = require "hilum.schema"

local schedule = {}

--- The kind of a field that takes a rate: a number, or a schedule.
function schedule.kind(o)
  return schema.any_of {
    schema.number { above = 0 }, schema.value { family = "schedule" }, default = o.default, doc = o.doc,
  }
end

local function at(spec, clock)
  return type(spec) == "number" and spec or spec:at(clock)
end

--- Rate of step `step` (1 is the first) out of `steps`. more: { per_epoch, history = { column = { … } } }.
function schedule.rate(spec, step, steps, more)
  more = more or {}
  return at(spec, { step = step - 1, steps = steps, per_epoch = more.per_epoch or steps, history = more.history or {} })
end

-- ---- time ----

local function unit()
  return schema.one_of { "epoch", "step", default = "epoch", doc = "what lengths are counted in" }
end

local function over()
  return schema.optional(schema.number { above = 0, doc = "length; default: to the last step of the run" })
end

local function position(self, clock)
  return self.unit == "step" and clock.step or clock.step / clock.per_epoch
end

local function in_steps(self, clock, length)
  return self.unit == "step" and length or length * clock.per_epoch
end

-- From 0 at the first step to 1 at the end of the length; without a length, at the last step.
local function share(self, clock)
  if self.over then return math.min(position(self, clock) / self.over, 1) end
  return clock.steps > 1 and math.min(clock.step / (clock.steps - 1), 1) or 0
end

-- Whole periods behind a position. Positions in epochs are quotients: a period ends where it should.
local function periods(x, length)
  return math.floor(x / length + 1e-9)
end

-- The clock of a part that begins at `start` and, where it has an end, stops there.
local function shifted(clock, start, stop)
  return { step = clock.step - start, steps = (stop or clock.steps) - start, per_epoch = clock.per_epoch,
    history = clock.history }
end

local function cosine(from, to, x)
  return to + (from - to) * (1 + math.cos(math.pi * x)) / 2
end

local function linear(from, to, x)
  return from + (to - from) * x
end

-- ---- schedules ----

schedule.constant = schema.constructor("hl.schedule.constant", {
  doc = "The same rate throughout.",
  family = "schedule",
  fields = { rate = schema.number { above = 0 } },
  methods = { at = function(self) return self.rate end },
})

schedule.linear = schema.constructor("hl.schedule.linear", {
  doc = "A straight line from one rate to another, which then stays.",
  family = "schedule",
  fields = {
    from = schema.number { min = 0, doc = "first rate" },
    to = schema.number { min = 0, doc = "last rate" },
    over = over(), unit = unit(),
  },
  methods = { at = function(self, clock) return linear(self.from, self.to, share(self, clock)) end },
})

schedule.cosine = schema.constructor("hl.schedule.cosine", {
  doc = "Half a cosine from one rate down to another (Loshchilov, Hutter 2017, without restarts).",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    to = schema.number { default = 0, min = 0, doc = "last rate" },
    over = over(), unit = unit(),
  },
  methods = { at = function(self, clock) return cosine(self.from, self.to, share(self, clock)) end },
})

schedule.cosine_restarts = schema.constructor("hl.schedule.cosine_restarts", {
  doc = "Half cosines one after the other, each starting again at the first rate (Loshchilov, Hutter 2017).",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate of each period" },
    to = schema.number { default = 0, min = 0, doc = "rate a period goes down to" },
    first = schema.number { above = 0, doc = "length of the first period" },
    factor = schema.number { default = 1, min = 1, doc = "each period is this many times as long as the one before" },
    unit = unit(),
  },
  methods = {
    at = function(self, clock)
      local x, length = position(self, clock), self.first
      if self.factor == 1 then x = x - periods(x, length) * length end
      while x >= length - 1e-9 do x, length = x - length, length * self.factor end
      return cosine(self.from, self.to, math.max(x, 0) / length)
    end,
  },
})

schedule.step = schema.constructor("hl.schedule.step", {
  doc = "The rate times a factor after every so many epochs or steps.",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    every = schema.number { above = 0, doc = "length between changes" },
    factor = schema.number { default = 0.1, above = 0, doc = "of each change" },
    unit = unit(),
  },
  methods = {
    at = function(self, clock) return self.from * self.factor ^ periods(position(self, clock), self.every) end,
  },
})

schedule.multistep = schema.constructor("hl.schedule.multistep", {
  doc = "The rate times a factor at each of some moments.",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    milestones = schema.list(schema.number { above = 0 }, { min = 1, doc = "when the rate changes" }),
    factor = schema.number { default = 0.1, above = 0, doc = "of each change" },
    unit = unit(),
  },
  methods = {
    at = function(self, clock)
      local changes = 0
      for _, moment in ipairs(self.milestones) do
        if position(self, clock) >= moment - 1e-9 then changes = changes + 1 end
      end
      return self.from * self.factor ^ changes
    end,
  },
})

schedule.exponential = schema.constructor("hl.schedule.exponential", {
  doc = "The rate times a factor for each epoch or step that has passed; in epochs it falls within them too.",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    factor = schema.number { above = 0, max = 1, doc = "for each epoch or step" },
    unit = unit(),
  },
  methods = { at = function(self, clock) return self.from * self.factor ^ position(self, clock) end },
})

schedule.polynomial = schema.constructor("hl.schedule.polynomial", {
  doc = "(1 − x)^power, x from 0 at the first step to 1 at the last, between two rates.",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    to = schema.number { default = 0, min = 0, doc = "last rate" },
    power = schema.number { default = 0.9, above = 0 },
    over = over(), unit = unit(),
  },
  methods = {
    at = function(self, clock) return self.to + (self.from - self.to) * (1 - share(self, clock)) ^ self.power end,
  },
})

schedule.one_cycle = schema.constructor("hl.schedule.one_cycle", {
  doc = "Up to a peak and far down again (Smith, Topin 2018).",
  family = "schedule",
  fields = {
    peak = schema.number { above = 0, doc = "highest rate" },
    rise = schema.number { default = 0.3, above = 0, below = 1, doc = "share of the length that goes up" },
    start_divisor = schema.number { default = 25, above = 0, doc = "peak / first rate" },
    end_divisor = schema.number { default = 1e4, above = 0, doc = "first rate / last rate" },
    shape = schema.one_of { "cosine", "linear", default = "cosine" },
    phases = schema.one_of { "two", "three", default = "two",
      doc = "three: as long down to the first rate as up, then on to the last one" },
    over = over(), unit = unit(),
  },
  methods = {
    at = function(self, clock)
      local length = self.over and in_steps(self, clock, self.over) or clock.steps
      local first = self.peak / self.start_divisor
      local last = first / self.end_divisor
      local ends, rates = { self.rise * length - 1, length - 1 }, { first, self.peak, last }
      if self.phases == "three" then
        ends = { self.rise * length - 1, 2 * self.rise * length - 2, length - 1 }
        rates = { first, self.peak, first, last }
      end
      local start, shape = 0, self.shape == "cosine" and cosine or linear
      for i, stop in ipairs(ends) do
        if clock.step <= stop and stop > start then
          return shape(rates[i], rates[i + 1], (clock.step - start) / (stop - start))
        end
        start = math.max(stop, 0)
      end
      return last
    end,
  },
  check = function(self, report)
    if self.phases == "three" and self.rise > 0.5 then
      report("rise", "three phases rise in at most half the length")
    end
  end,
})

-- ---- compositions ----

schedule.warmup = schema.constructor("hl.schedule.warmup", {
  doc = "A straight line up to the first rate of another schedule, which then runs.",
  family = "schedule",
  fields = {
    from = schema.number { default = 0.1, min = 0, max = 1, doc = "share of that first rate to start with" },
    over = schema.number { above = 0, doc = "length of the line" },
    unit = unit(),
    next = schedule.kind { doc = "what follows: a schedule, or a rate" },
  },
  methods = {
    at = function(self, clock)
      local start = in_steps(self, clock, self.over)
      local after = shifted(clock, start)
      if clock.step >= start then return at(self.next, after) end
      after.step = 0
      return at(self.next, after) * linear(self.from, 1, clock.step / start)
    end,
  },
})

schedule.sequence = schema.constructor("hl.schedule.sequence", {
  doc = "Schedules one after the other; each counts from its own beginning.",
  family = "schedule",
  children = schedule.kind {}, min_children = 1,
  fields = {
    milestones = schema.list(schema.number { above = 0 }, { doc = "where the second begins, the third, …" }),
    unit = unit(),
  },
  check = function(self, report)
    if #self.milestones ~= #self - 1 then
      report("milestones", string.format("expected %d, one between each two schedules, got %d", #self - 1,
        #self.milestones))
    end
    for i = 2, #self.milestones do
      if self.milestones[i] <= self.milestones[i - 1] then report("milestones", "must ascend") end
    end
  end,
  methods = {
    at = function(self, clock)
      local part, start = 1, 0
      for i, moment in ipairs(self.milestones) do
        local begins = in_steps(self, clock, moment)
        if clock.step < begins then return at(self[part], shifted(clock, start, begins)) end
        part, start = i + 1, begins
      end
      return at(self[part], shifted(clock, start))
    end,
  },
})

-- ---- after the metric ----

-- Whether x is an improvement on the best so far.
local function improves(self, x, best, upwards)
  local margin = upwards and self.threshold or -self.threshold
  local limit = self.threshold_kind == "relative" and best * (1 + margin) or best + margin
  if upwards then return x > limit end
  return x < limit
end

schedule.plateau = schema.constructor("hl.schedule.plateau", {
  doc = "The rate times a factor when a metric has not improved for more than `patience` epochs.",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    metric = schema.one_of { "dice_validation", "loss_validation", "dice_train", "loss_train",
      default = "dice_validation", doc = "what is watched, once an epoch" },
    better = schema.one_of { "by metric", "higher", "lower", default = "by metric",
      doc = "by metric: a Dice should rise, a loss should fall" },
    factor = schema.number { default = 0.1, above = 0, below = 1, doc = "of each change" },
    patience = schema.int { default = 10, min = 0, doc = "epochs without improvement that are put up with" },
    threshold = schema.number { default = 1e-4, min = 0, doc = "what counts as an improvement" },
    threshold_kind = schema.one_of { "relative", "absolute", default = "relative" },
    cooldown = schema.int { default = 0, min = 0, doc = "epochs after a change that are not counted" },
    lowest = schema.number { default = 0, min = 0, doc = "the rate does not fall below" },
    smallest_change = schema.number { default = 1e-8, min = 0, doc = "smaller ones are not made" },
  },
  methods = {
    at = function(self, clock)
      local upwards = self.better == "higher" or self.better == "by metric" and self.metric:find "^dice" ~= nil
      local rate, best, bad, cooling = self.from, upwards and -math.huge or math.huge, 0, 0
      for _, x in ipairs(clock.history[self.metric] or {}) do
        if improves(self, x, best, upwards) then best, bad = x, 0 else bad = bad + 1 end
        if cooling > 0 then cooling, bad = cooling - 1, 0 end
        if bad > self.patience then
          local lower = math.max(rate * self.factor, self.lowest)
          if rate - lower > self.smallest_change then rate = lower end
          cooling, bad = self.cooldown, 0
        end
      end
      return rate
    end,
  },
})

return schedule
