-- Real data for tests: unpacked below the build folder, once.

local t = require "tap"

local real = {}

--- The folder that holds what was unpacked: "ct", "xml" or "slices" of LIDC-IDRI. Skips the whole test where there is
--- none.
function real.unpacked(what)
  local shared = os.getenv "HILUM_SHARED" or (os.getenv "HILUM_SOURCE" or ".") .. "/../shared"
  local build = os.getenv "HILUM_BUILD"
  local script = shared .. "/lidc/unpack.sh"
  local file = io.open(script)
  if not file or not build then t.skip_all("no LIDC material in " .. shared) end
  file:close()
  if os.execute(string.format("sh '%s' '%s/lidc' %s", script, build, what)) then return build .. "/lidc" end
  t.ok(false, "unpacking " .. what .. " of LIDC-IDRI")
  t.done()
end

return real
