-- Telling people how far things are: a bar on a terminal, nothing in between elsewhere.
--
--   local p = progress.new { bar = true }
--   p:update("reading", done, total, "note")   -- redrawn at most ten times a second
--   p:say("epoch 1/40 …")                      -- a line that stays; the bar steps aside
--   p:clear()
-- The bar is drawn on stderr, if that is a terminal; lines go to `out` (default: stdout).

local engine = require "hilum.engine"

local progress = {}
progress.__index = progress

local SLOWEST = 0.1 -- seconds between two drawings

--- o: { bar = false for none, out = function(line) or false for silence }.
function progress.new(o)
  o = o or {}
  local out = o.out
  if out == nil then
    out = function(line) io.stdout:write(line, "\n"):flush() end
  end
  local width = o.bar ~= false and engine.terminal("err") or nil
  return setmetatable({ width = width, out = out, lines = {}, drawn = -math.huge, shown = false }, progress)
end

--- "3:07", "1:02:45"
function progress.duration(seconds)
  local s = math.floor(math.max(0, seconds) + 0.5)
  if s >= 3600 then return string.format("%d:%02d:%02d", s // 3600, s // 60 % 60, s % 60) end
  return string.format("%d:%02d", s // 60, s % 60)
end

--- "417 B", "2.50 MiB"
function progress.bytes(n)
  if n < 1024 then return string.format("%d B", n) end
  for _, unit in ipairs { "KiB", "MiB", "GiB" } do
    n = n / 1024
    if n < 1000 or unit == "GiB" then return string.format("%.3g %s", n, unit) end
  end
end

-- The first n characters of a text.
local function fitted(text, n)
  local length = utf8.len(text) or #text
  if length <= n then return text end
  return text:sub(1, (utf8.offset(text, n + 1) or n + 1) - 1)
end

local function bar(share, cells)
  local full = math.floor(share * cells + 0.5)
  return "[" .. ("="):rep(full) .. (" "):rep(cells - full) .. "]"
end

-- "reading [====    ] 3/24  1.2/s  0:17 left  note", in at most `width` characters.
local function picture(width, task, first, done, total, elapsed, note)
  local rate = elapsed > 0 and (done - first) / elapsed or 0
  local parts = { string.format(total > 0 and "%d/%d" or "%d", done, total) }
  if rate > 0 then parts[#parts + 1] = string.format("%.3g/s", rate) end
  if rate > 0 and total > 0 then parts[#parts + 1] = progress.duration((total - done) / rate) .. " left" end
  if note then parts[#parts + 1] = note end
  local text = table.concat(parts, "  ")
  local room = width - 1 - (utf8.len(task) or #task) - (utf8.len(text) or #text) - 4
  local drawing = total > 0 and room >= 4 and bar(math.min(1, done / total), math.min(room, 30)) .. " " or ""
  return fitted(task .. " " .. drawing .. text, width - 1)
end

--- Shows that `done` of `total` (0: unknown) parts of a task are done, after the text in `prefix` if there is one.
--- Rates count from its first call.
function progress:update(task, done, total, note)
  local now = engine.clock()
  if task ~= self.task then
    self.task, self.start, self.drawn, self.first = task, now, -math.huge, done
  end
  if not self.width or now - self.drawn < SLOWEST and done ~= total then return end
  self.drawn, self.shown = now, true
  self.width = engine.terminal("err") or self.width
  local line = picture(self.width, (self.prefix or "") .. task, self.first, done, total or 0, now - self.start, note)
  io.stderr:write("\r", line, "\27[K"):flush()
end

--- Takes the bar away.
function progress:clear()
  if self.shown then io.stderr:write("\r\27[K"):flush() end
  self.shown, self.task = false, nil
end

--- A line that stays, also in self.lines (for the archive).
function progress:say(line)
  self.lines[#self.lines + 1] = line
  if self.shown then io.stderr:write("\r\27[K"):flush() end
  if self.out then self.out(line) end
end

--- "1 case", "3 cases".
function progress.counted(n, word)
  return string.format("%d %s%s", n, word, n == 1 and "" or "s")
end

return progress
