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
    local v = engine.versions()
    print(string.format("hilum      %s, Lua %s (%s)", v.hilum, v.lua, v.build))
    print(string.format("libraries  oneDNN %s, HDF5 %s, GDCM %s, libxml2 %s, OpenSSL %s", v.onednn, engine.hdf5_version,
      v.gdcm, v.libxml2, v.openssl))
    print(string.format("machine    %s, %d processors, %s", host.cpu, host.processors, host.system))
    print(string.format("threads    %d", engine.threads()))
    print(string.format("memory     %s resident now", progress.bytes((engine.resident()))))
  end,
}
