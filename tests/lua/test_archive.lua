-- Archives: what is put comes back, a run's table survives its file, and no file makes a reader crash.
local t = require "tap"
local archive = require "hilum.archive"
local engine = require "hilum.engine"
local json = require "hilum.json"

local scratch = engine.scratch()
local function file(name) return scratch:path() .. "/" .. name end

local function bytes_of(path)
  local f <close> = assert(io.open(path, "rb"))
  return f:read "a"
end

local function write_bytes(path, bytes)
  local f <close> = assert(io.open(path, "wb"))
  f:write(bytes)
end

-- Tables with tensors as tables that can be compared.
local function plain(value)
  if type(value) == "userdata" then
    return { dtype = value.dtype, shape = value.shape, values = value:table() }
  end
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, one in pairs(value) do copy[key] = plain(one) end
  return copy
end

-- ---- single values ----

local values = {
  ["/text"] = "Größe\n直径", ["/empty"] = "", ["/yes"] = true, ["/no"] = false, ["/whole"] = math.mininteger,
  ["/real"] = 0.1, ["/whole real"] = 3.0, ["/infinite"] = math.huge, ["/deep/er/list"] = { "a", "", "ccc" },
  ["/wholes"] = { 1, 2, math.maxinteger }, ["/reals"] = { 0.5, -1.5 }, ["/flags"] = { true, false }, ["/none"] = {},
  ["/u8"] = engine.from({ { 1, 2 }, { 3, 255 } }, { dtype = "u8" }),
  ["/f64"] = engine.from({ 0.1, 0.2, 0.3 }, { dtype = "f64" }),
  ["/point"] = engine.from(7), ["/odd name: é.x[1]"] = engine.from({ 1 }, { dtype = "i32" }),
}

do
  local w = archive.new()
  for path, value in pairs(values) do w:put(path, value) end
  t.is(w:put("/more", 1), w, "put gives the archive itself")
  w:attr("/", "format", "test"):attr("/u8", "unit", "HU"):attr("/u8", "range", { -1000, 400 })
  t.is(w:save(file "v.h5"), true, "saved")
  w:close()
  w:close()
  t.raises(function() w:put("/x", 1) end, "already released", "a closed archive is refused")
  local r <close> = assert(archive.open(file "v.h5"))
  for path, value in pairs(values) do
    local back = r:get(path)
    if path == "/point" then
      t.is(back, 7.0, "a tensor of no axes comes back as a number")
    else
      t.same(plain(back), plain(value), path .. " comes back")
    end
  end
  t.is(r:attr("/", "format"), "test", "an attribute of the root")
  t.is(r:attr("/u8", "unit"), "HU", "an attribute")
  t.same(r:attr("/u8", "range"), { -1000, 400 }, "an attribute that is a list")
  t.same(r:attrs "/u8", { "range", "unit" }, "names of attributes")
  local value, err = r:attr("/u8", "nothing")
  t.ok(value == nil and err == nil, "an attribute that is not there is no error")
  t.ok(r:has "/deep/er" and not r:has "/deep/est", "has")
  t.same(r:list "/deep", { "er" }, "list")
  t.same(r:entry "/u8", { kind = "integer", list = false, dtype = "u8", shape = { 2, 2 } }, "entry of a tensor")
  t.same(r:entry "/deep", { kind = "group", list = false }, "entry of a group")
  t.same(r:entry "/reals", { kind = "real", list = true, dtype = "f64", shape = { 2 } }, "entry of a list")
  t.same(r:numbers "/f64", { 0.1, 0.2, 0.3 }, "a tensor as a list of numbers")
  t.same(plain(r:tensor "/reals"), { dtype = "f64", shape = { 2 }, values = { 0.5, -1.5 } }, "a list as a tensor")
  value, err = r:get "/nothing"
  t.ok(value == nil and err.code == "format", "something missing is nil and an error")
  t.like(tostring(err), "v%.h5: /nothing: is missing", "that names file and path")
  t.raises(function() r:put("/x", 1) end, "reading only", "what was opened is not written to")
  t.raises(function() r:get "nothing" end, "starts with /", "a bad path raises")
