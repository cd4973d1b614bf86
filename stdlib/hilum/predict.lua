-- Prediction on a scan with the network of an archived run: around positions, or on the whole of it, and back on the
-- scan's own grid. docs/prediction.md says what is done with the voxels, step by step.
--
--   local p = assert(predict.open("run.h5"))
--   local image = assert(scan.read "series/")
--   local result = assert(predict.on(p, image, { positions = { { 70, 250, 310 } } }))

local archive = require "hilum.archive"
local archived = require "hilum.archived"
local budget = require "hilum.budget"
local engine = require "hilum.engine"
local grids = require "hilum.grid"
local parts = require "hilum.predict.parts"
local pictures = require "hilum.data.slices"
local prediction = require "hilum.prediction"
local problem = require "hilum.problem"
local tiles = require "hilum.predict.tiles"
local value = require "hilum.value"

local op = engine.op
local predict = {}

-- ---- the run ----

-- What the experiment does with a scan before the network sees it.
local function preprocessing(spec)
  local data = spec.data
  local plain = { crop = table.move(data.crop, 1, 3, 1, {}), pictures = value.show(data) == "hl.data.slices" }
  if plain.pictures then return plain end
  plain.window, plain.kind = { data.window_hu[1], data.window_hu[2] }, data.resample and data.resample.image or "linear"
  plain.over_scan, plain.spacing_mm = data.extent == "scan", table.move(data.spacing_mm, 1, 3, 1, {})
  return plain
end

-- The experiment's declaration with what is asked for instead.
local function settings(spec, o)
  local how = {}
  for _, name in ipairs { "threshold", "keep", "flips" } do
    how[name] = o[name] == nil and spec.predict[name] or o[name]
  end
  return how
end

-- { 1, 1, 1 } for networks of any size.
local function total_stride(part)
  if part.total_stride then return part:total_stride() end
  for _, child in ipairs(part) do
    local found = total_stride(child)
    if found[1] * found[2] * found[3] > 1 then return found end
  end
  return { 1, 1, 1 }
end

local UNUSED = { "modules", "split", "cases", "drawn", "log", "panel", "interreader", "calibration", "measured" }

--- Opens an archived run for prediction. o: { weights = "best" (default) or "last", threshold, keep, flips (default:
--- as the experiment says), memory = bytes (default: what the machine has) }. The archive is tried in another process
--- first. Returns the predictor, or nil and a problem.
function predict.open(path, o)
  o = o or {}
  local run, spec
  local fine, err = engine.store_try(path)
  if fine then run, err = archive.run_read(path, { without = UNUSED }) end
  if run then spec, err = archived.experiment(run, path) end
  if not spec then return nil, err end
  local p = { path = path, spec = spec, name = spec.name, weights = o.weights or "best", how = settings(spec, o),
    memory = o.memory, stride = total_stride(spec.model), networks = {} }
  p.seen = preprocessing(spec)
  p.net, err = archived.model(run, spec, path, p.weights, p.seen.crop)
  if not p.net then return nil, err end
  local state = type(run.state) == "table" and run.state or {}
  p.epoch = p.weights == "best" and state.best_epoch or state.epoch
  return p
end

-- ---- memory ----

-- Bytes that the machine has to give, or nil where it does not say.
local function available()
  local file = io.open "/proc/meminfo"
  if not file then return nil end
  local kib = file:read("a"):match "MemAvailable:%s*(%d+) kB"
  file:close()
  return kib and math.tointeger(kib) * 1024
end

local function voxels_of(size)
  return size[1] * size[2] * size[3]
end

-- The network for images of a size, through slabs of z where the budget asks for it. beside: bytes that are needed
-- besides. Or nil and a problem.
local function network_of(p, size, beside)
  local key = table.concat(size, " ")
  if p.networks[key] then return p.networks[key] end
  local found, planned
  local function record(slabs)
    found = p.net:predictor { batch = 1, size = size, slabs = slabs }
    local plan = found.program:plan()
    planned = { bytes = plan.peak.all + p.net:bytes() + beside, where = plan.where, ops = plan.ops }
    return planned
  end
  record {}
  local limit, slabs = p.memory or available(), {}
  if limit and planned.bytes > limit then
    local err
    slabs, err = budget.fit(limit, found.streams, record, {
      limit = not p.memory and "this machine has" or nil,
      what = string.format("the prediction of %d × %d × %d voxels", size[1], size[2], size[3]),
      advice = "tiles (--tile), crops (--at, --nodules) or a machine with more memory (--memory-gib)" })
    if not slabs then return nil, err end
  end
  p.networks[key] = { run = function(image, observer) return found:run(image, observer) end, planned = planned.bytes,
    ops = planned.ops, slabs = slabs }
  return p.networks[key]
end

-- ---- on one grid ----

-- { 1, 1, z, y, x } of one channel -> plain [z,y,x].
local function as_plain(t)
  local s = t.shape
  return t:dense("plain"):reshape { s[3], s[4], s[5] }
end

local function as_image(t)
  local s = t.shape
  return t:reshape({ 1, 1, s[1], s[2], s[3] }):dense "image"
end

