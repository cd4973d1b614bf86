-- hilum compare: several runs, or the variants of a study, on the same cases.

local aligned = require("hilum.study.index").aligned
local common = require "hilum.cli.common"
local comparison = require "hilum.comparison"
local json = require "hilum.json"
local markdown = require "hilum.report.markdown"
local markup = require "hilum.report.markup"
local problem = require "hilum.problem"
local runs_of = require("hilum.cli.archives").read
local tables = require "hilum.report.tables"

-- For machines: no rows of cases, no runs.
local function plain(c)
  local methods = {}
  for i, m in ipairs(c.methods) do
    methods[i] = { label = m.label, archives = m.paths, seeds = m.seeds, metrics = m.metrics }
  end
  return { cases = c.cases, patients = c.patients, readers = c.readers, readers_count = c.readers_count,
    reference = c.reference, methods = methods, differences = json.list(c.differences) }
end

-- Names in archives may be anybody's: none commands a terminal.
local function lines_of(cells)
  local safe = {}
  for i, cell in ipairs(cells) do safe[i] = markup.line(cell) end
  return safe
end

local function text_of(t)
  local rows = { lines_of(t.head) }
  for i, row in ipairs(t.rows) do rows[i + 1] = lines_of(row) end
  return markup.line(t.title) .. "\n" .. aligned(rows) .. "\n" .. t.note
end

local function head_of(c)
  return string.format("%d method%s on %d cases of %d patients%s", #c.methods, #c.methods == 1 and "" or "s", c.cases,
    c.patients, c.readers and string.format("; readers' Dice on %d of them: %.3f", c.readers_count, c.readers) or "")
end

local function tables_of(c)
  return { tables.methods(c), tables.differences(c) or nil }
end

local function as_markdown(c)
  local blocks = { { kind = "paragraph", text = head_of(c) } }
  for _, t in ipairs(tables_of(c)) do
    blocks[#blocks + 1] = { kind = "heading", level = 2, text = t.title }
    t.kind = "table"
    blocks[#blocks + 1] = t
  end
  return markdown.render(blocks)
end

local function as_text(c)
  local parts = { head_of(c) }
  for _, t in ipairs(tables_of(c)) do parts[#parts + 1] = text_of(t) end
  return table.concat(parts, "\n\n") .. "\n"
end

-- The figures of several runs, in a folder.
local function draw(list, folder)
  local runs, figure = {}, require "hilum.figure"
  for i, one in ipairs(list) do runs[i] = one.run end
  common.folder_for(folder .. "/x")
  return common.draw(runs, figure.names(figure.of_runs), folder .. "/compare", { lenient = true })
end

return {
  name = "compare",
  summary = "several runs on the same cases: means, intervals, differences, tests",
  arguments = { { "A.h5", "archives of runs or of evaluations, or the index of a study" },
    { "[B.h5 …]", "more of them", several = true } },
  options = {
    { "reference", "NAME", 'differences are to this method, or to the "best" by Dice (default: the first)' },
    { "out", "DIR", "folder for figures (default: none are drawn)", short = "o" },
    { "markdown", nil, "tables in Markdown" },
    { "json", nil, "one JSON object" },
  },
  notes = "Runs are compared case by case: data, protocol, split and cases must be the same, and the first difference\n"
    .. "is named where they are not. Runs that differ in nothing but the seed are one method.",
  run = function(given)
    local list = runs_of(given, { "weights", "optimiser", "panel", "drawn" })
    local c, err = comparison.of(list, { reference = given.reference })
    if not c then error(problem.of(err), 0) end
    local files, problems = {}, {}
    if given.out then files, problems = draw(list, given.out) end
    if given.json then
      local found = plain(c)
      found.figures = json.list(files)
      common.emit(found)
    else
      io.stdout:write((given.markdown and as_markdown or as_text)(c))
      for _, file in ipairs(files) do io.stdout:write(given.markdown and "" or "figure        " .. file .. "\n") end
    end
    if #problems > 0 then error(problem.new("figure", table.concat(problems, "\n")), 0) end
  end,
}
