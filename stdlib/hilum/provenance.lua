-- Where a run comes from: the sources it was loaded from, and the programs and the machine that carry it out.

local engine = require "hilum.engine"

local provenance = {}

--- The script and the modules of a record that experiment.load gave, by name: { source, sha256 }.
function provenance.modules(record)
  local modules = {}
  if not record then return modules end
  modules[record.path:match("[^/\\]*$")] = { source = record.source, sha256 = engine.sha256(record.source) }
  for name, one in pairs(record.modules) do
    modules[name] = { source = one.source, sha256 = engine.sha256(one.source) }
  end
  return modules
end

--- { versions, host, cpu, threads, created (UTC), platform } of this process.
function provenance.here()
  local host, versions = engine.host(), engine.versions()
  versions.hdf5 = engine.hdf5_version
  return { versions = versions, host = host.host, cpu = host.cpu, threads = engine.threads(),
    created = os.date("!%Y-%m-%dT%H:%M:%SZ"), platform = host.system .. " " .. host.machine }
end

return provenance
