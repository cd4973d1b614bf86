-- What preprocessing made, kept on disk: crops of scans, and what the files of a folder hold.
--
--   ROOT/sets/ab/KEY.h5        the samples of one unit (a scan, a patient's pictures), one archive
--   ROOT/sets/ab/KEY.about.h5  its cases, notes and counts; written last, so it says that the unit is whole
--   ROOT/index/NAME.h5         what each file below one folder holds
--
-- KEY is the SHA-256 of everything that the samples depend on. Entries are replaced as a whole (a kill leaves the old
-- one or none), sealed with their hash, and equal whoever writes them: any number of processes may share a cache, and
-- any entry may be removed at any time. A damaged one counts as missing.

local engine = require "hilum.engine"
local json = require "hilum.json"
local problem = require "hilum.problem"
local progress = require "hilum.progress"
local tree = require "hilum.tree"

local cache = {}
cache.__index = cache

local FORMAT = "hilum cache 2"
local SECONDS_A_DAY = 86400
-- The disk is left with this much room.
local SPARE = 256 << 20

local function given(name)
  local text = os.getenv(name)
  return text and text ~= "" and text or nil
end

--- Where the cache is: $HILUM_CACHE, else hilum in $XDG_CACHE_HOME or ~/.cache; nil where none of them is set.
function cache.folder()
  if given "HILUM_CACHE" then return given "HILUM_CACHE" end
  local base = given "XDG_CACHE_HOME" or given "HOME" and given "HOME" .. "/.cache"
  return base and base .. "/hilum"
end

--- The cache in a folder (default: cache.folder()), which need not exist yet; nil and a problem where there is none.
function cache.open(root)
  root = root or cache.folder()
  if not root then
    return nil, problem.new("io", "there is no place for a cache: HILUM_CACHE, XDG_CACHE_HOME and HOME are not set")
  end
  return setmetatable({ root = root }, cache)
end

-- The Lua sources of the data room, hashed: one of them may prepare.
local function sources()
  local folder = package.searchpath("hilum.data.set", package.path):match "^(.*)/"
  local sums = {}
  for i, name in ipairs(engine.list_folder(folder)) do sums[i] = engine.sha256_file(folder .. "/" .. name) or name end
  return table.concat(sums)
end

--- The part of a key that stands for the program: who prepares with other sources, build or libraries has entries of
--- their own.
function cache.program()
  local parts, versions = { FORMAT, engine.revision, sources() }, engine.versions()
  for _, name in ipairs { "hilum", "build", "gdcm", "libxml2" } do parts[#parts + 1] = versions[name] end
  return table.concat(parts, "\n")
end

--- The key of an entry that depends on these texts.
function cache.key(...)
  return engine.sha256(table.concat({ ... }, "\n"))
end

local function place(self, key)
  return string.format("%s/sets/%s/%s", self.root, key:sub(1, 2), key)
end

-- The file in which what the files below a folder hold is remembered; nil if it cannot be made.
local function index_file(self, folder)
  local fine = engine.mkdir(self.root .. "/index")
  local real = engine.real_path(folder)
  return fine and real and string.format("%s/index/%.32s.h5", self.root, engine.sha256(real)) or nil
end

--- What a folder tree holds (engine.index), remembered in a cache: root is its folder, false for none.
function cache.index(folder, tell, root)
  local self = root ~= false and cache.open(root)
  return engine.index(folder, tell, { memory = self and index_file(self, folder) or nil })
end

-- ---- entries ----

-- What write_file wrote, by read(store); nil alone where there is no file, nil and a problem where it is damaged.
local function read_file(path, read)
  if not engine.exists(path) then return nil end
  local store <close>, err = engine.store_open(path)
  if not store then return nil, err end
  if store:attr("/", "format") ~= FORMAT then return nil, problem.new("format", path .. ": is no entry of a cache") end
  return read(store)
end

local function write_file(path, value)
  local store <close> = engine.store { squeeze = true }
  store:attr("/", "format", FORMAT)
  tree.write(store, "/entry", value)
  return store:save(path)
end

--- What an entry holds besides samples: { cases, problems, found, line } or { failed, problems }. Nil where there is no
--- entry, nil and a problem where it is damaged.
function cache:about(key)
  local path = place(self, key) .. ".about.h5"
  local text, err = read_file(path, function(store) return store:get "/entry" end)
  if not text then return nil, err end
  local about, why = json.decode(tostring(text))
  if type(about) ~= "table" then return nil, problem.new("format", string.format("%s: %s", path, why or "no table")) end
  engine.touch(path) -- prune keeps what is used
  return about
end

-- Tensors as samples have them.
local function as_sample(stored)
  local sample = { readers = {} }
  for _, name in ipairs { "image", "truth", "valid" } do sample[name] = stored[name]:dense "image" end
  for i, mask in ipairs(stored.readers or {}) do sample.readers[i] = mask:dense "image" end
  return sample
end

--- Sample i of an entry, or nil and a problem.
function cache:sample(key, i)
  local path = place(self, key) .. ".h5"
  local stored, err = read_file(path, function(store) return tree.read(store, "/entry/" .. i) end)
  if not stored then return nil, err end
  local fine, sample = pcall(as_sample, stored)
  if fine then return sample end
  return nil, problem.new("format", string.format("%s: sample %d is incomplete", path, i))
end

--- Keeps a part (data/set.lua says what it is); true, or nil and a problem. The last step makes it count.
function cache:put(key, part)
  local path = place(self, key)
  local fine, err = engine.mkdir(path:match "^(.*)/")
  if not fine then return nil, err end
  if #(part.samples or {}) > 0 then
    fine, err = write_file(path .. ".h5", part.samples)
    if not fine then return nil, err end
  end
  local about = {}
  for name, entry in pairs(part) do
    if name ~= "samples" then about[name] = entry end
  end
  return write_file(path .. ".about.h5", json.encode(about)) -- one text: a thousand of them are read when a set opens
end

-- ---- room ----

local function writable(folder)
  local fine, err = engine.mkdir(folder)
  if not fine then return nil, err end
  local probe = string.format("%s/.probe-%d", folder, math.random(0, 1 << 30))
  local file, why = io.open(probe, "wb")
  if not file then return nil, problem.new("io", tostring(why)) end
  file:close()
  os.remove(probe)
  return true
end

--- True if `bytes` more can be written, else nil and a problem that says what to do.
function cache:room_for(bytes)
  local fine, err = writable(self.root .. "/sets")
  if not fine then return nil, problem.new("io", "the cache cannot be written: " .. tostring(err)) end
  local free = engine.disk_free(self.root)
  if not free or bytes + SPARE <= free then return true end
  return nil, problem.new("disk", string.format("the cache in %s needs about %s more, and its disk has %s left: set "
    .. "HILUM_CACHE to a folder on another disk, or remove what is not needed (hilum data cache prune)", self.root,
    progress.bytes(bytes), progress.bytes(free)))
end

-- ---- housekeeping ----

local function add_files(list, folder, kind)
  for _, name in ipairs(engine.list_folder(folder) or {}) do
    local path = folder .. "/" .. name
    local stat = engine.stat(path)
    if stat and stat.kind == "file" then
      list[#list + 1] = { path = path, kind = kind, name = name, bytes = stat.bytes, used = stat.modified }
    end
  end
end

--- All files of the cache: { path, kind = "sets" | "index", name, bytes, used = seconds since 1970 }.
function cache:files()
  local list = {}
  for _, name in ipairs(engine.list_folder(self.root .. "/sets") or {}) do
    add_files(list, self.root .. "/sets/" .. name, "sets")
  end
  add_files(list, self.root .. "/index", "index")
  return list
end

-- When the entry that a file belongs to was used last: samples are as old as what is about them.
local function last_used(list)
  local by_key = {}
  for _, one in ipairs(list) do
    local key = one.name:match "^%x+" or one.name
    by_key[key] = math.max(by_key[key] or 0, one.used)
  end
  return function(one) return by_key[one.name:match "^%x+" or one.name] end
end

--- Removes what was not used for `days` (0: everything). Returns files and bytes that are gone, and a problem or nil.
function cache:prune(days, now)
  local list, before = self:files(), (now or os.time()) - days * SECONDS_A_DAY
  local used, files, bytes = last_used(list), 0, 0
  for _, one in ipairs(list) do
    if days == 0 or used(one) < before then
      local fine, why = os.remove(one.path)
      if not fine and engine.exists(one.path) then return files, bytes, problem.new("io", why) end
      files, bytes = files + 1, bytes + one.bytes
    end
  end
  return files, bytes
end

return cache
