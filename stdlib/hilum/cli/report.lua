-- hilum report: everything about runs as one file for people.

local common = require "hilum.cli.common"
local document = require "hilum.report.document"
local engine = require "hilum.engine"
local html = require "hilum.report.html"
local markdown = require "hilum.report.markdown"
local problem = require "hilum.problem"
local read = require("hilum.cli.archives").read

local function write(path, text)
  local fine, err = engine.write_file(path, text)
  if not fine then error(problem.of(err), 0) end
end

-- Figures lie in a folder beside, named after the report.
local function write_markdown(out, blocks)
  local stem = out:gsub("%.%w+$", "")
  local folder = stem .. "-figures"
  local name, n = folder:match "[^/]*$", 0
  for _, block in ipairs(blocks) do
    if block.kind == "figure" then
      n = n + 1
      block.link = string.format("%s/%02d-%s.svg", name, n, block.name:gsub("_", "-"))
      common.folder_for(folder .. "/x")
      write(string.format("%s/%s", folder, block.link:match "[^/]*$"), block.svg)
    end
  end
  write(out, markdown.render(blocks))
end

return {
  name = "report",
  summary = "everything about a run, an evaluation, a study or several runs as one page",
  arguments = { { "RUN.h5", "archives of runs or of evaluations, or the index of a study" },
    { "[B.h5 …]", "more of them", several = true } },
  options = {
    { "out", "report.html", "the page, one file that refers to nothing outside; report.md: Markdown, its figures in a "
      .. "folder beside", short = "o" },
    { "title", "TEXT", "instead of the names of the runs" },
    { "reference", "NAME", 'differences are to this method, or to the "best" by Dice (default: the first)' },
  },
  notes = "Protocol, results with intervals and the readers' own agreement, strata, tests, figures, every case, what\n"
    .. "is not known, provenance, the experiments. An existing report is replaced as a whole.",
  run = function(given)
    local out = given.out
    if not out then error(problem.new("usage", "hilum report: --out is missing (report.html or report.md)"), 0) end
    local form = out:lower():match "%.(%w+)$"
    if form ~= "html" and form ~= "htm" and form ~= "md" then
      error(problem.new("usage", string.format("hilum report: %s: expected a name that ends in .html or .md", out)), 0)
    end
    local list, study = read(given, { "weights", "optimiser", "drawn" })
    for _, one in ipairs(list) do one.sha256 = engine.sha256_file(one.path) end
    local blocks, title = document.of(list, { study = study, title = given.title, reference = given.reference })
    if not blocks then error(problem.of(title), 0) end
    common.folder_for(out)
    if form == "md" then write_markdown(out, blocks) else write(out, html.render(blocks, title)) end
    print(out)
  end,
}
