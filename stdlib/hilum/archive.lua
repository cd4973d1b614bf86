-- Archives: one HDF5 file that holds a whole run. docs/archive-format.md is the description for readers.
--
--   local w = archive.new()
--   w:put("/notes/author", "me"):put("/x", tensor):attr("/x", "unit", "mm")
--   local fine, err = w:save("notes.h5")            -- as a whole or not at all
--
--   local r <close> = assert(archive.open "notes.h5")
--   r:get "/x"   r:has "/x"   r:list "/notes"   r:attr("/x", "unit")   r:entry "/x"   r:numbers "/x"
--
-- What was put comes back by get: a tensor, text, a number, a boolean, a list of one of the last three.
-- Problems with files are returned as nil, err; wrong calls raise.

local engine = require "hilum.engine"
local loose = require "hilum.loose"
local problem = require "hilum.problem"
local suggest = require "hilum.suggest"
local tree = require "hilum.tree"

local fields = loose.fields

local archive = {}

local FORMAT, VERSION = "hilum run", 1

--- An empty archive in memory.
function archive.new()
  return engine.store()
end

--- An archive to read; or nil, err.
function archive.open(path)
  return engine.store_open(path)
end

-- ---- problems with a file, on their way out of nested calls ----

local function check(value, err)
  if value == nil and err then error({ of_file = err }, 0) end
  return value
end

local function complain(s, path, text)
  error({ of_file = problem.new("format", string.format("%s: %s: %s", s.file, path, text)) }, 0)
end

-- fn(...), or nil, err where a file is to blame.
local function guarded(fn, ...)
  local result = table.pack(pcall(fn, ...))
  if result[1] then return table.unpack(result, 2, result.n) end
  local err = result[2]
  if type(err) == "table" and err.of_file then return nil, err.of_file end
  error(err, 0)
end

local sorted_keys, part_of, key_of, is_scalar = tree.sorted_keys, tree.part_of, tree.key_of, tree.is_scalar

-- ---- kinds of parts: write(store, path, value), read(s, path) ----

local kinds = {}

-- Text, a number or a boolean.
kinds.scalar = {
  write = function(w, path, value)
    if not is_scalar(value) then error(path .. ": text, a number or a boolean expected", 0) end
    w:put(path, value)
  end,
  read = function(s, path)
    local value = check(s.store:get(path))
    if not is_scalar(value) then complain(s, path, "is not a single value") end
    return value
  end,
}

-- A list of lines as one text.
kinds.lines = {
  write = function(w, path, lines)
    local all = {}
    for i, line in ipairs(lines) do all[i] = line:gsub("\n", " ") .. "\n" end
    w:put(path, table.concat(all))
  end,
  read = function(s, path)
    local lines = {}
    for line in kinds.scalar.read(s, path):gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
    return lines
  end,
}

