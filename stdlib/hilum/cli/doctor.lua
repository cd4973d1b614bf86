-- hilum doctor: what hilum stands on here.

local engine = require "hilum.engine"
local progress = require "hilum.progress"

return {
  name = "doctor",
  summary = "versions, machine, memory",
  arguments = {},
  options = {},
  run = function()
    local host = engine.host()
    print(string.format("hilum      %s, %s", engine.version, _VERSION))
    print(string.format("machine    %s, %d processors, %s", host.cpu, host.processors, host.system))
    print(string.format("threads    %d", engine.threads()))
    print(string.format("memory     %s resident now", progress.bytes((engine.resident()))))
  end,
}