end

do -- wrong values
  local w <close> = archive.new()
  t.raises(function() w:put("/x", nil) end, "got nil", "nil")
  t.raises(function() w:put("/x", print) end, "got function", "a function")
  t.raises(function() w:put("/x", { 1, "a" }) end, "element 2 of the list is a string", "a mixed list")
  t.raises(function() w:put("/x", { 1, nil, 3 }) end, "list", "a list with a hole")
  t.raises(function() w:put("/x", { a = 1 }) end, "not 'a'", "a table with names")
  t.raises(function() w:put("/x", { {} }) end, "is a table", "a list of lists")
  t.raises(function() w:put("/x", "a\0b") end, "zero bytes", "text with a zero byte")
  t.raises(function() w:put("/x", { "a", "a\0b" }) end, "zero bytes", "a list of such")
  t.ok(not w:has "/x", "nothing was put")
  w:put("/x", 1)
  t.raises(function() w:put("/x", 2) end, "is there already", "twice")
  t.raises(function() w:put("/x/y", 2) end, "is a value", "below a value")
end

do -- files that are not there or not ours
  local r, err = archive.open(file "none.h5")
  t.ok(r == nil and err.code == "io", "no file")
  t.like(tostring(err), "none%.h5: cannot be opened: No such file", "named")
  write_bytes(file "text.h5", "no archive\n")
  r, err = archive.open(file "text.h5")
  t.ok(r == nil and err.code == "format", "another format")
  local w <close> = archive.new()
  local fine
  fine, err = w:save(file "no/such/folder.h5")
  t.ok(fine == nil and err.code == "io", "no folder to save in")
end

-- ---- runs ----

local function sample_run()
  return {
    name = "sample `run` \"x\"", seed = 2020, parameters = 1191761,
    experiment = 'return hl.experiment {\n  name = "sample",\n}\n',
    modules = { ["unet.lua"] = { source = "return 1\n", sha256 = ("ab"):rep(32) }, ["my.loss"] = { source = "" } },
    split = { train = { "p1", "p2" }, validation = {} },
    data = { hash = ("0f"):rep(32), protocol = "phantom, 24 cases" },
    cases = {
      { id = "a", patient = "p1", role = "train", diameter_mm = 6.5, readers = 4, dice = 0.75 },
      { id = "b", patient = "p2", role = "train", diameter_mm = 7.25, readers = 3 },
      { id = "c", patient = "p3", diameter_mm = 9.0, readers = 4, dice = 0.5 },
    },
    drawn = { epoch = { 1, 1 }, case = { "a", "b" }, what = { "flip=zy", "flip=x" } },
    curves = {
      epoch = { epoch = { 1, 2, 3 }, dice_train = { 0.25, 0.5, 0.75 }, dice_validation = { 0.5, 0.625, 0.5 },
        rate = { 0.001, 0.001, 0.0005 } },
      step = { step = {}, loss = {} },
    },
    weights = {
      last = { ["model.conv.weight"] = engine.from { { 1, 2 }, { 3, 4 } }, ["odd/name"] = engine.from { 1 },
        [""] = engine.from { 2 }, ["."] = engine.from { 3 }, ["..%"] = engine.from { 4 } },
      best = {},
    },
    optimiser = { steps = 3, tensors = { ["model.conv.weight.mean"] = engine.from { 0.5 } } },
    state = { epoch = 3, step = 30, best_epoch = 2, finished = true, note = "x" },
    interreader = { mean = 0.75, median = 0.8125 },
    panel = {
      { id = "a", dice = 0.75, image = engine.zeros { 3, 4 }, truth = engine.zeros { 3, 4 } },
      { id = "b", dice = 0.5, image = engine.zeros { 2, 2 }, spacing_mm = { 1.0, 0.5 } },
    },
    memory = { planned = 1000000, measured = 123456 },
    lesions = { { case = "a", patient = "p1", voxels = 8, found = true, iou = 0.5, dice = 0.75, score = 0.5 },
      { case = "a", patient = "p1", voxels = 9, found = false, iou = 0.0, dice = 0.0 } },
    false_positives = { { case = "b", patient = "p2", voxels = 3, score = 0.625 } },
    evaluation = { archive = "a.h5", weights = "best", epoch = 3, same_data = false, trained = { "p1" } },
    calibration = { count = { 5, 0, 3 }, mean = { 0.1, nil, 0.9 }, share = { 0.2, nil, 1.0 } },
    metrics = { dice = { mean = 0.75, median = 0.8, count = 3, undefined = 0 },
      assd_mm = { count = 0, undefined = 3 } },
    measured = { { who = "hilum", size = 16, couplings = 2 }, { who = "torch", size = 16, couplings = 1 } },
    provenance = { versions = { hilum = "0.1.0", lua = "Lua 5.4" }, host = "h", cpu = "c", threads = 2,
      created = "2024-01-01T00:00:00Z" },
    log = { "first", "", "third" },
  }
