-- What the data commands share.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local problem = require "hilum.problem"
local progress = require "hilum.progress"

local shared = {}

shared.WITH_PROBLEMS = 3 -- exit code: done, but not all of it was understood

--- fn(…), which an interrupt stops between two of its steps; raises the error it returns.
function shared.stop_on_interrupt(fn, ...)
  engine.on_interrupt("flag")
  local result, err = fn(...)
  engine.on_interrupt("default")
  if not result then error(problem.of(err), 0) end
  return result
end

--- A progress bar and the function(done, total, what) that moves it.
function shared.with_bar(silent)
  local bar = progress.new { bar = not silent }
  return bar, function(done, total, what) bar:update(what, done, total) end
end

--- Adds the lines of a list of problems by add(format, …); of notes at most `most` (default: all).
function shared.add_problems(add, problems, most)
  local notes = 0
  add("problems      %d", #common.problems(problems))
  for _, one in ipairs(problems) do
    local note = one.code == "ok"
    notes = notes + (note and 1 or 0)
    if not note or notes <= (most or notes) then add("  %s%s: %s", note and "note: " or "", one.file, one.message) end
  end
  if notes > (most or notes) then add("  and %d more notes (--json has all)", notes - most) end
end

local EVERY = 30 -- seconds between two lines where there is no bar

--- The same for work of hours: where there is no terminal, a line from time to time says how far it is.
function shared.with_lines(silent)
  local bar, move = shared.with_bar(silent)
  if silent or engine.terminal "err" then return bar, move end
  local task, first, start, last
  return bar, function(done, total, what)
    local now = engine.clock()
    if what ~= task then task, first, start, last = what, done, now, now end
    if now - last < EVERY or done == first then return end
    last = now
    local rate = (done - first) / (now - start)
    bar:say(string.format("%s %d/%d  %.3g/s  %s left", what, done, total, rate,
      total > 0 and progress.duration((total - done) / rate) or "unknown"))
  end
end

return shared