-- The network's run, which tells step() after each op how many passes are behind, in parts.
local function watched(net, step)
  local done = 0
  return function(image)
    return net.run(image, function()
      done = done + 1
      step(done / net.ops)
    end)
  end
end

-- Probabilities { 1, 1, z, y, x } of the image on a grid, with flips: in one pass, or blended from tiles.
local function probabilities(p, image, o)
  local size = { image.shape[3], image.shape[4], image.shape[5] }
  if not o.tile then
    local net, err = network_of(p, size, o.beside)
    if not net then return nil, err end
    o.planned, o.slabs = net.planned, net.slabs
    return prediction.averaged(image, p.how.flips, o.step and watched(net, o.step) or net.run, o.each)
  end
  local net, err = network_of(p, o.tile, o.beside)
  if not net then return nil, err end
  o.planned, o.slabs = net.planned, net.slabs
  local blended
  blended, err = tiles.blend(size, o.tile, o.overlap, function(first, i, n)
    local part = image
    for a = 1, 3 do part = part:slice(2 + a, first[a], first[a] + o.tile[a] - 1) end
    local found, why = prediction.averaged(part:dense "image", p.how.flips, net.run)
    if o.each then o.each(i, n) end
    if found then return as_plain(found) end
    return nil, why
  end)
  if not blended then return nil, err end
  return as_image(blended)
end

-- What a network that is not asked about a place says of it does not count.
local function resampled_back(plain, valid, from, to)
  local how = { from = from, to = to, kind = "linear", outside = 0 }
  local inside <close> = as_plain(valid):to "f32"
  if inside:stats().min > 0.5 then return engine.resample(plain, how) end
  local sum <close> = engine.resample(op.mul(plain, inside), how)
  local weight <close> = engine.resample(inside, how)
  local least <close> = engine.zeros(weight.shape, { dtype = "f32" })
  least:fill(1e-6)
  return (op.div(sum, op.maximum(weight, least)))
end

-- Lays probabilities on grid `to` into the volume `into` on the image's own grid; the larger counts.
local function lay_back(image, to, kept, valid, into)
  local first, last = grids.box_within(image.grid, to)
  if not first then return end
  local values <close> = resampled_back(as_plain(kept), valid, to, grids.part(image.grid, first, last))
  local view = into
  for a = 1, 3 do view = view:slice(a, first[a], last[a]) end
  local larger <close> = op.maximum(view:clone(), values)
  view:copy_(larger)
end

-- Predicts on what is seen on a grid and lays the result into `into`. o: { what, middle, tile, overlap, beside;
-- each(i, n) after each pass or tile, or step(passes) }; gets planned and slabs.
local function predict_on(p, image, into, o, seen, valid, to)
  local raw, err = probabilities(p, seen, o)
  if not raw then return nil, err end
  local wrong = prediction.wrong(raw, o.what)
  if wrong then return nil, wrong end
  local kept = prediction.kept(raw, p.how, { spacing_mm = not p.seen.pictures and to.spacing_mm or nil,
    middle = o.middle })
  lay_back(image, to, kept, valid, into)
  for _, t in ipairs { seen, valid, raw, kept } do t:free() end
  return true
end

-- ---- which grids ----

-- Image, validity and the grid: by the same code as in training.
local function seen_on(p, image, to)
  local seen, valid = engine.seen(image.voxels, { from = image.grid, to = to, kind = p.seen.kind,
    window = p.seen.window })
  return seen, valid, to
end

-- The scan's own voxels from `first` on, which may lie outside.
local function grid_of_voxels(g, first, size)
  local to = { size = size, spacing_mm = g.spacing_mm, origin_mm = {}, z_mm = g.z_mm and {} }
  for a = 1, 3 do to.origin_mm[a] = grids.position(g, a, first[a]) end
  for i = 1, g.z_mm and size[1] or 0 do to.z_mm[i] = grids.position(g, 1, first[1] + i - 1) end
  return to
end

-- What the network sees around a position, as a training crop lies around a nodule: image, validity and their grid.
local function seen_at(p, image, index)
  if p.seen.pictures then
    local seen, valid, first = pictures.seen(image.voxels, index, p.seen.crop)
    return seen, valid, grid_of_voxels(image.grid, first, p.seen.crop)
  end
  local centre = {}
  for a = 1, 3 do centre[a] = grids.position(image.grid, a, index[a]) end
  return seen_on(p, image, grids.around(centre, p.seen.crop, p.seen.spacing_mm))
end

-- Over the whole scan: as an experiment on whole scans says, else at its spacing, in as many voxels as the network can
-- divide; least: at least so many.
local function grid_over(p, image, least)
  local g = image.grid
  if p.seen.over_scan then return grids.over(g, p.seen.crop) end
  local spacing, size, middle = p.seen.spacing_mm, {}, {}
  for a = 1, 3 do
    local first, last = grids.edges(g, a)
    local n = math.max(least and least[a] or 1, math.ceil((last - first) / spacing[a] - 1e-6))
    size[a] = (n + p.stride[a] - 1) // p.stride[a] * p.stride[a]
    middle[a] = (first + last) / 2
  end
  return grids.around(middle, size, spacing)
