-- A set of cases made of units: what every source's open() gives.
--
-- A unit is what is prepared at once: a scan, a patient's folder. It is { file (what messages are about), identity
-- (text that changes when its files do), bytes (a guess at what its samples need on disk), read }. unit.read() gives a
-- part, or nil, a problem and more problems: part = { line (its lines in the set's hash), cases, samples, problems,
-- found, left_out }. A case is { patient, readers, … }; the set names it. A set is { cases, problems, hash, protocol,
-- found = what was counted on the way, by name, left_out = nodules that the protocol does not take, by reason,
-- prepared = { units, made = how many of them now, cache = its folder, or why there is none } } with set:load(i) ->
-- sample.
--
-- Parts are made by several processes at once, each of which puts them into the cache; samples are read from there
-- when they are asked for. Without a cache they are made one after the other and stay in memory.

local cache = require "hilum.cache"
local engine = require "hilum.engine"
local json = require "hilum.json"
local problem = require "hilum.problem"

local sets = {}

-- A scan may take minutes on a slow disk, and gigabytes where it is kept whole.
local LIMITS = { timeout_s = 3600, memory_bytes = 16 << 30 }

local Set = {}
Set.__index = Set

-- The entry of the cache is gone or damaged: the unit is prepared again.
local function made_anew(place)
  local part, err = place.unit.read()
  if not part then return nil, err end
  place.store:put(place.unit.key, part) -- if this fails, the next sample is made anew, too
  return part.samples[place.index]
end

--- The sample of case i: { image (f32), truth, valid (u8), readers = list (u8) }, all {1,1,z,y,x}; or nil and a
--- problem.
function Set:load(i)
  local place = self.places[i]
  if place.sample then return place.sample end
  return place.store:sample(place.unit.key, place.index) or made_anew(place)
end

local function note(set, file, text, ...)
  set.problems[#set.problems + 1] = { code = "ok", file = file, message = string.format(text, ...) }
end

-- The problem list may name the file of `err` already: a series reports each of its bad files.
local function report(set, err, file)
  for _, known in ipairs(set.problems) do
    if err.message == known.file .. ": " .. known.message then return end
  end
  set.problems[#set.problems + 1] = { code = err.code, file = file, message = err.message }
end

local function add_case(set, case, at)
  local n = (set.count[case.patient] or 0) + 1
  set.count[case.patient] = n
  case.id = case.id or string.format("%s-%s", case.patient, case.name or n)
  case.nodule = case.nodule or n
  if case.cut then note(set, case.id, "%s", case.cut) end
  case.cut, case.name = nil, nil
  set.cases[#set.cases + 1] = case
  set.places[#set.cases] = at
end

-- Adds what a unit came to: a part, or { failed, problems }.
local function add_part(set, unit, part, store)
  table.move(part.problems, 1, #part.problems, #set.problems + 1, set.problems)
  if part.failed then return report(set, part.failed, unit.file) end
  for i, case in ipairs(part.cases) do
    add_case(set, case, store and { store = store, unit = unit, index = i } or { sample = part.samples[i] })
  end
  for name, n in pairs(part.found) do set.found[name] = (set.found[name] or 0) + n end
  for reason, n in pairs(part.left_out or {}) do set.left_out[reason] = (set.left_out[reason] or 0) + n end
  set.lines[#set.lines + 1] = part.line
end

-- ---- parts from the cache ----

-- Notes were written for the folder as it was named then.
local function renamed(about, folder)
  local old = about.folder
  if old == folder then return about end
  local function rename(text)
    local from, to = text:find(old, 1, true)
    return from and text:sub(1, from - 1) .. folder .. text:sub(to + 1) or text
  end
  for _, one in ipairs(about.problems) do
    one.file, one.message = rename(one.file), rename(one.message)
  end
  return about
end

local function is_whole(about)
  return type(about.problems) == "table" and type(about.folder) == "string"
    and (type(about.failed) == "table" or type(about.cases) == "table" and type(about.found) == "table"
      and type(about.line) == "string")
end

local function from_cache(set, store, unit, folder)
  local about, err = store:about(unit.key)
  if about and is_whole(about) then return renamed(about, folder) end
  if about or err then
    note(set, unit.file, "its entry in the cache is damaged and made anew (%s)", err and err.message or unit.key)
  end
  return nil
end

-- In a process of its own: makes a part and keeps it. A failure that lies in the files' content is kept, too.
local function make(store, unit, folder)
  local part, err, more = unit.read()
  if not part and err.code ~= "format" then return nil, err end
  part = part or { failed = { code = err.code, message = err.message }, problems = more or {} }
  part.folder = folder
  return store:put(unit.key, part)
end

-- Makes all parts that are missing, several at once. Returns what failed { [unit] = problem }, or nil and a problem.
local function make_all(o, store, missing)
  local failed, done, total = {}, 0, #missing
  o.progress(0, total, o.what)
  local fine, err = engine.apart(total, function(i) return make(store, missing[i], o.folder) end,
    function(i, why)
      failed[missing[i]], done = why, done + 1
      o.progress(done, total, o.what)
    end,
    { processes = o.processes or engine.host().processors, timeout_s = LIMITS.timeout_s,
      memory_bytes = LIMITS.memory_bytes })
  if fine then return failed end
  if err.code ~= "cancelled" then return nil, err end
  return nil, problem.new("cancelled", string.format("stopped while %s: %d of %d are prepared and will be found in the "
    .. "cache next time", o.what, done, total))
end

local function bytes_of(units)
  local bytes = 0
  for _, unit in ipairs(units) do bytes = bytes + unit.bytes end
  return bytes
end

-- ---- opening ----

-- Makes the part here. Returns true, or nil and a problem that ends it all.
local function read_here(set, unit)
  local part, err, more = unit.read()
  if not part and (err.code == "cancelled" or err.code == "memory") then return nil, err end
  add_part(set, unit, part or { failed = err, problems = more or {} })
  if engine.cancelled() then return nil, problem.new("cancelled", "interrupted") end
  return true
end

-- Without a cache: all samples stay in memory.
local function open_in_memory(set, o)
  for i, unit in ipairs(o.units) do
    o.progress(i - 1, #o.units, o.what)
    local fine, err = read_here(set, unit)
    if not fine then return nil, err end
  end
  o.progress(#o.units, #o.units, o.what)
  return true
end

-- A unit whose process failed: what lies in the machine (a full disk) is tried again here, a crash is not.
local function add_failed(set, unit, err)
  if err.code == "io" or err.code == "disk" then
    note(set, unit.file, "is not kept in the cache (%s)", err.message)
    return read_here(set, unit)
  end
  add_part(set, unit, { failed = err, problems = {} })
  return true
end

local function open_cached(set, o, store)
  local parts, missing = {}, {}
  local program = cache.program()
  for _, unit in ipairs(o.units) do
    unit.key = cache.key(program, json.encode(o.protocol), unit.identity)
    parts[unit] = from_cache(set, store, unit, o.folder)
    if not parts[unit] then missing[#missing + 1] = unit end
  end
  set.prepared = { units = #o.units, made = #missing, cache = store.root }
  local fine, err, failed = true, nil, {}
  if #missing > 0 then
    fine, err = store:room_for(bytes_of(missing))
    if not fine then return "no room", err end
    if o.before then o.before(#missing, bytes_of(missing)) end
    failed, err = make_all(o, store, missing)
    if not failed then return nil, err end
  end
  for _, unit in ipairs(o.units) do
    local part = parts[unit] or not failed[unit] and from_cache(set, store, unit, o.folder)
    if part then
      add_part(set, unit, part, store)
    else
      fine, err = add_failed(set, unit, failed[unit] or problem.new("io", "its entry has gone"))
    end
    if not fine then return nil, err end
  end
  return true
end

local function nothing_usable(folder, set)
  local first = ""
  for _, one in ipairs(set.problems) do
    if one.code ~= "ok" then
      first = string.format("; first problem: %s: %s", one.file, one.message)
      break
    end
  end
  return nil, problem.new("data", string.format("%s: no nodule fits the experiment (%s)%s", folder,
    tostring(set.protocol), first))
end

-- Through the cache if there is one; if not, and nobody insists on it, without. Returns true, or nil and a problem.
local function open_somehow(set, o)
  if o.cache == false then return open_in_memory(set, o) end
  local store, err = cache.open(o.cache)
  local fine = store and "no room"
  if store then fine, err = open_cached(set, o, store) end
  if fine == true then return true end
  if store and not fine or o.strict then return nil, err end
  note(set, o.folder, "is prepared without a cache, in memory: %s", err.message)
  set.prepared = { units = #o.units, made = #o.units, why = err.message }
  return open_in_memory(set, o)
end

--- Prepares what is not prepared yet and gives the set, or nil and a problem. o: { folder, units, protocol, problems,
--- what = "reading scans" }; options, from who opens the source: { progress = function(done, total, what), cache =
--- folder or false for none, processes = at once, strict = true (no cache is a problem), before = function(number of
--- units that are to be made, bytes they may need) }.
function sets.open(o, options)
  local set = setmetatable({ cases = {}, places = {}, problems = o.problems or {}, protocol = o.protocol,
    found = {}, left_out = {}, count = {}, lines = {} }, Set)
  for _, name in ipairs { "cache", "processes", "strict", "before" } do o[name] = options and options[name] end
  o.progress = options and options.progress or function() end
  local fine, err = open_somehow(set, o)
  if not fine then return nil, err end
  if #set.cases == 0 then return nothing_usable(o.folder, set) end
  table.sort(set.lines)
  set.hash = engine.sha256(table.concat(set.lines))
  set.count, set.lines = nil, nil
  return set
end

return sets
