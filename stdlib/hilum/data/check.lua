-- What is missing or damaged in a folder of LIDC-IDRI, and what to do about it.
--
-- A finding is { kind, file, message }; check.ADVICE[kind] says what to do. What the index and the loaders complain
-- about is a finding, too; notes are not.

local cache = require "hilum.cache"
local engine = require "hilum.engine"
local problem = require "hilum.problem"
local tree = require "hilum.tree"

local check = {}

--- The complete collection. 0238 and 0585 do not exist; eight patients have two CT series.
check.COLLECTION = { patients = 1010, series = 1018, slices = 243958 }
local LAST_PATIENT, NO_PATIENT = 1012, { [238] = true, [585] = true }
local TWO_SERIES = { 132, 151, 315, 332, 355, 365, 442, 484 }
local PATIENT = "^LIDC%-IDRI%-(%d%d%d%d)$"

check.ADVICE = {
  ["file"] = "download these files again",
  ["series"] = "download these series again",
  ["reading"] = "download these readings (XML) again, or move the one away that is not wanted",
  ["reading without series"] = "download these series, or leave the readings: they are not used",
  ["series without reading"] = "download the XML of these series; without it they have no nodules and are left out",
  ["marks on no slice"] = "slices are missing, or the reading is of another copy of the series: download both again",
  ["patient"] = "download these patients",
}

-- ---- one series, in a process of its own ----

-- Marks whose slice is not there: { count, first = SOP UID }.
local function lost_marks(one, known)
  local marks, err = engine.read_marks(one.xml)
  if not marks then return { count = 0, err = err.message } end
  local count, first = 0, nil
  for _, mark in ipairs(marks:list()) do
    for _, roi in ipairs(mark.rois or {}) do
      if roi.sop_uid ~= "" and not known[roi.sop_uid] then count, first = count + 1, first or roi.sop_uid end
    end
  end
  return { count = count, first = first or "" }
end