end

local function check_tile(p, tile)
  for a, name in ipairs { "z", "y", "x" } do
    if tile[a] < 1 or tile[a] % p.stride[a] ~= 0 then
      return problem.new("usage", string.format("a tile of %d voxels along %s cannot be divided by %d, the network's "
        .. "total stride", tile[a], name, p.stride[a]))
    end
  end
end

-- Bytes besides the network: the scan, its image, what is laid back.
local function bytes_beside(image, size)
  return image.voxels.bytes + 13 * voxels_of(image.grid.size) + 25 * voxels_of(size)
end

local function whole(p, image, into, o)
  if p.seen.pictures then
    return nil, problem.new("usage", p.path .. ": was trained on pictures of nodules, 128 × 128 voxels each, so it "
      .. "predicts around positions: say --at, --at-mm or --nodules")
  end
  if p.how.keep == "central" then
    return nil, problem.new("usage", "the experiment keeps the part in the middle of a crop, and a whole scan has no "
      .. "such middle: say --keep all or --keep largest")
  end
  local wrong = o.tile and check_tile(p, o.tile)
  if wrong then return nil, wrong end
  local to = grid_over(p, image, o.tile)
  local how = { what = o.name, tile = o.tile, overlap = o.overlap or 0.5, beside = bytes_beside(image, to.size) }
  local passes = #prediction.combinations(p.how.flips)
  if o.tile then
    function how.each(i, n) o.progress(i, n, "predicting tiles") end
  else -- percent of all ops
    function how.step(done) o.progress(math.min(100, math.floor(100 * done / passes)), 100, "predicting") end
  end
  local fine, err = predict_on(p, image, into, how, seen_on(p, image, to))
  if not fine then return nil, err end
  return { size = to.size, spacing_mm = to.spacing_mm, planned = how.planned, slabs = how.slabs, tile = o.tile,
    overlap = o.tile and how.overlap }
end

local function around(p, image, into, o)
  if p.seen.over_scan then
    return nil, problem.new("usage", p.path .. ": was trained on whole scans, so it predicts whole scans: say --whole")
  end
  local how, passes = { beside = bytes_beside(image, p.seen.crop) }, #prediction.combinations(p.how.flips)
  for i, index in ipairs(o.positions) do
    if engine.cancelled() then return nil, problem.new("cancelled", "stopped while predicting") end
    how.what = string.format("%s, position %d", o.name, i)
    function how.each(k) o.progress((i - 1) * passes + k, #o.positions * passes, "predicting") end
    how.each(0)
    local fine, err = predict_on(p, image, into, how, seen_at(p, image, index))
    if not fine then return nil, err end
  end
  return { size = p.seen.crop, spacing_mm = p.seen.spacing_mm or image.grid.spacing_mm, planned = how.planned,
    slabs = how.slabs }
end

-- Half of a crop in voxels of the image.
local function reach_of(p, image)
  local reach, spacing = {}, p.seen.spacing_mm or image.grid.spacing_mm
  for a = 1, 3 do reach[a] = p.seen.crop[a] * spacing[a] / image.grid.spacing_mm[a] / 2 end
  return reach
end

--- Predicts on an image (data/scan.lua). o: { positions = list of indices { z, y, x } from 1, or whole = true, with
--- tile = { z, y, x } and overlap (0.5) for tiles; name = of the scan, for messages, progress = function(done, total,
--- what) }. Returns { probability (f32 [z,y,x] on the image's grid, after parts), mask (u8), labels (i32), parts = see
--- predict/parts.lua, positions = { { index, position_mm, part = number or nil } … }, grid = { size, spacing_mm,
--- planned = bytes, slabs, tile } }, or nil and a problem.
function predict.on(p, image, o)
  local how = { name = "scan", progress = function() end }
  for key, one in pairs(o) do how[key] = one end
  local probability = engine.zeros(image.grid.size, { dtype = "f32", category = "data" })
  local grid, err = (how.whole and whole or around)(p, image, probability, how)
  if not grid then return nil, err end
  local mask = prediction.mask(probability, p.how.threshold)
  local rows, labels = parts.of(mask, probability, image.grid)
  local result = { probability = probability, mask = mask, labels = labels, parts = rows, grid = grid, positions = {} }
  for i, index in ipairs(how.positions or {}) do
    local mm = {}
    for a = 1, 3 do mm[a] = grids.position(image.grid, a, index[a]) end
    result.positions[i] = { index = index, position_mm = mm, part = parts.at(rows, labels, index, reach_of(p, image)) }
  end
  return result
end

--- Probabilities [z,y,x] of an image [z,y,x] that is what the network sees already: 0 to 1, on its own grid, sizes that
--- its strides divide. Flips and parts as declared; or nil and a problem.
function predict.image(p, image)
  local seen = as_image(image:to "f32")
  local raw, err = probabilities(p, seen, { beside = 0 })
  if not raw then return nil, err end
  local wrong = prediction.wrong(raw, "image")
  if wrong then return nil, wrong end
  return as_plain(prediction.kept(raw, p.how))
end

return predict
