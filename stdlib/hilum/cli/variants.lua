-- hilum run for a study: its variants one after another, each into an archive of its own, and the index of them all,
-- written anew whenever one has got further.

local archive = require "hilum.archive"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local common = require "hilum.cli.common"
local index = require "hilum.study.index"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local provenance = require "hilum.provenance"
local resume = require "hilum.resume"
local value = require "hilum.value"

local variants = {}

-- ---- the index ----

-- Where the index lies: --out names it, or the folder it will be in.
local function place(out, name)
  if not out then return common.free_place(name) end
  if out:find "%.h5$" and engine.file_kind(out) ~= "folder" then return out end
  return (out:gsub("/+$", "")) .. "/" .. name .. ".h5"
end

local function settings_of(variant)
  local settings = {}
  for _, one in ipairs(variant.settings) do
    settings[one.path] = type(one.value) == "table" and value.canonical(one.value) or one.value
  end
  return settings
end

-- Where a variant stands: as the index found says, or at its beginning.
local function entry_of(variant, folder, found)
  local entry = found or { epochs = 0, state = "waiting" }
  entry.name, entry.settings, entry.archive = variant.name, settings_of(variant), folder .. variant.name .. ".h5"
  local planned, sha256 = variant.spec.train.epochs, value.hash(variant.spec)
  local as_planned = entry.planned == planned and entry.sha256 == sha256
  if entry.state == "finished" and not (as_planned and engine.file_kind(entry.archive)) then entry.state = "begun" end
  entry.planned, entry.sha256 = planned, sha256
  return entry
end

local function save(s)
  local fine, err = index.write(s.index, s.out)
  if not fine then error(problem.of(err), 0) end
end

-- The index that --resume goes on with, or nil where there is none.
local function found_index(s, text, record)
  if not engine.file_kind(s.out) then return nil end
  if not s.given.resume then common.refuse_existing(s.out) end
  local found, err = index.read(s.out)
  if not found then error(problem.of(err), 0) end
  local hashes = {}
  for _, variant in ipairs(s.variants) do hashes[variant.name] = value.hash(variant.spec) end
  local fine
  fine, err = resume.check_study(s.out, found, text, hashes, { record = record, extend = s.given.extend })
  if not fine then error(err, 0) end
  return found
end

-- The index in memory. Nothing that lies there already is overwritten.
local function begin(s, spec, record)
  local text, known = experiment.text(spec), {}
  local found = found_index(s, text, record)
  for _, entry in ipairs(found and found.variants or {}) do known[entry.name] = entry end
  s.index = { name = spec.name, study = text, modules = provenance.modules(record), variants = {},
    provenance = found and found.provenance or provenance.here() }
  local folder = (s.out:match "^(.*/)[^/]*$" or "") .. index.folder(s.out)
  for i, variant in ipairs(s.variants) do
    s.index.variants[i] = entry_of(variant, folder, known[variant.name])
    if not s.given.resume then common.refuse_existing(s.index.variants[i].archive) end
  end
  if found and not s.threads then s.threads = found.provenance and found.provenance.threads end
end

-- ---- how long it will take ----

local function count(s, what)
  local n = 0
  for _, entry in ipairs(s.index.variants) do n = n + what(entry) end
  return n
end

-- Seconds that the rest takes if its epochs are as long as those of this process were; nil before the first.
local function remaining(s)
  if s.epochs == 0 then return nil end
  local left = count(s, function(entry)
    return entry.state == "finished" and 0 or math.max(0, entry.planned - entry.epochs)
  end)
  return left * (engine.clock() - s.start) / s.epochs
end

-- "variant 3 of 12 (1:20 left in all)"
local function position(s, i)
  local left = remaining(s)
  return string.format("variant %d of %d%s", i, #s.variants, left and
    string.format(" (%s left in all)", progress.duration(left)) or "")
end

-- ---- one variant ----

local function note_results(entry, run)
  local results = archive.results(run)
  entry.best, entry.last = results.best, results.validation
end

