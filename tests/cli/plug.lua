-- What a power cut can leave of a file that is replaced: builds the states of the disk from the log of the calls
-- (tests/c/shim.c) and looks at each.   hilum repl plug.lua LOG TARGET SCRATCH
--
-- A cut after any call keeps what was synced before. Of what was not: any number of the writes to a file, one of them
-- missing (a hole of zeros), the last one torn; and of the names that were made, moved or removed in the folder any
-- choice. The target must then hold exactly what it held when the folder was last synced or what was moved there since.

local archive = require "hilum.archive"
local engine = require "hilum.engine"

local log, target, scratch = table.unpack(arg)

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

-- ---- the log ----

local ops, data = {}, read(log .. ".data")
for line in read(log):gmatch "[^\n]+" do
  local words = {}
  for word in line:gmatch "%S+" do words[#words + 1] = word end
  local op = { what = words[1], a = words[2], b = words[3] }
  if op.what == "write" then op.bytes = data:sub(words[3] + 1, words[3] + words[4]) end
  ops[#ops + 1] = op
end

-- ---- the disk ----

local function put(content, at, bytes)
  if #content < at then content = content .. ("\0"):rep(at - #content) end
  return content:sub(1, at) .. bytes .. content:sub(at + #bytes + 1)
end

-- files: by id { synced = content, writes = { { at, bytes }, … }, size }. names: of the folder as it was synced;
-- moves: what happened to it since.
local disk = { files = {}, names = {}, moves = {} }

local function move(names, m)
  if m.what == "unlink" then
    names[m.a] = nil
  elseif m.what == "create" then
    names[m.b] = m.a
  else
    names[m.b], names[m.a] = m.id, nil
  end
end

local function names_with(chosen)
  local names = {}
  for name, id in pairs(disk.names) do names[name] = id end
  for i, m in ipairs(disk.moves) do
    if chosen(i) then move(names, m) end
  end
  return names
end

local function all() return true end

local function carry_out(op)
  if op.what == "create" then
    disk.files[op.a] = { synced = "", writes = {}, size = 0 }
    table.insert(disk.moves, op)
  elseif op.what == "write" then
    local file = disk.files[op.a]
    table.insert(file.writes, { at = file.size, bytes = op.bytes })
    file.size = file.size + #op.bytes
  elseif op.what == "fsync" then
    local file = disk.files[op.a]
    for _, w in ipairs(file.writes) do file.synced = put(file.synced, w.at, w.bytes) end
    file.writes = {}
  elseif op.what == "rename" then
    op.id = names_with(all)[op.a]
    table.insert(disk.moves, op)
  elseif op.what == "unlink" then
    table.insert(disk.moves, op)
  elseif op.what == "syncdir" then
    disk.names, disk.moves = names_with(all), {}
  end
end

-- Everything that can be left of a file's content.
local function contents(file)
  local list, whole = { file.synced }, file.synced
  for i, w in ipairs(file.writes) do
    list[#list + 1] = put(whole, w.at, w.bytes:sub(1, #w.bytes // 2))
    local without = whole
    for k = i + 1, #file.writes do without = put(without, file.writes[k].at, file.writes[k].bytes) end
    list[#list + 1] = without
    whole = put(whole, w.at, w.bytes)
    list[#list + 1] = whole
  end
  return list
end

-- Everything that the target can be: its content, or "" where it is not there.
local function states()
  local list, seen = {}, {}
  for mask = 0, (1 << #disk.moves) - 1 do
    local id = names_with(function(i) return mask >> (i - 1) & 1 == 1 end)[target]
    if not id then
      list[#list + 1] = ""
    elseif not seen[id] then
      seen[id] = true
      table.move(contents(disk.files[id]), 1, #contents(disk.files[id]), #list + 1, list)
    end
  end
  return list
end

-- What it may be: by content.
local function allowed(complete)
  local list = {}
  local id = disk.names[target]
  list[id and complete[id] or ""] = true
  for _, m in ipairs(disk.moves) do
    if m.what == "rename" and m.b == target then list[complete[m.id]] = true end
  end
  return list
end

-- ---- each moment ----

-- What each file will have held when all is written.
local complete = {}
for _, op in ipairs(ops) do
  if op.what == "create" then complete[op.a] = "" end
  if op.what == "write" then complete[op.a] = complete[op.a] .. op.bytes end
end

local opened = {} -- content -> it can be read

local function can_be_read(content)
  if content == "" then return true end -- no archive yet: nothing is lost
  if opened[content] == nil then
    local file = assert(io.open(scratch, "wb"))
    file:write(content)
    file:close()
    opened[content] = archive.run_read(scratch) ~= nil
  end
  return opened[content]
end

local count, damaged, kinds, different = 0, 0, {}, 0
for moment = 0, #ops do
  if moment > 0 then carry_out(ops[moment]) end
  local fine = allowed(complete)
  for _, content in ipairs(states()) do
    count = count + 1
    local hash = engine.sha256(content)
    if not kinds[hash] then kinds[hash], different = true, different + 1 end
    if not fine[content] or not can_be_read(content) then damaged = damaged + 1 end
  end
end
os.remove(scratch)
print(string.format("%d states, %d contents, %s damaged", count, different, damaged == 0 and "none" or damaged))
