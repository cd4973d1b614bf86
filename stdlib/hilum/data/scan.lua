-- One image of a person: a folder with one CT series (DICOM), or a NIfTI file.

local engine = require "hilum.engine"
local problem = require "hilum.problem"

local scan = {}

local MOST_NAMED = 8 -- series in a message

local function listed(list)
  local lines = {}
  for i = 1, math.min(#list, MOST_NAMED) do
    local s = list[i]
    lines[i] = string.format("  %s (%s, %d slices of %d × %d)", s.uid, s.patient == "" and "no patient" or s.patient,
      s.slices, s.rows, s.columns)
  end
  if #list > MOST_NAMED then lines[#lines + 1] = string.format("  and %d more", #list - MOST_NAMED) end
  return table.concat(lines, "\n")
end

-- The entry of an index that is meant, or nil and a problem.
local function chosen(folder, index, uid)
  if #index.series == 0 then
    return nil, problem.new("format", string.format("%s: holds no CT series (of %d files, %d are DICOM)", folder,
      index.files, index.dicom_files))
  end
  if not uid and #index.series == 1 then return index.series[1] end
  for _, one in ipairs(index.series) do
    if one.uid == uid then return one end
  end
  local what = uid and string.format("no CT series %s", uid) or string.format("%d CT series, expected one",
    #index.series)
  return nil, problem.new("format", string.format("%s: holds %s:\n%s", folder, what, listed(index.series)))
end

local function sign(x)
  return x < 0 and -1 or 1
end

local function read_folder(folder, o)
  local index, err = engine.index(folder, o.progress)
  if not index then return nil, err end
  local entry
  entry, err = chosen(folder, index, o.series)
  if not entry then return nil, err end
  local series, found, more = engine.read_series(entry.files, { processes = o.processes })
  if not series then return nil, found, more end
  local info = series:info()
  local d = info.direction
  return { voxels = series:voxels(), series = series, uid = info.uid, patient = info.patient, problems = found,
    signs = { sign(d[1]), sign(d[5]), sign(d[9]) },
    grid = { size = { info.slices, info.rows, info.columns }, spacing_mm = info.spacing_mm,
      origin_mm = info.origin_mm, z_mm = info.z_mm } }
end

local function read_file(path)
  local voxels, grid = engine.nifti_read(path)
  if not voxels then return nil, grid end
  return { voxels = voxels, stored = grid.stored, problems = {}, signs = { 1, 1, 1 },
    grid = { size = voxels.shape, spacing_mm = grid.spacing_mm, origin_mm = grid.origin_mm } }
end

--- An image { voxels [z,y,x], grid, signs = which way its axes run in the patient (1: towards head, back, left),
--- problems }, with series (open; to be freed), uid and patient of a folder, or stored (see engine.nifti_read) of a
--- file; or nil, a problem and more problems. o: { series = UID of the one that is meant, processes, progress }.
function scan.read(path, o)
  local kind, err = engine.file_kind(path)
  if kind == "folder" then return read_folder(path, o or {}) end
  if not kind then return nil, err end
  return read_file(path)
end

-- t [z,y,x] with its planes along an axis in the other order.
local function reversed(t, axis)
  local n, out = t.shape[axis], engine.zeros(t.shape, { dtype = t.dtype, category = "data" })
  for i = 1, n do
    local to <close> = out:slice(axis, i)
    local from <close> = t:slice(axis, n + 1 - i)
    to:copy_(from)
  end
  return out
end

-- A volume [z,y,x] with the axes of the file it belongs to.
local function as_stored(t, stored)
  local order = {}
  for a = 1, 3 do
    order[math.tointeger(stored.axis[a])] = a
    if stored.way[a] < 0 then t = reversed(t, a) end
  end
  return t:permute(order):dense "plain"
end

--- Writes a volume on the image's grid as NIfTI, lying as the image does in its files. true, or nil and a problem.
function scan.write_nifti(image, path, t, description)
  if image.series then return engine.write_nifti(path, t, image.series, description) end
  return engine.write_nifti(path, as_stored(t, image.stored), image.stored, description)
end

return scan