end

do
  local run = sample_run()
  t.is(archive.run_write(run, file "run.h5"), true, "a run is written")
  local back = assert(archive.run_read(file "run.h5"))
  t.same(plain(back), plain(run), "and read back as it was")
  t.is(archive.run_write(back, file "again.h5"), true, "what was read is written again")
  t.ok(bytes_of(file "run.h5") == bytes_of(file "again.h5"), "the same bytes")
  back = assert(archive.run_read(file "run.h5", { without = { "weights", "optimiser", "panel" } }))
  run.weights, run.optimiser, run.panel = nil, nil, nil
  t.same(plain(back), plain(run), "parts can be left out")
  for _, part in ipairs(archive.layout) do t.ok(sample_run()[part.key] ~= nil, "the sample has a " .. part.key) end
  local r <close> = assert(archive.open(file "run.h5"))
  t.is(r:get "/results/best/epoch", 2, "results are there for other readers")
  t.is(r:get "/weights/last/odd%2Fname" ~= nil, true, "slashes in names are written as %2F")
end

do -- lists that end differently, cells that are missing
  local run = { cases = { { id = "a" }, { dice = 1.5 }, {} }, curves = { step = { a = { [2] = 5 }, b = { 1, 2, 3 } } },
    log = {}, weights = { last = {} }, state = {} }
  t.is(archive.run_write(run, file "gaps.h5"), true, "a run with gaps")
  local back = assert(archive.run_read(file "gaps.h5"))
  t.same(back.cases, { { id = "a" }, { dice = 1.5 }, {} }, "cells that are missing stay missing")
  t.same(back.curves.step, { a = { [2] = 5.0 }, b = { 1, 2, 3 } }, "in columns too, whole numbers as reals")
  t.same(back.log, {}, "no lines")
  local nothing = assert(archive.run_write({}, file "nothing.h5")) and assert(archive.run_read(file "nothing.h5"))
  t.same(nothing, {}, "a run of nothing")
  t.is(archive.describe(nothing), "", "of which there is nothing to say")
end

