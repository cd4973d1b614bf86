-- The index of a study: one archive that says which variants there are, how far each is, and where its own archive
-- lies. docs/archive-format.md is the description for readers.

local archive = require "hilum.archive"
local json = require "hilum.json"
local problem = require "hilum.problem"

local index = {}

local FORMAT, VERSION = "hilum study", 1

--- What the index of a study can hold, as archive.layout says it for a run.
index.layout = {
  { key = "name", kind = "scalar", doc = "the study's name" },
  { key = "study", kind = "scalar", doc = "the study as a Lua program that builds the same value" },
  { key = "modules", kind = "tree", doc = "by name: source, sha256 of every script and module it loaded" },
  { key = "variants", kind = "rows", doc = "a row for each variant: name, settings, archive, sha256, state, results" },
  { key = "settings", kind = "tree", doc = "for each variant, in the same order: what it sets, by path" },
  { key = "provenance", kind = "tree", doc = "versions, host, cpu, threads, platform, created (UTC)" },
}

index.format = FORMAT

local form = archive.form(FORMAT, VERSION, "a study", index.layout)

-- The folder of a path, with its last slash.
local function folder_of(path)
  return path:match "^(.*/)[^/]*$" or ""
end

--- Where the runs of a study lie whose index is at `path`, seen from the index's folder: "NAME/".
function index.folder(path)
  return path:match("[^/]*$"):gsub("%.h5$", "") .. "/"
end

--- "seed = 1, train.epochs = 3" of { [path] = value }.
function index.settings_text(settings)
  local parts = {}
  for path, x in pairs(settings) do parts[#parts + 1] = path .. " = " .. tostring(x) end
  table.sort(parts)
  return table.concat(parts, ", ")
end

local function row_of(path, v)
  local folder, best, last = folder_of(path), v.best or {}, v.last or {}
  return { name = v.name, settings = index.settings_text(v.settings), archive = v.archive:sub(#folder + 1),
    sha256 = v.sha256, state = v.state, error = v.error, epochs = v.epochs, planned = v.planned,
    dice_best = best.dice_mean, epoch_best = best.epoch, dice_last = last.dice_mean }
end

--- Writes what index.read reads, as a whole or not at all; true, or nil and a problem.
function index.write(study, path)
  local rows, settings = {}, {}
  for i, v in ipairs(study.variants) do rows[i], settings[i] = row_of(path, v), v.settings end
  return form.write({ name = study.name, study = study.study, modules = study.modules, variants = rows,
    settings = settings, provenance = study.provenance }, path)
end

local function variant_of(path, row, settings)
  return {
    name = row.name, settings = settings or {}, archive = folder_of(path) .. row.archive,
    sha256 = row.sha256, state = row.state, error = row.error, epochs = row.epochs, planned = row.planned,
    best = row.dice_best and { dice_mean = row.dice_best, epoch = math.tointeger(row.epoch_best) },
    last = row.dice_last and { dice_mean = row.dice_last, epoch = row.epochs },
  }
end

--- See study.open.
function index.read(path)
  local found, err = form.read(path)
  if not found then return nil, err end
  local variants = {}
  for i, row in ipairs(found.variants or {}) do
    for _, key in ipairs { "name", "archive", "state" } do
      if type(row[key]) ~= "string" then
        return nil, problem.new("format", string.format("%s: /variants/%s: row %d is no text", path, key, i))
      end
    end
    variants[i] = variant_of(path, row, found.settings and found.settings[i])
  end
  return { name = found.name, study = found.study, modules = found.modules, provenance = found.provenance,
    variants = variants }
end

-- ---- telling people, and machines ----

--- What there is to say about a study, as a plain table (for JSON).
function index.table(study, path)
  return { name = study.name, index = path, created = (study.provenance or {}).created,
    variants = json.list(study.variants) }
end

local function dice_text(result)
  return result and type(result.dice_mean) == "number" and string.format("%.3f", result.dice_mean) or ""
end

-- Cells as lines with straight columns; the first row is the head.
local function aligned(rows)
  local widths, lines = {}, {}
  for _, row in ipairs(rows) do
    for k, cell in ipairs(row) do widths[k] = math.max(widths[k] or 0, utf8.len(cell) or #cell) end
  end
  for i, row in ipairs(rows) do
    local parts = {}
    for k, cell in ipairs(row) do parts[k] = cell .. (" "):rep(widths[k] - (utf8.len(cell) or #cell)) end
    lines[i] = table.concat(parts, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

index.aligned = aligned

--- The variants and how far each is, as a table for a terminal; what went wrong below it.
function index.describe(study)
  local rows, errors = { { "variant", "state", "epochs", "best Dice", "in epoch", "last Dice" } }, {}
  for i, v in ipairs(study.variants) do
    rows[i + 1] = { v.name, v.state, string.format("%s of %s", v.epochs or 0, v.planned or "?"),
      dice_text(v.best), v.best and tostring(v.best.epoch) or "", dice_text(v.last) }
    if v.error then errors[#errors + 1] = string.format("%s: %s", v.name, v.error) end
  end
  local text = string.format("study %s, %d variants\n%s", study.name, #study.variants, aligned(rows))
  return #errors == 0 and text or text .. "\n" .. table.concat(errors, "\n")
end

return index
