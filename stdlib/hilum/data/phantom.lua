-- The phantom as a set of cases: written once as LIDC folders, read back by the loader of those.

local cache = require "hilum.cache"
local engine = require "hilum.engine"
local lidc = require "hilum.data.lidc"

local phantom = {}

local function temporary_folder()
  local folder = os.getenv("TMPDIR")
  return (folder and folder ~= "" and folder or "/tmp") .. "/hilum-cache"
end

-- Options that change what is written have a folder of their own.
local function folder_of(parent, what)
  return string.format("%s/phantom-%s-cases%d-nodules%d-seed%d", parent, what.size, what.cases, what.nodules, what.seed)
end

-- Written where it is asked for, else in the cache, else, if that cannot be written, among temporary files.
local function write(what, wanted, progress)
  local kept = wanted or cache.folder()
  if kept then
    local folder = wanted or folder_of(kept, what)
    local done, err = engine.write_phantom(folder, what, progress)
    if done then return folder end
    if wanted or err.code ~= "io" then return nil, err end
  end
  local folder = folder_of(temporary_folder(), what)
  local done, err = engine.write_phantom(folder, what, progress)
  if not done then return nil, err end
  return folder
end

--- The phantom's cases. source: { cases, nodules_per_case, size, seed, folder (optional: where it is written) and
--- what a folder of LIDC has }; options: see data/set.lua. Returns a set, or nil and a problem.
function phantom.open(source, options)
  local what = { cases = source.cases, nodules = source.nodules_per_case, size = source.size, seed = source.seed }
  local folder, err = write(what, source.folder, options and options.progress)
  if not folder then return nil, err end
  return lidc.open({
    folder = folder, nodules = source.nodules, consensus = source.consensus, spacing_mm = source.spacing_mm,
    resample = source.resample, window_hu = source.window_hu, crop = source.crop, extent = source.extent,
  }, options)
end

return phantom
