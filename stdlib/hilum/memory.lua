-- How much memory this process can still get.

local memory = {}

local function number_in(path, pattern)
  local file <close> = io.open(path, "rb")
  local text = file and file:read "a"
  return text and math.tointeger(tonumber(text:match(pattern)))
end

-- What the limits of the control group leave (version 2; a container's own group is mounted at its root).
local function of_group()
  local file <close> = io.open("/proc/self/cgroup", "rb")
  local path = file and (file:read "a" or ""):match "0::([^\n]*)"
  for _, folder in ipairs { path and "/sys/fs/cgroup" .. path, "/sys/fs/cgroup" } do
    local most, now = number_in(folder .. "/memory.max", "^%d+"), number_in(folder .. "/memory.current", "^%d+")
    if most and now then
      local cache = number_in(folder .. "/memory.stat", "\ninactive_file (%d+)") or 0 -- given back when it is needed
      return math.max(0, most - now + cache)
    end
  end
end

--- Bytes that are available: of the machine, within the limits of the control group; nil where neither is known.
function memory.available()
  local kib = number_in("/proc/meminfo", "MemAvailable:%s*(%d+)")
  local machine, group = kib and kib * 1024, of_group()
  return machine and group and math.min(machine, group) or machine or group
end

return memory