-- After an epoch of a variant.
local function note_epoch(s, i, row, bar)
  local entry = s.index.variants[i]
  entry.epochs, entry.last = row.epoch, { dice_mean = row.dice_validation, epoch = row.epoch }
  if not entry.best or row.dice_validation > entry.best.dice_mean then entry.best = entry.last end
  s.epochs = s.epochs + 1
  bar.prefix = position(s, i) .. " "
  save(s)
end

-- What the archive says, which may be ahead of the index.
local function look(entry)
  local run = engine.file_kind(entry.archive) and archive.run_read(entry.archive,
    { without = { "weights", "optimiser", "panel", "drawn", "cases" } })
  if not run or type(run.state) ~= "table" then return end
  entry.epochs = run.state.epoch
  note_results(entry, run)
end

-- Runs one variant; a problem, or nil. The one that stops the whole study is raised.
local function attempt(s, i, record)
  local variant, entry = s.variants[i], s.index.variants[i]
  entry.state, entry.error = "begun", nil
  save(s)
  engine.threads(s.threads)
  engine.reset_peak()
  engine.reset_resident() -- each variant's own memory is told, not the largest so far
  local bar = s.bar(s.given)
  bar.prefix = position(s, i) .. " "
  local fine, err = xpcall(function()
    local lock <close> = s.take(entry.archive) -- luacheck: ignore (held until the end)
    s.one(variant.spec, record, entry.archive, s.given, { bar = bar, variant = variant.name,
      epoch = function(row) note_epoch(s, i, row, bar) end })
  end, problem.caught)
  bar:clear()
  collectgarbage()
  collectgarbage() -- the network of the one before is gone before the next is made
  look(entry)
  if fine or err.code == "figure" then entry.state = "finished" end
  if fine then return nil end
  if err.code ~= "cancelled" then
    entry.error = tostring(err)
    if entry.state ~= "finished" then entry.state = "failed" end
  end
  return err
end

local function finished(entry)
  return entry.state == "finished" and 1 or 0
end

-- What is kept when the study ends early.
local function stopped(s, err)
  return problem.new(err.code, string.format("%s\n%s: %d of %d variants are finished; --resume goes on with the others",
    tostring(err), s.out, count(s, finished), #s.variants))
end

local function train_all(s, record)
  for i, entry in ipairs(s.index.variants) do
    if engine.cancelled() then error(stopped(s, problem.new("cancelled", "interrupted")), 0) end
    s.say(string.format("%s: %s%s", position(s, i), entry.name, entry.state == "finished" and " is finished" or ""))
    if entry.state ~= "finished" then
      local err = attempt(s, i, record)
      save(s)
      if err and (err.code == "cancelled" or s.given["fail-fast"]) then error(stopped(s, err), 0) end
      if err then io.stderr:write("hilum: ", entry.name, ": ", tostring(err), "\n") end
    end
  end
end

-- ---- the command ----

local function tell(s)
  if s.given.json then
    local object = index.table(s.index, s.out)
    object.event = "study"
    common.emit_line(object)
  else
    print(index.describe(s.index))
    print("index         " .. s.out)
  end
end

--- Runs the study. o: { one, take, bar: what run.lua lends, threads or nil }.
function variants.run(spec, record, given, o)
  local out = place(given.out, spec.name)
  local lock <close> = o.take(out) -- luacheck: ignore (held until the end)
  local silent = given.quiet or given.json
  local s = { given = given, out = out, variants = spec:variants(), one = o.one, take = o.take, bar = o.bar,
    threads = o.threads, start = engine.clock(), epochs = 0, say = silent and function() end or print }
  begin(s, spec, record)
  s.threads = s.threads or engine.threads()
  save(s)
  train_all(s, record)
  tell(s)
  local bad = count(s, function(entry) return entry.error and 1 or 0 end)
  if bad == 0 then return 0 end
  error(problem.new("failed", string.format("%d of %d variants failed; --resume tries them again", bad,
    #s.variants)), 0)
end

return variants
