-- The cache of prepared cases: what is found again, what is made anew, what happens where it cannot be written.
local t = require "tap"
local cache = require "hilum.cache"
local dataset = require "hilum.dataset"
local engine = require "hilum.engine"
local json = require "hilum.json"

local scratch = os.tmpname()
os.remove(scratch)
local folder, root = scratch .. "/chests", scratch .. "/cache"
assert(engine.mkdir(scratch))
assert(engine.write_phantom(folder, { cases = 2, nodules = 2, seed = 5 }))

local function open(change, options)
  local raw = { folder = folder, crop = 16 }
  for key, part in pairs(change or {}) do raw[key] = part end
  local o = { cache = root }
  for key, part in pairs(options or {}) do o[key] = part end
  return dataset.lidc(raw):open(o)
end

local function notes(set, pattern)
  local n = 0
  for _, one in ipairs(set.problems) do
    if (one.file .. ": " .. one.message):find(pattern) then n = n + 1 end
  end
  return n
end

local function same_samples(a, b)
  for i = 1, #a.cases do
    local x, y = assert(a:load(i)), assert(b:load(i))
    if #x.readers ~= #y.readers then return false end
    for r, mask in ipairs(x.readers) do
      if not mask:same(y.readers[r]) then return false end
    end
    for _, name in ipairs { "image", "truth", "valid" } do
      if not x[name]:same(y[name]) or x[name].layout ~= y[name].layout then return false end
    end
  end
  return #a.cases == #b.cases
end

-- ---- found again ----

local plain = assert(open({}, { cache = false }))
t.is(plain.prepared, nil, "without a cache nothing is kept")
local first = assert(open())
t.same(first.prepared, { units = 2, made = 2, cache = root }, "the first time all scans are prepared")
local second = assert(open())
t.is(second.prepared.made, 0, "the second time none")
for _, set in ipairs { first, second } do
  t.is(set.hash, plain.hash, "the hash of the data is the same as without a cache")
  t.is(json.encode(set.cases), json.encode(plain.cases), "so are the cases")
  t.same(set.found, plain.found, "and what was counted")
  t.ok(same_samples(set, plain), "and every voxel")
end
t.is(open({}, { processes = 1 }).prepared.made, 0, "how many processes work does not matter")

-- ---- settings and files ----

t.is(open({ crop = 12 }).prepared.made, 2, "another crop is other samples")
t.is(open({ consensus = { level = 0.75 } }).prepared.made, 2, "so is another rule")
t.is(open().prepared.made, 0, "the first ones are still there")
local moved = scratch .. "/moved"
os.rename(folder, moved)
t.is(open({ folder = moved }).prepared.made, 0, "a folder may move")
os.rename(moved, folder)
local index = assert(engine.index(folder))
engine.touch(index.series[1].files[3])
t.is(open().prepared.made, 1, "a slice with another time: one scan is prepared anew")
t.is(open().prepared.made, 0, "once")

-- ---- damage ----

local store = cache.open(root)

local function entries(pattern)
  local list = {}
  for _, one in ipairs(store:files()) do
    if one.kind == "sets" and one.name:find(pattern) then list[#list + 1] = one.path end
  end
  return list
end

local function overwrite(path, change)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  file = assert(io.open(path, "wb"))
  file:write(change(bytes))
  file:close()
end

local function flip(bytes)
  local at = #bytes // 2
  return bytes:sub(1, at - 1) .. string.char(bytes:byte(at) ~ 255) .. bytes:sub(at + 1)
end

local function damaged(pattern, change)
  store:prune(0)
  assert(open())
  for _, path in ipairs(entries(pattern)) do overwrite(path, change) end
  return assert(open())
end

for name, change in pairs { flipped = flip, ["cut off"] = function(b) return b:sub(1, #b // 2) end,
  empty = function() return "" end } do
  local set = damaged("%.about%.h5$", change)
  t.is(set.prepared.made, 2, name .. ": what is about samples is made anew")
  t.is(notes(set, "its entry in the cache is damaged and made anew"), 2, "with a note each")
  t.ok(same_samples(set, plain) and set.hash == plain.hash, "and equal")
  t.is(open().prepared.made, 0, "then it is whole again")
  set = damaged("%x%.h5$", change)
  t.is(set.prepared.made, 0, name .. ": samples are looked at when they are asked for")
  t.ok(same_samples(set, plain), "then they are made anew")
  for _, path in ipairs(entries "%x%.h5$") do t.ok(engine.store_open(path), "and kept whole") end
end
os.remove(entries("%x%.h5$")[1])
t.ok(same_samples(assert(open()), plain), "lost samples are made anew")

-- ---- where it cannot be written ----

local nowhere = folder .. "/" .. "no-folder.txt"
local file = assert(io.open(nowhere, "wb"))
file:close()
local set = assert(open({}, { cache = nowhere .. "/cache" }))
t.ok(same_samples(set, plain) and set.hash == plain.hash, "no cache: it works all the same")
t.is(notes(set, "prepared without a cache, in memory: the cache cannot be written"), 1, "with a note")
local none, err = open({}, { cache = nowhere .. "/cache", strict = true })
t.is(none, nil, "whoever insists on it")
t.like(tostring(err), "the cache cannot be written: .*no%-folder%.txt", "is told why")
os.remove(nowhere)

local free = engine.disk_free
engine.disk_free = function() return 1 << 20 end
store:prune(0)
none, err = open({}, { strict = true })
t.is(none, nil, "a full disk is noticed before")
t.is(err.code, "disk", "as such")
t.like(tostring(err), "needs about .* more, and its disk has 1 MiB left: set HILUM_CACHE", "with what to do")
t.ok(same_samples(assert(open()), plain), "a run goes on in memory")
engine.disk_free = free
t.is(#entries ".", 0, "nothing was written")

-- ---- a scan that cannot be used ----

os.remove(index.series[2].files[10])
for round = 1, 2 do
  set = assert(open())
  t.is(#set.cases, 2, "an incomplete series costs its cases")
  t.is(notes(set, "slices are missing"), 1, "and is said once")
  t.is(set.prepared.made, round == 1 and 2 or 0, "a failure that lies in the files is kept, too")
end

-- ---- pruning ----

local all = #store:files()
t.is((store:prune(3)), 0, "what was used today stays")
local files, bytes = store:prune(3, os.time() + 4 * 86400)
t.is(files, all, "after four days it goes")
t.ok(bytes > 1000, "and its bytes are told")
t.is(#store:files(), 0, "nothing is left")

-- ---- processes ----

local done, failed = {}, {}
local fine = engine.apart(5, function(i)
  if i == 2 then return nil, { code = "io", message = "two" } end
  if i == 3 then error "three" end
  if i == 4 then os.exit(7, true) end
end, function(i, why) done[i], failed[i] = true, why end, { processes = 2 })
t.ok(fine, "work in other processes ends")
t.is(#done, 5, "each piece is told")
t.is(failed[1], nil, "as done")
t.is(failed[2].code, "io", "with the error that it returned")
t.like(failed[3].message, "three", "or raised")
t.like(failed[4].message, "exit status 7", "or what ended its process")
t.is(failed[5], nil, "which costs no other")
t.raises(function() engine.apart(1, function() end, function() error "in done" end) end, "in done",
  "an error in between is raised here")

os.execute(string.format("rm -r '%s'", scratch))
t.done()