do -- misuse
  local path = file "misuse.h5"
  t.raises(function() archive.run_write({ weigths = {} }, path) end, "did you mean 'weights'", "an unknown part")
  t.raises(function() archive.run_write({ state = { f = print } }, path) end, "/state/f: a function", "a function")
  t.raises(function() archive.run_write({ state = { a = { 1, b = 2 } } }, path) end, "not 'b'", "a mixed table")
  t.raises(function() archive.run_write({ panel = { {}, x = 1 } }, path) end, "either", "a list with a name")
  t.raises(function() archive.run_write({ state = { [true] = 1 } }, path) end, "not text", "a key that is not text")
  t.raises(function() archive.run_write({ name = {} }, path) end, "/name: text", "a name that is a table")
  t.raises(function() archive.run_write({ cases = { { id = {} } } }, path) end, "row 1", "a cell that is a table")
  t.raises(function() archive.run_read(path, { without = { "x" } }) end, "no part 'x'", "an unknown part to read")
  t.ok(not engine.exists(path), "nothing was written")
  local fine, err = archive.run_write({}, file "no/such/folder.h5")
  t.ok(fine == nil and err.code == "io", "a file that cannot be written is an error, not a raise")
end

-- ---- runs that somebody else made ----

-- A file that calls itself a run, filled by `fill`.
local function forged(fill)
  local w <close> = archive.new()
  w:attr("/", "format", "hilum run"):attr("/", "format_version", 1)
  fill(w)
  assert(w:save(file "forged.h5"))
  return archive.run_read(file "forged.h5")
end

do
  local run, err = archive.run_read(file "v.h5")
  t.ok(run == nil and err.code == "format", "an archive that is no run")
  t.like(tostring(err), "v%.h5: /: is not the archive of a run", "is called so")
  run, err = forged(function(w) w:attr("/", "format_version", 2) end)
  t.like(tostring(not run and err), "format 2, this hilum reads up to 1", "a run of the future")
  run, err = forged(function(w) w:attr("/", "format_version", "1") end)
  t.ok(run == nil and err.code == "format", "a version that is text")
  run, err = forged(function(w) w:put("/name", { "a", "b" }) end)
  t.like(tostring(not run and err), "/name: is not a single value", "a name that is a list")
  run, err = forged(function(w) w:put_group "/seed" end)
  t.like(tostring(not run and err), "/seed: is a group", "a seed that is a group")
  run, err = forged(function(w) w:put("/curves/epoch", 1) end)
  t.ok(run == nil and err.code == "format", "columns that are a number")
  run, err = forged(function(w) w:put("/curves/epoch/a", { 1, 2 }):put("/curves/epoch/b", { 1 }) end)
  t.like(tostring(not run and err), "has 1 rows, the other columns have 2", "columns of unequal length")
  run, err = forged(function(w) w:put("/cases/id", "x") end)
  t.like(tostring(not run and err), "is not a column", "a column that is one text")
  run, err = forged(function(w) w:put_group(("/state/" .. ("x/"):rep(60)):sub(1, -2)) end)
  t.like(tostring(not run and err), "no end to its groups", "groups without end")
  run, err = forged(function(w) w:put("/panel/1/id", "a"):put("/panel/3/id", "b"):attr("/panel", "sequence", true) end)
  t.like(tostring(not run and err), "/panel/2: is missing", "a list with a hole")
end