-- Writes what is wrong with a series to a file.
local function look_at(one, headers_only, file)
  local series, err, more = engine.read_series(one.files, { header_only = headers_only, processes = 1 })
  local list = series and err or more or {}
  if not series then
    local first, text = one.files[1], err.message
    if text:sub(1, #first + 2) == first .. ": " then text = text:sub(#first + 3) end
    list[#list + 1] = { code = err.code, file = first, message = text, of_series = true }
    series = engine.read_series(one.files, { header_only = true, processes = 1 })
  end
  local lost = series and one.xml and lost_marks(one, series:info().sop_uids)
  local store <close> = engine.store()
  tree.write(store, "/found", { problems = list, lost = lost or nil })
  return store:save(file)
end

-- ---- findings ----

local function add(report, kind, file, text, ...)
  local list = report.findings
  list[#list + 1] = { kind = kind, file = file, message = string.format(text, ...) }
end

-- What a series' process wrote. The series' own error may repeat that of its first bad file.
local function add_found(report, one, found)
  local told = {}
  for _, p in ipairs(found.problems) do
    if p.code ~= "ok" and not told[p.message] and not told[p.message:match ": (.*)$"] then
      told[p.message] = true
      add(report, p.of_series and "series" or "file", p.file, "%s", p.message)
    end
  end
  local lost = found.lost
  if lost and lost.count > 0 then
    add(report, "marks on no slice", one.xml, "%d roi%s on slices that are not there (first: %s)", lost.count,
      lost.count == 1 and "" or "s", lost.first)
  end
end

-- Decodes (or reads the headers of) all series, several at once. Returns true, or nil and a problem.
local function look_at_series(report, series, o)
  local scratch <close>, err = engine.scratch()
  if not scratch then return nil, err end
  local folder, done, what = scratch:path(), 0, o.headers_only and "reading headers" or "decoding series"
  o.progress(0, #series, what)
  return engine.apart(#series, function(i) return look_at(series[i], o.headers_only, folder .. "/" .. i .. ".h5") end,
    function(i, why)
      local file = string.format("%s/%d.h5", folder, i)
      local store = not why and engine.store_open(file)
      local found = store and tree.read(store, "/found")
      if found then add_found(report, series[i], found) end
      if why then add(report, "series", series[i].files[1], "%s", why.message) end
      if store then store:close() end
      os.remove(file)
      done = done + 1
      o.progress(done, #series, what)
    end, { processes = o.processes or engine.host().processors, timeout_s = 3600, memory_bytes = 4 << 30 })
end

local function add_index(report, index)
  for _, p in ipairs(index.problems) do
    local series = p.message:find "^series .* is incomplete"
    local xml = p.message:find "^another reading of series" or p.file:lower():find "%.xml$"
    if p.code ~= "ok" and not series then -- the series itself says so, too
      add(report, xml and "reading" or "file", p.file, "%s", p.message)
    end
  end
  for _, xml in ipairs(index.xml) do
    if not xml.has_series and not xml.superseded then
      add(report, "reading without series", xml.file, "series %s is not here", xml.series_uid)
    end
  end
  for _, one in ipairs(index.series) do
    if not one.xml then
      add(report, "series without reading", one.files[1], "series %s of %s, %d slices", one.uid, one.patient,
        one.slices)
    end
  end
end

-- ---- the collection ----

-- Patients by their number, with how many series each has; how many patients are of another name.
local function patients_of(index)
  local numbers, all, others = {}, {}, 0
  for _, one in ipairs(index.series) do
    local number = one.patient:match(PATIENT)
    if number then numbers[tonumber(number)] = (numbers[tonumber(number)] or 0) + 1 end
    if not number and not all[one.patient] then others = others + 1 end
    all[one.patient] = true
  end
  local n = 0
  for _ in pairs(all) do n = n + 1 end
  return numbers, n, others
end

local function patient(number)
  return string.format("LIDC-IDRI-%04d", number)
end

-- "no CT of …" for the patients from `first` to `last`, those that never were apart; nil where there are none.
local function none_of(first, last)
  local n = 0
  for number = first, last do n = n + (NO_PATIENT[number] and 0 or 1) end
  if n == 1 then return "no CT of " .. patient(NO_PATIENT[first] and last or first) end
  return n > 1 and string.format("no CT of %s to %s (%d patients)", patient(first), patient(last), n) or nil
end

--- What the collection has and a folder lacks, as sentences. series: { [number of the patient] = its CT series }.
function check.missing(series)
  local list, first = {}, nil
  for number = 1, LAST_PATIENT + 1 do
    if number <= LAST_PATIENT and not series[number] then
      first = first or number
    elseif first then
      list[#list + 1] = none_of(first, number - 1)
      first = nil
    end
  end
  for _, number in ipairs(TWO_SERIES) do
    if series[number] == 1 then list[#list + 1] = patient(number) .. " has one CT series here, not two" end
  end
  return list
end

--- Everything that is missing or damaged below a folder: { folder, patients, series, slices, readings, decoded,
--- collection = what the complete one has, where this looks like part of it, findings }. o: { progress =
--- function(done, total, what), processes, headers_only = pixels are not decoded, complete = the whole collection is
--- expected, cache = folder or false }. Returns nil and a problem where nothing could be read.
function check.of(folder, o)
  local index, err = cache.index(folder, o.progress, o.cache)
  if not index then return nil, err end
  local numbers, patients, others = patients_of(index)
  local report = { folder = folder, patients = patients, series = #index.series, slices = index.ct_files,
    readings = index.ct_xml, headers_only = o.headers_only or nil, findings = {} }
  if next(numbers) and others == 0 then report.collection = check.COLLECTION end
  add_index(report, index)
  for _, text in ipairs(o.complete and check.missing(numbers) or {}) do add(report, "patient", folder, "%s", text) end
  local fine
  fine, err = look_at_series(report, index.series, o)
  if not fine then return nil, err end
  if engine.cancelled() then return nil, problem.new("cancelled", "stopped while checking") end
  table.sort(report.findings, function(a, b)
    if a.kind ~= b.kind then return a.kind < b.kind end
    if a.file ~= b.file then return a.file < b.file end
    return a.message < b.message
  end)
  return report
end

return check
