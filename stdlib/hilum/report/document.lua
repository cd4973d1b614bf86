-- A report as a list of blocks, which html.lua and markdown.lua write: { kind = "heading", level, text }, "paragraph",
-- "list" { items }, "table" (see tables.lua), "code" { text, language }, "figure" { caption, name, svg }.

local archived = require "hilum.archived"
local comparison = require "hilum.comparison"
local engine = require "hilum.engine"
local figure = require "hilum.figure"
local metric = require "hilum.metric"
local results = require "hilum.results"
local tables = require "hilum.report.tables"
local words = require "hilum.report.words"

local document = {}

local Blocks = {}
Blocks.__index = Blocks

function Blocks:add(kind, block)
  block.kind = kind
  self[#self + 1] = block
end

function Blocks:heading(level, text) self:add("heading", { level = level, text = text }) end
function Blocks:paragraph(text) self:add("paragraph", { text = text }) end

-- A table with its title; nothing for nil.
function Blocks:titled(t, level)
  if not t then return end
  if t.title then self:heading(level or 3, t.title) end
  self:add("table", t)
end

function Blocks:pairs(list, head)
  if #list > 0 then self:add("table", { head = head, rows = list, words = 2 }) end
end

-- ---- figures ----

local function read_file(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

-- Draws in a folder of its own; what cannot be drawn is said in the report.
local function add_figure(blocks, one, what, o)
  local name, caption = one[1], one[2]
  local base = string.format("%s/%d", o.scratch:path(), #blocks)
  local files, err = figure.draw(name, what, base, { "svg" })
  if files then
    local text = o.label and o.label .. ": " .. caption or caption:sub(1, 1):upper() .. caption:sub(2)
    blocks:add("figure", { name = name, caption = text .. ".", svg = read_file(files[1]) })
  elseif err.code ~= "data" then
    blocks:paragraph(string.format("The figure %s could not be drawn: %s", name, err.message))
  end
end

local OF_EACH = { slices = true, dice_by_size = true, bland_altman = true, reliability = true, scales = true }

local function add_figures(blocks, list, methods, scratch)
  blocks:heading(2, "Figures")
  if #methods == 1 and #list == 1 then
    for _, one in ipairs(figure.of_run) do add_figure(blocks, one, list[1].run, { scratch = scratch }) end
    return
  end
  local runs = {}
  for i, one in ipairs(list) do runs[i] = one.run end
  for _, one in ipairs(figure.of_runs) do add_figure(blocks, one, runs, { scratch = scratch }) end
  for _, m in ipairs(methods) do
    for _, one in ipairs(figure.of_run) do
      if OF_EACH[one[1]] then add_figure(blocks, one, m.runs[1], { scratch = scratch, label = m.label }) end
    end
  end
end

-- ---- protocol ----

-- What all methods share, and what differs, as one table.
local function add_protocols(blocks, methods)
  local by_name, order = {}, {}
  for k, m in ipairs(methods) do
    for _, pair in ipairs(words.protocol(m.runs[1], m.spec)) do
      if not by_name[pair[1]] then
        by_name[pair[1]], order[#order + 1] = {}, pair[1]
      end
      by_name[pair[1]][k] = pair[2]
    end
  end
  local shared, different = {}, { words = #methods + 1, head = { "" }, rows = {} }
  for k, m in ipairs(methods) do different.head[k + 1] = m.label end
  for _, name in ipairs(order) do
    local texts, same = by_name[name], true
    for k = 1, #methods do same = same and texts[k] == texts[1] end
    if same then
      shared[#shared + 1] = { name, texts[1] }
    else
      local row = { name }
      for k = 1, #methods do row[k + 1] = texts[k] or "–" end
      different.rows[#different.rows + 1] = row
    end
  end
  blocks:pairs(shared, { "", #methods > 1 and "all methods" or "" })
  if #different.rows > 0 then
    blocks:heading(3, "What differs")
    blocks:add("table", different)
  end
end

-- Its experiment as a value, and why there is none.
local function rebuild(m)
  local spec, err = archived.experiment(m.runs[1], m.paths[1])
  m.spec, m.broken = spec, err and err.message
end

local function add_metrics(blocks, spec)
  local list = words.metrics(spec)
  if #list == 0 then return end
  blocks:heading(3, "What the metrics mean")
  blocks:pairs(list, { "metric", "" })
end

-- ---- parts ----

local function add_calibration(blocks, m)
  local columns = m.runs[1].calibration
  local fine, ece = pcall(metric.ece, type(columns) == "table" and columns or { count = {} })
  if fine and ece then
    blocks:paragraph(string.format("Calibration of %s: expected calibration error %.3f over the valid voxels of the "
      .. "validation cases (ten equal intervals of the probability; Naeini and others, AAAI 2015).", m.label, ece))
  end
end

local function add_provenance(blocks, list)
  blocks:heading(2, "Provenance")
  for _, one in ipairs(list) do
    if #list > 1 then blocks:heading(3, one.variant or one.path) end
    blocks:pairs(words.provenance(one), { "", "" })
  end
end

local function add_programs(blocks, methods)
  blocks:heading(2, #methods == 1 and "The experiment" or "The experiments")
  for _, m in ipairs(methods) do
    if #methods > 1 then blocks:heading(3, m.label) end
    if m.broken then blocks:paragraph("It cannot be rebuilt here: " .. m.broken) end
    blocks:add("code", { text = tostring(m.runs[1].experiment or ""), language = "lua" })
  end
end

local function most_seeds(methods)
  local most = 0
  for _, m in ipairs(methods) do most = math.max(most, #m.seeds) end
  return most
end

local function add_study(blocks, study)
  local rows = {}
  for i, v in ipairs(study.variants) do
    rows[i] = { v.name, v.state, tostring(v.epochs or 0), v.error or "" }
  end
  blocks:titled({ title = "The study's variants", words = 4, head = { "variant", "state", "epochs", "error" },
    rows = rows })
end

-- Dice of every case by every method, the hardest first.
local function cases_of_methods(c)
  local t = { title = "Cases", words = 2, head = { "case", "patient", "diameter_mm", "readers", "interreader" },
    rows = {} }
  local order = {}
  for k, m in ipairs(c.methods) do t.head[5 + k] = m.label end
  for i in ipairs(c.methods[1].rows) do
    local sum = 0
    for _, m in ipairs(c.methods) do sum = sum + (m.rows[i].dice or 0) end
    order[i] = { i, sum }
  end
  table.sort(order, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return a[1] < b[1]
  end)
  local number = require("hilum.report.numbers").value
  for n, one in ipairs(order) do
    local row = c.methods[1].rows[one[1]]
    t.rows[n] = { row.id, row.patient, number(row.diameter_mm), number(row.readers), number(row.interreader) }
    for k, m in ipairs(c.methods) do t.rows[n][5 + k] = number(m.rows[one[1]].dice) end
  end
  t.note = "Dice of each method. The sum over the methods decides the order, the hardest case first."
  return t
end

-- ---- the whole ----

local function of_one(blocks, list, methods, scratch)
  local run = list[1].run
  local rows = results.rows(run)
  blocks:paragraph(words.result(run))
  blocks:heading(2, "Protocol")
  add_protocols(blocks, methods)
  add_metrics(blocks, methods[1].spec)
  blocks:titled(tables.metrics(run, rows), 2)
  blocks:titled(tables.lesions(run, rows))
  blocks:titled(tables.strata(rows))
  add_calibration(blocks, methods[1])
  add_figures(blocks, list, methods, scratch)
  blocks:titled(tables.cases(run, rows), 2)
end

local function of_several(blocks, list, c, scratch)
  local methods = c.methods
  for _, m in ipairs(methods) do
    blocks:paragraph(m.label .. ": " .. words.result { cases = m.rows })
  end
  blocks:heading(2, "Protocol")
  add_protocols(blocks, methods)
  add_metrics(blocks, methods[1].spec)
  blocks:heading(2, "Results")
  blocks:titled(tables.methods(c))
  blocks:titled(tables.differences(c))
  blocks:titled(tables.method_strata(c))
  for _, m in ipairs(methods) do add_calibration(blocks, m) end
  add_figures(blocks, list, methods, scratch)
  blocks:titled(cases_of_methods(c), 2)
end

local function title_of(list, methods, study)
  if study then return "Study " .. tostring(study.name) end
  local names = {}
  for i, m in ipairs(methods) do names[i] = m.label end
  return (list[1].run.evaluation and "Evaluation of " or "Report on ") .. table.concat(names, ", ")
end

--- The report on archives { { run, path, sha256, variant }, … }: a list of blocks, and its title; or nil and a problem.
--- o: { study = its index, title, reference }.
function document.of(list, o)
  local c, err = comparison.of(list, o)
  if not c then return nil, err end
  local scratch <close>, failure = engine.scratch()
  if not scratch then return nil, failure end
  local blocks = setmetatable({}, Blocks)
  for _, m in ipairs(c.methods) do rebuild(m) end
  local all = list -- the files themselves
  list = c.list
  local title = o.title or title_of(list, c.methods, o.study)
  blocks:heading(1, title)
  blocks:paragraph(string.format("Written by hilum %s, %s.", engine.version, os.date "!%Y-%m-%d %H:%M UTC"))
  if #list == 1 then of_one(blocks, list, c.methods, scratch) else of_several(blocks, list, c, scratch) end
  blocks:heading(2, "What is not known")
  blocks:add("list", { items = words.unknown(list, most_seeds(c.methods)) })
  if o.study then add_study(blocks, o.study) end
  add_provenance(blocks, all)
  add_programs(blocks, c.methods)
  return blocks, title
end

return document
