-- The guard while a network trains: measures how well its invertible states come back, and acts as the experiment says.

local guard = require "hilum.guard"
local notes = require "hilum.train.notes"
local problem = require "hilum.problem"

local watch = {}

--- Measures the rebuilt states where it is time to. Returns true, or nil and a problem.
function watch.states(s, batch)
  local o = s.spec.train.guard
  if not s.guard or s.run.state.step % o.every ~= 0 then return true end
  local image = batch.image:slice(1, 1, 1):dense "image"
  local errors, err = s.guard:measure(image)
  if not errors then return nil, err end
  notes.guard(s, errors)
  s.bar:say(string.format("step %d: states come back within %.1e", s.run.state.step, guard.worst(errors)))
  local bad = guard.first_above(errors, o.threshold)
  while bad do
    local text = string.format("step %d: the state at %s comes back with an error of %.1e, more than %.1e",
      s.run.state.step, bad.place, bad.error, o.threshold)
    if o.action == "stop" then return nil, problem.new("guard", text) end
    s.bar:say(text .. (o.action == "store" and ": its activations are stored from now on" or ""))
    if o.action == "warn" then return true end
    s.step:keep(s.guard:keep(bad.place))
    table.insert(s.run.state.kept, bad.place)
    errors, err = s.guard:measure(image)
    if not errors then return nil, err end
    bad = guard.first_above(errors, o.threshold)
  end
  return true
end

--- Says what an epoch has cut off: numbers of a 16-bit state that left its range, { [place] = count }.
function watch.range(s, epoch, clipped)
  local total, worst = 0, nil
  for place, n in pairs(clipped) do
    total = total + n
    if not worst or n > clipped[worst] or n == clipped[worst] and place < worst then worst = place end
  end
  if total == 0 then return end
  s.bar:say(string.format("epoch %d: %d numbers of the 16-bit state left its range and were cut off, most at %s: "
    .. "a coarser grid (hl.nn.iunet { grid = \"q7\" }) or precision = \"f32\" holds them", epoch, total, worst))
end

return watch