do -- whatever the types are, telling about it does not raise
  local odd = { 1, 0.5, "x", true, { 1 }, { "a" }, {}, { x = 1 }, { { x = 1 } } }
  local survived = 0
  for _, value in ipairs(odd) do
    for _, part in ipairs { "state", "split", "data", "interreader", "memory", "provenance", "panel" } do
      local run = assert(forged(function(w) w:put_group "/x" end))
      run[part] = value
      local fine = pcall(function() return archive.describe(run), json.encode(archive.summary(run)) end)
      survived = survived + (fine and 1 or 0)
      local inner = { epoch = value, hash = value, mean = value, planned = value, created = value, train = value,
        versions = value, protocol = value }
      run[part] = inner
      fine = pcall(function() return archive.describe(run), json.encode(archive.summary(run)) end)
      survived = survived + (fine and 1 or 0)
    end
  end
  t.is(survived, #odd * 7 * 2, "odd content is passed over")
end

do -- damage
  local whole, refused = bytes_of(file "run.h5"), 0
  math.randomseed(7)
  for _ = 1, 10 do
    local at = math.random(#whole - 101)
    local changed = whole:sub(1, at - 1) .. string.char(whole:byte(at) ~ math.random(255)) .. whole:sub(at + 1)
    write_bytes(file "damaged.h5", changed)
    local run, err = archive.run_read(file "damaged.h5")
    if run == nil and (err.code == "format" or err.code == "io") then refused = refused + 1 end
  end
  t.is(refused, 10, "changed bytes are noticed")
  refused = 0
  for i = 0, 9 do
    write_bytes(file "damaged.h5", whole:sub(1, #whole * i // 10))
    local run, err = archive.run_read(file "damaged.h5")
    if run == nil and tostring(err):find "damaged%.h5" then refused = refused + 1 end
  end
  t.is(refused, 10, "cut files are noticed")
end

-- ---- telling people ----

do
  local s = archive.summary(sample_run())
  t.is(s.results.validation.dice_mean, 0.5, "Dice of the last epoch")
  t.is(s.results.validation.epoch, 3, "which is the third")
  t.is(s.results.best.dice_mean, 0.625, "best Dice")
  t.is(s.results.best.epoch, 2, "of the second epoch")
  t.is(s.epochs, 3, "epochs")
  t.is(s.parameters, 1191761, "parameters")
  local text = archive.describe(sample_run())
  for _, want in ipairs { "sample `run`", "seed 2020", "finished, 3 epochs", "3 cases", "0%.625 after epoch 2",
    "0%.500 after epoch 3", "between readers  0%.750", "1191761", "hilum 0%.1%.0" } do
    t.like(text, want, "the description says " .. want)
  end
  local run = sample_run()
  run.curves.epoch.dice_validation = { 0.25, 0 / 0, 0.25, 0 / 0 }
  run.curves.epoch.epoch = { 1, 2, 3, 4 }
  local results = archive.results(run)
  t.is(results.validation.epoch, 3, "a Dice that is no number is not the last")
  t.is(results.best.epoch, 1, "nor the best; of equals the first is")
  t.same(archive.results { curves = { epoch = {} } }, {}, "no epochs, no results")
end

do -- JSON
  local cases = {
    { nil, "null" }, { true, "true" }, { 12, "12" }, { 1.0, "1.0" }, { 0.1, "0.1" }, { 1e300, "1e+300" },
    { 1 / 3, "0.3333333333333333" }, { 2 ^ 53, "9007199254740992.0" }, { math.mininteger, "-9223372036854775808" },
    { 0 / 0, "null" }, { math.huge, "null" }, { -math.huge, "null" }, { {}, "{}" }, { json.list {}, "[]" },
    { 'a"b\\c\n\1é\127', '"a\\"b\\\\c\\n\\u0001é\\u007f"' }, { "caf\xe9!", '"caf\u{FFFD}!"' },
    { "\xff\xfe", '"\u{FFFD}\u{FFFD}"' },
    { { 1, "x", { b = 1, a = {} } }, '[\n  1,\n  "x",\n  {\n    "a": {},\n    "b": 1\n  }\n]' },
  }
  for _, case in ipairs(cases) do t.is(json.encode(case[1]), case[2], "JSON: " .. case[2]) end
  t.raises(function() json.encode(print) end, "cannot write a function", "JSON of a function")
  t.raises(function() json.encode { [1.5] = 1 } end, "key must be text", "JSON of a key that is no text")
  local circle = {}
  circle.x = { circle }
  t.raises(function() json.encode(circle) end, "contains itself", "JSON of a circle")
end

do -- the description of the format names every part
  local source = os.getenv "HILUM_SOURCE" or "."
  local doc = bytes_of(source .. "/docs/archive-format.md")
  for _, part in ipairs(archive.layout) do
    t.ok(doc:find("`" .. part.path, 1, true), "docs/archive-format.md describes " .. part.path)
  end
end

scratch:free()
t.done(function() t.is(engine.open_ids(), 0, "no HDF5 object is open") end)
