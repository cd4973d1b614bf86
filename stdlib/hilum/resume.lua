-- Going on with a run from its archive: what must be as it was, and putting everything back, so that a run that was
-- stopped at any moment ends with the bits of one that was not.

local archive = require "hilum.archive"
local archived = require "hilum.archived"
local engine = require "hilum.engine"
local experiment = require "hilum.experiment"
local problem = require "hilum.problem"
local provenance = require "hilum.provenance"

local resume = {}

-- ---- the experiment ----

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line:match("^%s*(.-),?%s*$") end
  return lines
end

-- The first line in which two programs differ: "epochs = 3" and "epochs = 5".
local function first_difference(a, b)
  local x, y = lines_of(a), lines_of(b)
  for i = 1, math.max(#x, #y) do
    if x[i] ~= y[i] then return x[i] or "nothing", y[i] or "nothing" end
  end
end

-- The same with another number of epochs.
local function with_epochs(text, n)
  return (text:gsub("(%f[%w]epochs = )%d+", "%1" .. n))
end

local function changed(path, what, was, is)
  return nil, problem.new("changed", string.format("%s: cannot be resumed: %s; in the archive: %s; now: %s", path, what,
    was, is))
end

-- The first module whose source is another; the script itself may change as long as its value does not.
local function other_module(run, record)
  local now = provenance.modules(record)
  local script = record and record.path:match("[^/\\]*$")
  local names = {}
  for _, list in ipairs { run.modules or {}, now } do
    for name in pairs(list) do names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local was, is = (run.modules or {})[name], now[name]
    if name ~= script and was and is and was.sha256 ~= is.sha256 then return name, was.sha256, is.sha256 end
  end
end

--- Whether the archived run at `path` is of this experiment. o: { record = the script's sources, extend = whether it
--- may have more epochs than were planned }. Returns true, or nil and a problem that names the first difference.
function resume.check_experiment(path, run, spec, o)
  if not run.experiment or not run.state or run.evaluation then
    return nil, problem.new("format", path .. ": cannot be resumed: it is not the archive of a training run")
  end
  local was, is = run.experiment, experiment.text(spec)
  local epochs = tonumber(was:match("%f[%w]epochs = (%d+)"))
  if o.extend and epochs and spec.train.epochs > epochs then was = with_epochs(was, spec.train.epochs) end
  local a, b = first_difference(was, is)
  if a and not archived.same_experiment(was, is) then
    local more = with_epochs(was, 0) == with_epochs(is, 0) and epochs and spec.train.epochs > epochs
    return changed(path, more and "the experiment has more epochs than were planned (--extend goes on with them)"
      or "the experiment is another one", a, b)
  end
  local name, old, new = other_module(run, o.record)
  if name then return changed(path, "the module " .. name .. " is another one", old:sub(1, 16), new:sub(1, 16)) end
  return true
end

-- True if the variants of an index are those named, each the same experiment but for the places of files.
local function same_variants(found, hashes)
  local n = 0
  for _ in pairs(hashes) do n = n + 1 end
  for _, variant in ipairs(found.variants) do
    if hashes[variant.name] ~= variant.sha256 then return false end
  end
  return n == #found.variants
end

--- The same for a study, its index and its variants: hashes of their experiments by name. With o.extend it may have
--- more variants and more epochs: the archive of each variant is checked by itself besides.
function resume.check_study(path, found, text, hashes, o)
  local a, b = first_difference(found.study, text)
  if a and not o.extend and not same_variants(found, hashes) then
    return changed(path, "the study is another one (--extend goes on with more variants or epochs)", a, b)
  end
  for _, variant in ipairs(a and found.variants or {}) do
    if not hashes[variant.name] then
      return changed(path, "the study is another one", "the variant " .. variant.name, "none of this name")
    end
  end
  local name, old, new = other_module(found, o.record)
  if name then return changed(path, "the module " .. name .. " is another one", old:sub(1, 16), new:sub(1, 16)) end
  return true
end

-- ---- the data ----

local function same_list(a, b)
  if #a ~= #b then return false end
  for i, x in ipairs(a) do
    if x ~= b[i] then return false end
  end
  return true
end

--- The same for the data and its division.
function resume.check_data(path, run, set, sides)
  local data, split = run.data or {}, run.split or {}
  if data.hash ~= set.hash then
    return changed(path, "the data is other data", tostring(data.hash):sub(1, 16), tostring(set.hash):sub(1, 16))
  end
  for _, side in ipairs { "train", "validation" } do
    if not same_list(split[side] or {}, sides[side]) then
      return changed(path, "the patients of one side are others", side, "another choice")
    end
  end
  return true
end

-- ---- putting back ----

--- What bits may depend on and is not as it was: lines for people.
function resume.remarks(run)
  local was, is, lines = run.provenance or {}, provenance.here(), {}
  local function compare(what, a, b)
    if a ~= nil and a ~= b then
      lines[#lines + 1] = string.format("%s: %s before, %s now: the last bits may differ", what, a, b)
    end
  end
  compare("processor", was.cpu, is.cpu)
  compare("threads", was.threads, is.threads)
  for name, version in pairs(was.versions or {}) do compare(name, version, is.versions[name]) end
  table.sort(lines)
  return lines
end

--- Puts weights, optimiser and counters back, and stores again what the guard had found unstable. ready: from
--- train.prepare.
function resume.restore(run, ready)
  ready.net:load_weights(run.weights.last)
  ready.step:load_state { tensors = run.optimiser, steps = run.state.step }
  for _, place in ipairs(run.state.kept or {}) do ready.step:keep(ready.guard:keep(place)) end
end

--- The archived run, or nil where there is no file; nil and a problem where it cannot be read.
function resume.read(path)
  if not engine.file_kind(path) then return nil end
  return archive.run_read(path)
end

return resume
