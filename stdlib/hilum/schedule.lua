-- hl.schedule: the learning rate over a run. A schedule has at(self, t) for t from 0 (first step) to 1 (last).

local schema = require "hilum.schema"

local schedule = {}

schedule.constant = schema.constructor("hl.schedule.constant", {
  doc = "The same rate throughout.",
  family = "schedule",
  fields = { rate = schema.number { above = 0 } },
  methods = { at = function(self) return self.rate end },
})

schedule.cosine = schema.constructor("hl.schedule.cosine", {
  doc = "Half a cosine from one rate down to another (Loshchilov, Hutter 2017, without restarts).",
  family = "schedule",
  fields = {
    from = schema.number { above = 0, doc = "first rate" },
    to = schema.number { default = 0, min = 0, doc = "last rate" },
  },
  methods = {
    at = function(self, t)
      return self.to + (self.from - self.to) * (1 + math.cos(math.pi * t)) / 2
    end,
  },
})

--- The kind of a field that takes a rate: a number, or a schedule.
function schedule.kind(o)
  return schema.any_of {
    schema.number { above = 0 }, schema.value { family = "schedule" }, default = o.default, doc = o.doc,
  }
end

--- Rate of step `step` (1 is the first) out of `steps`.
function schedule.rate(spec, step, steps)
  if type(spec) == "number" then return spec end
  return spec:at(steps > 1 and (step - 1) / (steps - 1) or 0)
end

return schedule
