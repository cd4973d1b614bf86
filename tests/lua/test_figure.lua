-- Figures: drawn from a run's table, whatever its texts are; contours against what is known.
local t = require "tap"
local bland_altman = require "hilum.figure.bland_altman"
local contour = require "hilum.contour"
local engine = require "hilum.engine"
local figure = require "hilum.figure"
local gnuplot = require "hilum.gnuplot"
local overfitting = require "hilum.overfitting"

local scratch = engine.scratch()
local function file(name) return scratch:path() .. "/" .. name end

local function bytes_of(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

-- ---- contours ----

-- Twice the area within a closed line, positive if it runs clockwise on the screen.
local function area2(line)
  local sum = 0
  for i = 1, #line - 1 do sum = sum + line[i][1] * line[i + 1][2] - line[i + 1][1] * line[i][2] end
  return sum
end

local function lines_of(rows, level)
  return contour.lines(function(y, x) return rows[y][x] end, #rows, #rows[1], level or 0.5)
end

do
  t.same(lines_of { { 0, 0 }, { 0, 0 } }, {}, "nothing has no outline")
  local lines = lines_of { { 1 } }
  t.is(#lines, 1, "one pixel has one")
  t.is(#lines[1], 5, "with four corners")
  lines = lines_of { { 1, 1, 1 }, { 1, 0, 1 }, { 1, 1, 1 } }
  t.is(#lines, 2, "a ring has two")
  lines = lines_of { { 1, 0 }, { 0, 1 } }
  t.ok(#lines == 1 or #lines == 2, "two pixels that touch at a corner")
  local n, closed = 0, 0
  math.randomseed(5)
  for _ = 1, 50 do
    local rows = {}
    for y = 1, 9 do
      rows[y] = {}
      for x = 1, 11 do rows[y][x] = math.random(0, 1) end
    end
    for _, line in ipairs(lines_of(rows)) do
      n = n + 1
      local a, b = line[1], line[#line]
      if a[1] == b[1] and a[2] == b[2] then closed = closed + 1 end
    end
  end
  t.is(closed, n, n .. " lines around noise, all closed")
  local disc = contour.lines(function(y, x) return 12.5 - math.sqrt((x - 20.3) ^ 2 + (y - 19.7) ^ 2) end, 40, 40, 0.5)
  t.is(#disc, 1, "a disc has one outline")
  t.near(math.abs(area2(disc[1]) / 2), math.pi * 144, 1, "that encloses its area")
end

-- ---- text ----

t.is(gnuplot.shortened("short", 10), "short", "short text stays")
t.is(gnuplot.shortened("abcdefghijklm", 7), "abc…klm", "in long text the middle gives way")
t.is(gnuplot.shortened("a\tb\nc", 9), "a b c", "control characters are blanks")
t.is(gnuplot.shortened("caf\xe9 ü", 9), "caf\u{FFFD} ü", "bytes that are no UTF-8 are shown as such")

-- ---- figures ----

local hostile = [[a "b" `touch X` $(touch Y) \n {x}_a^b & <b> 直径 %s]] .. "\ntwo\ttab"

local function sample_run(epochs, name)
  local c = { epoch = {}, dice_train = {}, dice_validation = {} }
  for i = 1, epochs do
    c.epoch[i], c.dice_train[i], c.dice_validation[i] = i, 1 - 1 / (i + 1), 0.8 - 0.7 / i
  end
  return { name = name, seed = 1, cases = { { id = "b", diameter_mm = 7.5 } }, curves = { epoch = c },
    split = { train = { "p" }, validation = { "q" } }, interreader = { mean = 0.78 } }
end

local function column(id, size, dice)
  local image, truth = engine.zeros { size, size }, engine.zeros({ size, size }, { dtype = "u8" })
  local prediction = engine.zeros { size, size }
  for y = 1, size do
    for x = 1, size do
      local d = math.sqrt((x - size / 2) ^ 2 + (y - size / 2) ^ 2)
      image:set(y, x, d)
      truth:set(y, x, d < 5 and 1 or 0)
      prediction:set(y, x, 1 / (1 + math.exp(d - 4)))
    end
  end
  return { id = id, image = image, truth = truth, prediction = prediction, dice = dice, spacing_mm = { 1, 1 } }
end

local function escaped(text)
  return (text:gsub("&", "&amp;"):gsub("<", "&lt;"))
end

-- Both files are there, and the picture is one of at least this size.
local function check_files(files, err, name, width)
  if not t.ok(files, name .. ": drawn") then return t.diag(tostring(err)) end
  t.is(#files, 2, name .. ": two files")
  t.like(files[1], "%.svg$", name .. ": SVG")
  t.like(bytes_of(files[1]), "^<%?xml.*</svg>%s*$", name .. ": complete")
  local picture = assert(engine.png_read(files[2], { grey = true }))
  t.is(picture.shape[2], width, name .. ": width of the PNG")
  local stats = picture:stats()
  t.ok(stats.max == 255 and stats.min < 60 and stats.mean > 60, name .. ": is drawn on white")
end

local has_gnuplot = os.execute "gnuplot --version >/dev/null 2>&1"

if has_gnuplot then
  local files, err = figure.draw("dice_curves", sample_run(40, hostile), file "curves")
  check_files(files, err, "curves", 1200)
  local svg = bytes_of(file "curves.svg")
  for _, want in ipairs { 'a "b" `touch X` $(touch Y) \\n {x}_a^b & <b> 直径 %s two tab', "training", "validation",
    "best epoch", "40: 0.783", "readers", "0.780" } do
    t.ok(svg:find(escaped(want), 1, true), "the SVG shows: " .. want)
  end
  t.ok(not svg:find("Gnuplot</title>", 1, true), "no tool tip of gnuplot's")
  t.ok(not engine.exists "X" and not engine.exists "Y", "text in backticks is not run")
  for _, epochs in ipairs { 1, 2, 3, 300 } do
    check_files(figure.draw("dice_curves", sample_run(epochs, "n"), file "n"), nil, epochs .. " epochs", 1200)
  end
  local bare = sample_run(3, nil)
  bare.split, bare.cases, bare.seed, bare.interreader, bare.curves.epoch.dice_validation = nil, nil, nil, nil, nil
  check_files(figure.draw("dice_curves", bare, file "bare"), nil, "training alone", 1200)
  local gaps = sample_run(5, "gaps")
  gaps.curves.epoch.dice_validation = { [2] = 0.5, [4] = 0 / 0 }
  check_files(figure.draw("dice_curves", gaps, file "gaps"), nil, "cells that are missing", 1200)
  local before = bytes_of(file "curves.png")
  figure.draw("dice_curves", sample_run(40, hostile), file "curves")
  t.ok(bytes_of(file "curves.png") == before, "the same figure is the same file")
end

if has_gnuplot then
  local run = sample_run(2, "panel")
  run.panel = { column(hostile, 40, 0.5), column("b", 24, 0.25), column("LIDC-IDRI-0001/nodule-12", 9, 1.0),
    column("`touch Y`", 24, 0.5) }
  local empty = column("empty", 30, 1.0)
  empty.truth:fill(0)
  empty.prediction:fill(0)
  empty.image:fill(7)
  empty.spacing_mm = nil
  run.panel[5] = empty
  run.panel[6] = column("nan", 16, 0 / 0)
  run.panel[6].prediction:set(3, 3, 0 / 0)
  local files, err = figure.draw("slices", run, file "panel")
  check_files(files, err, "panel", 1200)
  local svg = bytes_of(file "panel.svg")
  for _, want in ipairs { "`touch Y`", "Dice 0.50", "Dice 1.00", "7.5 mm", "5 mm", "nodule-12", "annotation" } do
    t.ok(svg:find(escaped(want), 1, true), "the SVG shows: " .. want)
  end
  t.ok(not engine.exists "X" and not engine.exists "Y", "ids in backticks are not run")
  run.panel = { column("one", 20, 0.5) }
  t.ok(figure.draw("slices", run, file "one"), "a panel of one column")
  for i = 1, 12 do run.panel[i] = column("n" .. i, 20, 0.5) end
  check_files(figure.draw("slices", run, file "many"), nil, "many columns", 1200)
end

-- ---- over-fitting, by the rule ----

local function curves_of(n, validation, train)
  local c = { epoch = {}, dice_train = {}, dice_validation = {}, seconds = {}, loss_train = {}, loss_validation = {} }
  for e = 1, n do
    c.epoch[e], c.dice_validation[e], c.dice_train[e] = e, validation(e), train(e)
    c.seconds[e], c.loss_train[e], c.loss_validation[e] = 2.5, 1 / e, 1.2 / e
  end
  return c
end

local function rising(e) return 1 - 0.8 / (e + 1) end

do
  local begins, fall = overfitting.begins(curves_of(60, function(e) return 0.8 - 0.002 * math.abs(e - 30) end, rising))
  t.is(begins, 30, "over-fitting begins at the peak")
  t.near(fall, 0.002 * 28 - 0.002 * 1.2, 1e-12, "the fall: mean of the best five less that of the last five")
  t.is(overfitting.begins(curves_of(60, rising, rising)), nil, "none where the validation Dice grows")
  t.is(overfitting.begins(curves_of(9, function(e) return 1 / e end, rising)), nil, "none where epochs are too few")
  t.is(overfitting.begins(curves_of(60, function(e) return 0.8 - 0.002 * math.abs(e - 30) end,
    function(e) return 1 / e end)), nil, "none where the training Dice falls too: that is something else")
  t.is(overfitting.begins {}, nil, "none where there are no curves")
  local holes = curves_of(20, rising, rising)
  holes.dice_validation[7] = 0 / 0
  t.is(overfitting.begins(holes), nil, "a value that is missing does no harm")
end

-- ---- figures of results ----

local function result_run(name)
  local run = { name = name, seed = 3, cases = {}, split = { train = { "a" }, validation = { "b" } },
    interreader = { mean = 0.78 }, parameters = 12345,
    memory = { planned = 2 ^ 20, measured = 2 ^ 21, resident = 2 ^ 22 },
    calibration = { count = { 1000, 0, 30 }, mean = { 0.1, [3] = 0.9 }, share = { 0.05, [3] = 0.7 } },
    curves = { step = { epoch = {}, loss_scale_1 = {}, weight_scale_1 = {}, loss_scale_4 = {}, weight_scale_4 = {} },
      epoch = curves_of(30, function(e) return 0.8 - 0.004 * math.abs(e - 15) end, rising) } }
  for i = 1, 60 do
    local s = run.curves.step
    s.epoch[i], s.loss_scale_1[i], s.weight_scale_1[i] = (i + 1) // 2, 1 / i, 0.7
    s.loss_scale_4[i], s.weight_scale_4[i] = 2 / i, 0.3
  end
  for i = 1, 40 do
    run.cases[i] = { id = "c" .. i, role = i % 4 == 0 and "train" or "validation", diameter_mm = 2 + 0.7 * i,
      dice = 0.5 + 0.01 * i, interreader = 0.6 + 0.005 * i, truth_mm3 = 10.0 * i, predicted_mm3 = 11.0 * i }
  end
  return run
end

if has_gnuplot then
  local run = result_run(hostile)
  local widths = { scales = 1290, dice_by_size = 1200, bland_altman = 1200, reliability = 760 }
  for name, width in pairs(widths) do
    check_files(figure.draw(name, run, file(name)), nil, name, width)
    t.ok(bytes_of(file(name .. ".svg")):find(escaped "`touch X` $(touch Y)", 1, true), name .. ": its title is text")
  end
  local svg = bytes_of(file "bland_altman.svg")
  t.ok(svg:find("mean − 1.96 SD", 1, true) and svg:find("mm³", 1, true), "limits and unit")
  t.ok(bytes_of(file "reliability.svg"):find("expected calibration error 0.0544", 1, true), "the error by hand")
  local runs = { run, result_run "b", sample_run(3, "short") }
  check_files(figure.draw("methods", runs, file "methods"), nil, "methods", 1146)
  svg = bytes_of(file "methods.svg")
  t.ok(svg:find("over-fitting from epoch 15", 1, true), "where it begins")
  t.ok(svg:find("no over-fitting seen", 1, true), "where it does not")
  check_files(figure.draw("cost", { run, result_run(hostile) }, file "cost"), nil, "cost", 1240)
  for _, n in ipairs { 1, 9 } do
    runs = {}
    for i = 1, n do runs[i] = result_run("r" .. i) end
    t.ok(figure.draw("methods", runs, file "some") and figure.draw("cost", runs, file "some"), n .. " methods")
  end
  t.ok(not engine.exists "X" and not engine.exists "Y", "no title was run")
  local files, err = figure.draw("dice_by_size", run, file "three", { "svg", "png", "pdf" })
  t.is(files and #files or tostring(err), 3, "three formats")
  t.like(bytes_of(file "three.pdf"), "^%%PDF", "one of them PDF")
  -- An archive may hold anything.
  for name in pairs(widths) do
    local case = { role = "validation", diameter_mm = -1, dice = "x", truth_mm3 = "y" }
    for _, odd in ipairs { {}, { cases = 1, curves = 2, calibration = 3 },
      { cases = { 1, case }, calibration = { count = { 1 } }, curves = { step = { 1 } } } } do
      local made, why = figure.draw(name, odd, file "odd")
      t.ok(made == nil and why.code == "data", name .. ": says that there is nothing to be drawn")
    end
  end
  local one = result_run "one"
  one.cases, one.curves.epoch = { run.cases[1] }, curves_of(1, rising, rising)
  one.curves.step.epoch = { 1 }
  for name in pairs(widths) do t.ok(figure.draw(name, one, file "one"), name .. ": of one case, one epoch") end
end

do
  local mean, low, high = bland_altman.limits { { 1, -10 }, { 1, 0 }, { 1, 10 } }
  t.ok(mean == 0 and math.abs(low + 19.6) < 1e-12 and math.abs(high - 19.6) < 1e-12, "limits of agreement by hand")
  t.raises(function() figure.draw("dice_curve", {}, "x") end, "did you mean 'dice_curves'", "an unknown figure")
end

do -- what cannot be drawn
  local files, err = figure.draw("dice_curves", {}, file "x")
  t.ok(files == nil and err.code == "data", "no epoch")
  files, err = figure.draw("slices", { panel = {} }, file "x")
  t.ok(files == nil and err.code == "data", "no slices")
  files, err = figure.draw("slices", { panel = { { id = "a" } } }, file "x")
  t.like(tostring(not files and err), "image is not a picture", "a column without an image")
  local odd = column("a", 20, 0.5)
  odd.truth = engine.zeros { 5, 5 }
  files, err = figure.draw("slices", { panel = { odd } }, file "x")
  t.like(tostring(not files and err), "image and truth differ in size", "pictures of two sizes")
  odd.truth = engine.zeros { 3, 20, 20 }
  files, err = figure.draw("slices", { panel = { odd } }, file "x")
  t.like(tostring(not files and err), "not one picture", "a stack of pictures")
  if has_gnuplot then
    files, err = figure.draw("dice_curves", sample_run(3, "x"), file "no/such/folder")
    t.like(tostring(not files and err), "no/such/folder%.svg: cannot be written", "no folder to draw into")
  end
  t.ok(not engine.exists(file "x.svg"), "nothing was written")
end

-- ---- gnuplot missing or failing: in another process, with another PATH ----

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function draw_with_path(path)
  local script = file "draw.lua"
  local f <close> = assert(io.open(script, "w"))
  f:write(string.format([[
    local run = { curves = { epoch = { epoch = { 1 }, dice_train = { 0.5 } } } }
    local files, err = require("hilum.figure").draw("dice_curves", run, %q)
    print(files and "drawn" or err.code .. "|" .. tostring(err))
  ]], file "other"))
  f:close()
  local pipe = assert(io.popen("PATH=" .. quoted(path) .. " " .. quoted(os.getenv "HILUM") .. " repl " .. quoted(script)
    .. " 2>&1"))
  return (pipe:read "a")
end

if os.getenv "HILUM" then
  t.like(draw_with_path "/nowhere", "missing|gnuplot is not installed.*gnuplot%-nox", "gnuplot is not there")
  local fake = file "gnuplot"
  local f = assert(io.open(fake, "w"))
  f:write "#!/bin/sh\necho 'no such terminal'\nexit 3\n"
  f:close()
  os.execute("chmod +x " .. quoted(fake))
  t.like(draw_with_path(scratch:path()), "gnuplot|gnuplot could not draw dice_curves %(exit 3%): no such terminal",
    "gnuplot fails")
  f = assert(io.open(fake, "w"))
  f:write "#!/bin/sh\nexit 0\n"
  f:close()
  t.like(draw_with_path(scratch:path()), "gnuplot|gnuplot drew no dice_curves", "gnuplot draws nothing")
  t.ok(not engine.exists(file "other.svg"), "nothing is left of it")
else
  t.skip("the program is not built", 4)
end
if not has_gnuplot then t.skip "gnuplot is not installed: nothing was drawn" end

scratch:free()
t.done()
