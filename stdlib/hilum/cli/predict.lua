-- hilum predict: a scan segmented by the network of an archived run.

local common = require "hilum.cli.common"
local engine = require "hilum.engine"
local json = require "hilum.json"
local options = require "hilum.cli.options"
local output = require "hilum.predict.output"
local positions = require "hilum.predict.positions"
local predict = require "hilum.predict"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local scan = require "hilum.data.scan"
local shared = require "hilum.cli.data.shared"
local text = require "hilum.predict.text"

local command = {
  name = "predict",
  summary = "segments a scan with the network of an archived run",
  arguments = { { "RUN.h5", "an archive that hilum run wrote" },
    { "SCAN", "a folder with one CT series (DICOM), or a NIfTI file" } },
  options = {
    { "at", "z,y,x", "around this voxel: slice, row and column from 1", many = true },
    { "at-mm", "z,y,x", "around this position, mm along the scan's axes", many = true },
    { "nodules", "MARKS.csv", "around each position of a table, as hilum data nodules --csv writes it" },
    { "whole", nil, "the whole scan, in one pass" },
    { "tile", "z,y,x", "with --whole: in tiles of so many voxels, blended with Gaussian weights" },
    { "overlap", "SHARE", "of neighbouring tiles (default: 0.5)" },
    { "out", "FILE", "the mask: OUT.nii.gz, OUT.nii or, as a segmentation object, OUT.dcm; must not exist yet",
      short = "o" },
    { "probability", nil, "the NIfTI file holds probabilities instead of the mask" },
    { "figure", "FILE.png", "slices of each part with its outline; FILE.svg is drawn beside it" },
    { "weights", "NAME", "best (default: of the epoch with the best validation Dice) or last" },
    { "series", "UID", "of the CT series that is meant, where the folder holds several" },
    { "threshold", "P", "a voxel is predicted above it (default: as the experiment says)" },
    { "keep", "NAME", "all, largest or central: which connected parts (default: as the experiment says)" },
    { "flips", "AXES", "for example zyx, or none: mirrored images too (default: as the experiment says)" },
    { "memory-gib", "N", "at most so much memory (default: what the machine has left)" },
    { "threads", "N", "compute threads (default: all processors)" },
    { "json", nil, "one JSON object" },
  },
  notes = "Positions are those of the scan's own voxels. docs/prediction.md says what is done with them.\n"
    .. "Exit codes: 0 done, 3 done, with problems in the scan (they are named), 1 not done.",
}

local function usage(form, ...)
  error(problem.new("usage", "hilum predict: " .. string.format(form, ...)), 0)
end

local function raised(value, err)
  if value == nil then error(problem.of(err), 0) end
  return value
end

-- ---- what is asked for ----

