-- hilum bench feed: whether samples come as fast as training uses them up.

local common = require "hilum.cli.common"
local feed = require "hilum.feed"
local options = require "hilum.cli.options"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local speed = require "hilum.feed.speed"
local train = require "hilum.train"

local function line(name, seconds, note)
  return string.format("%-22s %9.2f ms  %8.1f /s%s", name, 1e3 * seconds, 1 / seconds, note and "  " .. note or "")
end

local function lines(r, batch)
  return {
    string.format("%d samples, each on average", r.cases),
    line("load", r.load, "from the cache, or from memory where there is none"),
    line("augment", r.augment),
    line("copy into a batch", r.copy),
    line("here, first epoch", r.here.first),
    line("here, later epochs", r.here.later),
    line(string.format("%d ahead, first epoch", r.workers), r.ahead.first),
    line(string.format("%d ahead, later epochs", r.workers), r.ahead.later),
    string.format("a step of %d takes %.1f ms, %.1f ms for each sample: they come %.3g times as fast", batch,
      1e3 * r.step, 1e3 * r.used, r.used / r.ahead.later),
  }
end

return {
  name = "bench feed",
  summary = "how fast an experiment's samples are loaded, augmented and put into batches, beside a training step",
  arguments = { { "EXPERIMENT.lua", "a script that returns an experiment" } },
  options = common.with(common.experiment_options, {
    { "workers", "N", "processes that prepare samples ahead (default: by processors)" },
    { "feed-mib", "N", "memory for samples and batches (default: 1024)" },
    { "cases", "N", "training cases at most (default: 64)" },
    { "steps", "N", "training steps; the fastest counts (default: 3)" },
    { "json", nil, "one JSON line, in seconds" },
  }),
  run = function(given, command)
    local o = {
      workers = options.number(command, given, "workers", feed.default_workers(), 1),
      bytes = options.number(command, given, "feed-mib", feed.BYTES >> 20, 1) << 20,
      cases = options.number(command, given, "cases", 64, 1), steps = options.number(command, given, "steps", 3, 1),
    }
    local spec = common.load(given)
    o.ready = common.prepare(spec, given[1])
    o.set, o.sides = train.data(spec, progress.new { bar = not given.json })
    if not o.set then error(problem.of(o.sides), 0) end
    local result = speed.of(spec, o)
    if given.json then return common.emit_line(result) end
    print(table.concat(lines(result, spec.train.batch), "\n"))
  end,
}
