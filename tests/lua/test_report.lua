-- Reports: text of strangers is text everywhere, figures are inside, an archive that holds anything still makes a page.

local t = require "tap"
local document = require "hilum.report.document"
local engine = require "hilum.engine"
local html = require "hilum.report.html"
local markdown = require "hilum.report.markdown"
local markup = require "hilum.report.markup"
local numbers = require "hilum.report.numbers"

-- ---- text ----

t.is(markup.html [[<b>&"'`]], "&lt;b&gt;&amp;&quot;&#39;&#96;", "HTML")
t.is(markup.html "a\27[2J\0\127\r", "a␛[2J␀␡␍", "control characters are shown")
t.is(markup.html "\xff\xc3(ä", "\u{FFFD}\u{FFFD}(ä", "bytes that are no UTF-8")
t.is(markup.html "\u{202E}txet", "\u{FFFD}txet", "no text turns its direction")
t.is(markup.markdown "a|b\n# c `d` [e](f) <g>", "a\\|b \\# c \\`d\\` \\[e\\](f) &lt;g&gt;", "Markdown on one line")
t.is(markup.fenced("x ``` y\n\n", "lua"), "````lua\nx ``` y\n````", "a fence longer than any inside")
t.is(markup.line "a\n\27b", "a ␛b", "a line for a terminal")

t.is(numbers.value(0.12345), "0.123", "numbers")
t.is(numbers.value(12345.6), "12346", "large ones")
t.is(numbers.value(0 / 0), "–", "none")
t.is(numbers.signed(0.5), "+0.500", "signs")
t.is(numbers.p(0.0001), "< 0.001", "small probabilities")
t.is(numbers.interval { low = 0.1, high = 0.2 }, "0.100 to 0.200", "intervals")

-- ---- a run in which every text is hostile ----

local EVIL = "</title><script>alert(1)</script>`\"'\n]]>\27[2J|*x*\u{202E}"

local function picture(n)
  local p = engine.zeros { n, n }
  p:set(2, 2, 1)
  return p
end

local function evil_run(name)
  local run = {
    name = name, seed = 1, state = { finished = true, epoch = 2 }, split = { train = { EVIL .. 0 }, validation = {} },
    data = { hash = EVIL, protocol = EVIL }, experiment = "-- ``` " .. name .. EVIL, parameters = 3,
    metrics = { dice = { better = "higher" }, [EVIL] = { better = "lower" } }, cases = {},
    provenance = { host = EVIL, cpu = EVIL, versions = { [EVIL] = EVIL } }, modules = { [EVIL] = { sha256 = EVIL } },
    curves = { epoch = { epoch = { 1, 2 }, dice_train = { 0.5, 0.6 }, dice_validation = { 0.4, 0.5 } } },
    interreader = { mean = 0.8 }, calibration = { count = { 5, 5 }, mean = { 0.2, 0.8 }, share = { 0.1, 0.9 } },
    panel = { { id = EVIL, dice = 0.5, image = picture(8), truth = picture(8), prediction = picture(8) } },
  }
  for i = 1, 6 do
    run.split.validation[i] = EVIL .. i
    run.cases[i] = { id = EVIL .. i, patient = EVIL .. i, role = "validation", diameter_mm = 3.0 * i, readers = 3,
      dice = 0.1 * i, interreader = 0.8, [EVIL] = 1.0 * i, truth_mm3 = 5.0 * i, predicted_mm3 = 4.0 * i }
  end
  return run
end

local function one(name)
  return { run = evil_run(name), path = EVIL .. ".h5", sha256 = ("0"):rep(64) }
end

-- What a page must never hold.
local function check(page, what)
  t.ok(not page:lower():find("<script", 1, true), what .. ": no script")
  t.ok(not page:find "[%z\1-\8\11-\31\127]", what .. ": no control characters")
  t.ok(utf8.len(page), what .. ": UTF-8")
  t.ok(page:find("alert(1)", 1, true), what .. ": shown as text")
end

local function check_html(page, what)
  check(page, what)
  t.is(select(2, page:gsub("</title>", "")), 1, what .. ": one title")
  t.is(select(2, page:gsub("<body>", "")), 1, what .. ": one body")
  for _, tag in ipairs { "table", "tr", "figure", "svg", "p", "h1", "h2", "li", "pre" } do
    local opened = select(2, page:gsub("<" .. tag .. "[ >]", "")) + select(2, page:gsub("<" .. tag .. "\n", ""))
    t.is(opened, select(2, page:gsub("</" .. tag .. ">", "")), string.format("%s: every <%s> is closed", what, tag))
  end
  t.ok(not page:find "[%s]src=" and not page:find "url%(h" and not page:find "href=[\"'][^#d]"
    and not page:find "@import" and not page:find("http", 1, true), what .. ": refers to nothing outside")
  local ids, twice = {}, nil
  for id in page:gmatch "%sid=[\"']([^\"']*)" do
    twice = ids[id] and id or twice
    ids[id] = true
  end
  t.is(twice, nil, what .. ": figures share no names")
  for id in page:gmatch "href=[\"']#([^\"']*)" do
    if not ids[id] then t.ok(false, what .. ": a reference to nothing: " .. id) end
  end
end

local blocks, title = assert(document.of({ one(EVIL) }, {}))
local page = html.render(blocks, title)
check_html(page, "one run")
t.ok(select(2, page:gsub("<svg", "")) >= 3, "with figures inside")
t.like(page, "What is not known", "says what is not known")
t.like(page, "fewer than 20", "such as the few patients")
t.like(page, "It cannot be rebuilt here", "and that its experiment is no program")
t.like(page, "expected calibration error 0%.100", "calibration")

blocks, title = assert(document.of({ one "a", one(EVIL) }, { title = EVIL, study = { name = EVIL, variants = {
  { name = EVIL, state = EVIL, error = EVIL, epochs = 3 } } } }))
page = html.render(blocks, title)
check_html(page, "two runs")
t.like(page, "Differences to a<", "with differences")
t.like(page, "Wilcoxon", "and the test's name")

for i, block in ipairs(blocks) do
  if block.kind == "figure" then block.link = "figures/" .. i .. ".svg" end
end
local text = markdown.render(blocks)
check(text:gsub("\n````+lua\n.-\n````+\n", "\n"), "Markdown")
t.is(select(2, text:gsub("\n````+lua\n", "")), 2, "programs are fenced by more than they hold") -- they hold three
t.like(text, "\n| metric | method | mean |", "with tables")
t.like(text, "\n!%[", "and figures")
for line in text:gmatch "[^\n]+" do
  if line:find "^| " and not line:find "^| %-%-%-" then
    local cells = line:gsub("\\|", "")
    if not cells:find "|$" then t.ok(false, "a row that ends elsewhere: " .. line) end
  end
end

-- ---- archives that hold anything ----

local odd = one "odd"
odd.run.calibration, odd.run.panel, odd.run.curves = { count = "x" }, { 7 }, 3
odd.run.provenance, odd.run.modules, odd.run.parameters = 5, { a = 1 }, {}
odd.run.metrics, odd.run.experiment, odd.run.seed = { dice = 3 }, nil, {}
local fine, found = pcall(document.of, { odd }, {})
t.ok(fine and type(found) == "table", "an archive that holds anything: " .. tostring(found))
local none, why = document.of({ one "a", { run = { state = { finished = true } }, path = "b.h5" } }, {})
t.ok(none == nil and why.code == "data", "runs that may not be compared")

t.done()