-- One way to say where.
local function check_where(given)
  local ways = {}
  for _, name in ipairs { "at", "at-mm", "nodules", "whole" } do
    if given[name] then ways[#ways + 1] = "--" .. name end
  end
  if #ways == 0 then usage "where? Give --at z,y,x, --at-mm z,y,x, --nodules MARKS.csv or --whole" end
  if #ways > 1 and not (#ways == 2 and given.at and given["at-mm"]) then
    usage("%s and %s: one of them is expected", ways[1], ways[#ways])
  end
  if given.tile and not given.whole then usage "--tile needs --whole" end
  if given.overlap and not given.tile then usage "--overlap needs --tile" end
end

local function check_output(given)
  local out = given.out
  if given.probability and not out then usage "--probability needs -o OUT.nii.gz" end
  if not out then return end
  local kind = output.kind(out)
  if not kind then usage("--out: expected a name that ends in .nii.gz, .nii or .dcm, got '%s'", out) end
  if given.probability and kind == "seg" then usage "--probability writes NIfTI: give -o OUT.nii.gz" end
  common.refuse_existing(out)
end

local function flips_of(given)
  local word = given.flips
  if not word or word == "none" then return word and "" end
  local axes = ""
  for axis in ("zyx"):gmatch "." do
    if word:find(axis, 1, true) then axes = axes .. axis end
  end
  if #axes == #word and #word > 0 then return axes end
  usage("--flips: expected axes among zyx, each once, or none, got '%s'", word)
end

local function settings(given)
  local gib = options.decimal(command, given, "memory-gib", 1e-3, 1e6)
  return {
    weights = options.choice(command, given, "weights", { "best", "last" }),
    threshold = options.decimal(command, given, "threshold", 1e-6, 1 - 1e-6),
    keep = given.keep and options.choice(command, given, "keep", { "all", "largest", "central" }),
    flips = flips_of(given), memory = gib and math.floor(gib * 2 ^ 30),
  }
end

-- Where, once the scan is known: indices, or nothing for the whole.
local function places(given, image)
  if given.whole then return nil end
  if given.nodules then return raised(positions.read(given.nodules, image)) end
  local list = {}
  for _, name in ipairs { "at", "at-mm" } do
    for _, word in ipairs(given[name] or {}) do
      list[#list + 1] = raised(positions.one(image, options.vector(command, name, word, 3), name == "at-mm"))
    end
  end
  return list
end

-- ---- what is told ----

local by = text.by

local function slabs_text(grid)
  return grid.slabs and next(grid.slabs) and ", through slabs of z" or ""
end

local function grid_line(p, grid, result)
  local what = grid.tile and string.format("whole scan in tiles of %s, overlap %g", by(grid.tile, "%d"), grid.overlap)
    or #result.positions == 0 and "whole scan in one pass"
    or string.format("%d crop%s", #result.positions, #result.positions == 1 and "" or "s")
  local w = p.seen.window
  local grey = w and string.format("%g to %g HU", w[1], w[2]) or "each slice from its darkest to its brightest"
  return string.format("seen          %s: %s voxels of %s mm, %s; %s planned%s", what, by(grid.size, "%d"),
    by(grid.spacing_mm, "%.3g"), grey, progress.bytes(grid.planned), slabs_text(grid))
end

local function lines_of(p, image, result, files, seconds)
  local lines, how = {}, p.how
  local function add(...) lines[#lines + 1] = string.format(...) end
  add("run           %s (%s), %s weights, of epoch %s", p.path, p.name, p.weights, tostring(p.epoch))
  add("scan          %s", image.uid and string.format("%s, series %s", image.patient, image.uid) or image.path)
  add("voxels        %s, %s mm", by(image.grid.size, "%d"), by(image.grid.spacing_mm, "%.4g"))
  add("%s", grid_line(p, result.grid, result))
  add("rule          threshold %g, parts: %s, flips: %s", how.threshold, how.keep,
    how.flips == "" and "none" or how.flips)
  text.parts(add, result.parts)
  text.positions(add, result.positions)
  for _, one in ipairs(files) do add("written       %s: %s", one.file, one.what) end
  add("time          %s", progress.duration(seconds))
  if #image.problems > 0 then shared.add_problems(add, image.problems) end
  return lines
end

local function object_of(p, image, result, files, seconds)
  local grid = result.grid
  return { run = p.path, name = p.name, weights = p.weights, epoch = p.epoch, series = image.uid,
    patient = image.patient, file = not image.uid and image.path or nil, size = image.grid.size,
    spacing_mm = image.grid.spacing_mm, rule = p.how,
    seen = { size = grid.size, spacing_mm = grid.spacing_mm, window_hu = p.seen.window, tile = grid.tile,
      overlap = grid.overlap, planned_bytes = grid.planned },
    parts = json.list(result.parts), positions = json.list(result.positions), files = json.list(files),
    problems = json.list(image.problems), seconds = seconds }
end

-- ---- the work ----

local function read_scan(path, given, tell)
  local image, err, more = shared.stop_on_interrupt(function()
    local found, why, others = scan.read(path, { series = given.series, progress = tell })
    if found then return found end
    for _, one in ipairs(others or {}) do
      if one.code ~= "ok" then io.stderr:write(one.file, ": ", one.message, "\n") end
    end
    return nil, why
  end)
  if not image then error(problem.of(err or more), 0) end
  image.path = path
  return image
end

-- Whatever would fail in the end fails before the work.
local function check_place(given, image)
  if given.out then
    raised(output.check(given.out, image))
    common.make_place(given.out)
  end
  if given.figure then common.folder_for(given.figure) end
end

local function write(given, p, image, result)
  local files = {}
  if given.out then files[1] = raised(output.write(given.out, p, image, result, given.probability)) end
  if not given.figure then return files end
  local base = given.figure:gsub("%.png$", ""):gsub("%.svg$", "")
  for _, path in ipairs(raised(output.draw(base, p, image, result))) do
    files[#files + 1] = { file = path, what = "figure" }
  end
  return files
end

function command.run(given)
  local start = engine.clock()
  check_where(given)
  check_output(given)
  local o = settings(given)
  local tile = given.tile and options.vector(command, "tile", given.tile, 3, true)
  local overlap = options.decimal(command, given, "overlap", 0, 0.95)
  if given.threads then engine.threads(options.number(command, given, "threads", 1, 1)) end
  local p = raised(predict.open(given[1], o))
  local bar, tell = shared.with_lines(given.json)
  local image = read_scan(given[2], given, tell)
  local where = places(given, image)
  check_place(given, image)
  local result = shared.stop_on_interrupt(predict.on, p, image, { positions = where, whole = given.whole, tile = tile,
    overlap = overlap, name = given[2], progress = tell })
  bar:clear()
  local files = write(given, p, image, result)
  local seconds = engine.clock() - start
  if given.json then
    common.emit(object_of(p, image, result, files, seconds))
  else
    print(table.concat(lines_of(p, image, result, files, seconds), "\n"))
  end
  return #common.problems(image.problems) > 0 and shared.WITH_PROBLEMS or 0
end

return command