-- One column of a table. Cells that are not there are NaN or empty on disk, and named by an attribute.
local function write_column(w, path, n, cell)
  local values, missing, filler = {}, {}, nil
  for i = 1, n do
    local value = cell(i)
    if value ~= nil and not is_scalar(value) then
      error(string.format("%s: row %d holds a %s", path, i, type(value)), 0)
    end
    if value == nil then missing[#missing + 1] = i end
    if value ~= nil and filler == nil then
      if type(value) == "number" then filler = 0 / 0 elseif type(value) == "string" then filler = ""
      else filler = false end
    end
    values[i] = value
  end
  if filler == nil then filler = 0 / 0 end
  for _, i in ipairs(missing) do values[i] = filler end
  w:put(path, values)
  if #missing > 0 then w:attr(path, "missing", missing) end
end

local function read_column(s, path)
  local values = check(s.store:numbers(path))
  if type(values) ~= "table" then complain(s, path, "is not a column") end
  local n, missing = #values, check(s.store:attr(path, "missing"))
  for _, i in ipairs(type(missing) == "table" and missing or {}) do values[i] = nil end
  return values, n
end

local function read_columns(s, path)
  local columns, rows = {}, nil
  for _, part in ipairs(check(s.store:list(path))) do
    local values, n = read_column(s, path .. "/" .. part)
    if rows and n ~= rows then
      complain(s, path .. "/" .. part, string.format("has %d rows, the other columns have %d", n, rows))
    end
    columns[key_of(part)], rows = values, n
  end
  return columns, rows or 0
end

-- { name = list, … }: lists of equal length, where cells may be missing.
kinds.columns = {
  write = function(w, path, columns)
    local n = 0
    for _, values in pairs(columns) do
      for i in pairs(values) do n = math.max(n, i) end
    end
    w:put_group(path)
    for _, key in ipairs(sorted_keys(columns, path)) do
      write_column(w, path .. "/" .. part_of(key), n, function(i) return columns[key][i] end)
    end
  end,
  read = read_columns,
}

-- A list of records { name = value, … }, as columns on disk.
kinds.rows = {
  write = function(w, path, rows)
    local names = {}
    for _, row in ipairs(rows) do
      for key in pairs(row) do names[key] = true end
    end
    w:put_group(path)
    for _, key in ipairs(sorted_keys(names, path)) do
      write_column(w, path .. "/" .. part_of(key), #rows, function(i) return rows[i][key] end)
    end
  end,
  read = function(s, path)
    local columns, n = read_columns(s, path)
    local rows = {}
    for i = 1, n do
      rows[i] = {}
      for key, values in pairs(columns) do rows[i][key] = values[i] end
    end
    return rows
  end,
}

kinds.tree = {
  write = tree.write,
  read = function(s, path)
    local found, err = tree.read(s.store, path, s)
    if found == nil and err then
      if err.message:find(s.file, 1, true) then error({ of_file = err }, 0) end
      complain(s, path, err.message:match ": (.*)$" or err.message)
    end
    return found
  end,
}

-- ---- the layout of a run ----

--- Everything a run archive can hold: the key in the run's table, the path in the file, the kind of content,
--- and whether it can be left out when an archive is only looked at.
archive.layout = {
  { key = "name", kind = "scalar", doc = "the experiment's name" },
  { key = "seed", kind = "scalar", doc = "the seed of everything that is drawn" },
  { key = "experiment", kind = "scalar", doc = "the experiment as a Lua program that builds the same value" },
  { key = "modules", kind = "tree", doc = "by name: source, sha256 of every script and module it loaded" },
  { key = "split", kind = "tree", doc = "train, validation: lists of patients" },
  { key = "data", kind = "tree", doc = "hash of the data, and the protocol it was prepared by" },
  { key = "cases", kind = "rows",
    doc = "a row for each nodule: id, patient, role, diameter_mm, readers, ratings, volumes, metrics" },
  { key = "lesions", kind = "rows", doc = "of whole scans: case, patient, voxels, found, iou, dice, score" },
  { key = "false_positives", kind = "rows", doc = "of whole scans: case, patient, voxels, score" },
  { key = "metrics", kind = "tree",
    doc = "by name, over the validation cases: mean, median, count, undefined, better" },
  { key = "evaluation", kind = "tree",
    doc = "of an evaluation: archive, sha256, weights and epoch of the network, who of the data trained it" },
  { key = "calibration", kind = "columns", doc = "of the validation voxels: count, mean, share in each bin" },
  { key = "drawn", kind = "columns", doc = "epoch, case, what: each augmentation that was drawn" },
  { key = "curves", kind = "curves", doc = "epoch and step: a table of columns for each" },
  { key = "weights", kind = "tree", doc = "last, best: tensors by the parameter's place in the model" },
  { key = "optimiser", kind = "tree", doc = "its tensors and counters" },
  { key = "state", kind = "tree", doc = "where the run stands: epoch, step, best_epoch, finished, …" },
  { key = "interreader", kind = "tree", doc = "Dice of each reader against the majority of the others" },
  { key = "panel", kind = "tree", doc = "for each column of the panel: id, dice, image, truth, prediction" },
  { key = "parameters", kind = "scalar", doc = "number of trained values" },
  { key = "memory", kind = "tree", doc = "bytes: planned for a step, kept, measured, resident" },
  { key = "provenance", kind = "tree", doc = "versions, host, cpu, threads, platform, created (UTC)" },
  { key = "measured", kind = "rows", doc = "of a measurement: one row for each configuration" },
  { key = "log", kind = "lines", doc = "the lines that the run printed" },
}

kinds.curves = {
  write = function(w, path, curves)
    w:put_group(path)
    for _, key in ipairs(sorted_keys(curves, path)) do
      kinds.columns.write(w, path .. "/" .. part_of(key), curves[key])
    end
  end,
  read = function(s, path)
    local curves = {}
    for _, part in ipairs(check(s.store:list(path))) do
      curves[key_of(part)] = read_columns(s, path .. "/" .. part)
    end
    return curves
  end,
}

-- ---- forms: what a kind of archive holds ----

-- A form with its parts by name. format: what the file says it is; version: the newest that is read; what: "a run".
local function form_of(format, version, what, layout)
  local form = { format = format, version = version, what = what, layout = layout, by_key = {}, keys = {} }
  for i, part in ipairs(layout) do
    part.path = "/" .. part.key
    form.by_key[part.key], form.keys[i] = part, part.key
  end
  return form
end

local function check_key(form, key)
  if form.by_key[key] then return end
  error(string.format("%s has no part '%s'%s", form.what, tostring(key), suggest.hint(tostring(key), form.keys)), 3)
end

-- An archive in memory with the content: a plain table with keys of the layout, all optional.
local function filled(form, content)
  local w = archive.new()
  w:attr("/", "format", form.format):attr("/", "format_version", form.version)
  for _, part in ipairs(form.layout) do
    if content[part.key] ~= nil then kinds[part.kind].write(w, part.path, content[part.key]) end
  end
  return w
end

local function read_form(form, path, without)
  local store <close> = check(archive.open(path))
  local s = { store = store, file = path, objects = 0 }
  local format = check(store:attr("/", "format"))
  if format ~= form.format then
    complain(s, "/", string.format("is not the archive of %s%s", form.what,
      type(format) == "string" and " but of the format '" .. format .. "'" or ""))
  end
  local version = check(store:attr("/", "format_version"))
  if math.type(version) ~= "integer" or version < 1 or version > form.version then
    complain(s, "/", string.format("has the format %s, this hilum reads up to %d", tostring(version), form.version))
  end
  local content = {}
  for _, part in ipairs(form.layout) do
    if not without[part.key] and check(store:has(part.path)) then
      content[part.key] = kinds[part.kind].read(s, part.path)
    end
  end
  return content
end

--- Another form of archive, in the parts that archive.layout shows: write(content, path) -> true, or nil, err; as a
--- whole or not at all. read(path) -> an equal table, or nil, err.
function archive.form(format, version, what, layout)
  local form = form_of(format, version, what, layout)
  return {
    write = function(content, path)
      for key in pairs(content) do check_key(form, key) end
      local w <close> = filled(form, content)
      return w:save(path)
    end,
    read = function(path) return guarded(read_form, form, path, {}) end,
  }
end

--- What a file says it is: "hilum run", "hilum study"; or nil, err.
function archive.format(path)
  local store <close>, err = archive.open(path) -- luacheck: ignore (closed at the end)
  if not store then return nil, err end
  local format
  format, err = store:attr("/", "format")
  if type(format) == "string" then return format end
  return nil, err or problem.new("format", path .. ": is no archive of hilum's")
end

--- How many epochs the run in a file has behind it, or nil where there is no such file.
function archive.epochs(path)
  local store <close> = archive.open(path) -- luacheck: ignore (closed at the end)
  local epoch = store and store:has "/state/epoch" and store:get "/state/epoch"
  return math.type(epoch) == "integer" and epoch or nil
end

local run_form = form_of(FORMAT, VERSION, "a run", archive.layout)

-- ---- what the curves say ----

-- The last and the best (first of equals) finite value of a column, with their rows.
local function last_and_best(values)
  local last, best
  if type(values) ~= "table" then return nil, nil end
  for i, value in pairs(values) do
    if math.type(i) ~= "integer" or type(value) ~= "number" or value ~= value then goto continue end
    if not last or i > last then last = i end
    if not best or value > values[best] or value == values[best] and i < best then best = i end
    ::continue::
  end
  return last, best
end

local function epoch_of(columns, row)
  local epochs = columns.epoch
  return type(epochs) == "table" and epochs[row] or row
end

--- The results that the curves hold: { validation = { dice_mean, epoch }, train = the same, best = the same },
--- each there as far as the curves are. Best is the first epoch with the highest validation Dice.
function archive.results(run)
  local columns, results = fields(fields(run.curves).epoch), {}
  local last, best = last_and_best(columns.dice_validation)
  if last then
    results.validation = { dice_mean = columns.dice_validation[last], epoch = epoch_of(columns, last) }
    results.best = { dice_mean = columns.dice_validation[best], epoch = epoch_of(columns, best) }
  end
  last = last_and_best(columns.dice_train)
  if last then results.train = { dice_mean = columns.dice_train[last], epoch = epoch_of(columns, last) } end
  return results
end

-- ---- writing and reading a run ----

--- Writes a run to a file, as a whole or not at all; true, or nil, err. `run` is a plain table with the keys of
--- archive.layout, all optional; an unknown key raises. /results is derived from the curves for other readers.
function archive.run_write(run, path)
  for key in pairs(run) do check_key(run_form, key) end
  local w <close> = filled(run_form, run)
  tree.write(w, "/results", archive.results(run))
  return w:save(path)
end

--- Reads what run_write wrote: an equal table; or nil, err. o.without: a list of keys that are not needed, for
--- example { "weights", "optimiser" }.
function archive.run_read(path, o)
  local without = {}
  for _, key in ipairs(o and o.without or {}) do
    check_key(run_form, key)
    without[key] = true
  end
  return guarded(read_form, run_form, path, without)
end

-- ---- telling people ----

-- The formatted text, or nil where the values are not there or not what the format takes.
local function said(format, ...)
  for i = 1, select("#", ...) do
    if select(i, ...) == nil then return nil end
  end
  local fine, text = pcall(string.format, format, ...)
  return fine and text or nil
end

local function count(value)
  return type(value) == "table" and #value or nil
end

--- What there is to say about a run, as a plain table (for JSON too).
function archive.summary(run)
  local state, provenance, split = fields(run.state), fields(run.provenance), fields(run.split)
  return {
    name = run.name, seed = run.seed, parameters = run.parameters, epochs = state.epoch,
    finished = state.finished, stopped = state.stopped, created = provenance.created, versions = provenance.versions,
    host = provenance.host, cpu = provenance.cpu, threads = provenance.threads, platform = provenance.platform,
    patients = run.split and { train = count(split.train), validation = count(split.validation) },
    cases = count(run.cases), data = run.data, metrics = run.metrics, interreader = run.interreader,
    memory = run.memory, checkpoints = state.epoch and { last = state.epoch, best = state.best_epoch } or nil,
    evaluation = run.evaluation,
    results = archive.results(run),
  }
end

local function joined(...)
  local parts = {}
  for i = 1, select("#", ...) do parts[#parts + 1] = select(i, ...) end
  return #parts > 0 and table.concat(parts, ", ") or nil
end

local function versions_text(versions)
  local parts = {}
  for key, version in pairs(fields(versions)) do parts[#parts + 1] = tostring(key) .. " " .. tostring(version) end
  table.sort(parts)
  return #parts > 0 and table.concat(parts, ", ") or nil
end

local function bytes_text(n)
  return type(n) == "number" and string.format("%.1f MiB", n / 2 ^ 20) or nil
end

local function dice_text(result)
  return result and said("%.3f after epoch %d", result.dice_mean, result.epoch)
end

-- One line for each metric of the validation cases.
local function add_metrics(lines, metrics)
  local names = {}
  for name in pairs(fields(metrics)) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local m = fields(metrics[name])
    local missing = m.undefined ~= 0 and said("not defined for %d", m.undefined) or nil
    lines[#lines + 1] = { "  " .. name, joined(said("%.3f mean", m.mean), said("%.3f median", m.median),
      said("%d cases", m.count), missing) }
  end
end

--- The summary as text for a terminal, with a line break at the end.
function archive.describe(run)
  local s = archive.summary(run)
  local r, data, agreement, memory = s.results, fields(s.data), fields(s.interreader), fields(s.memory)
  local checkpoints = fields(s.checkpoints)
  local lines = {
    { "experiment", joined(said("%s", s.name), said("seed %s", s.seed)) },
    { "state", joined(s.finished == true and "finished" or s.finished == false and "not finished" or nil,
      said("%d epochs", s.epochs), said("stopped by the hook %s", s.stopped)) },
    { "data", joined(said("%d cases", s.cases), s.patients and said("%d patients train, %d validate",
      s.patients.train, s.patients.validation), said("sha256 %.16s", data.hash)) },
    { "protocol", type(data.protocol) == "string" and data.protocol or nil },
    { "evaluation", said("the %s weights of %s, epoch %d", fields(s.evaluation).weights, fields(s.evaluation).archive,
      fields(s.evaluation).epoch) },
    { "parameters", said("%d", s.parameters) },
    { "Dice, validation", dice_text(r.validation) },
    { "  best", dice_text(r.best) },
    { "Dice, training", dice_text(r.train) },
    { "  between readers", said("%.3f", agreement.mean) },
    { "checkpoints", joined(said("last: epoch %d, with the optimiser", checkpoints.last),
      said("best: epoch %d, weights alone", checkpoints.best)) },
  }
  add_metrics(lines, s.metrics)
  for _, line in ipairs {
    { "memory", joined(said("planned %s", bytes_text(memory.planned)), said("measured %s",
      bytes_text(memory.measured))) },
    { "made", joined(said("%s", s.created), said("%s", s.host), said("%s", s.cpu), said("%d threads", s.threads)) },
    { "with", versions_text(s.versions) },
  } do lines[#lines + 1] = line end
  local text = {}
  for _, line in ipairs(lines) do
    if line[2] then text[#text + 1] = string.format("%-18s %s\n", line[1], line[2]) end
  end
  return table.concat(text)
end

return archive
