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

--- Adds the lines of a list of problems by add(format, …).
function shared.add_problems(add, problems)
  add("problems      %d", #common.problems(problems))
  for _, one in ipairs(problems) do
    add("  %s%s: %s", one.code == "ok" and "note: " or "", one.file, one.message)
  end
end

return shared
