-- A small TAP producer for the Lua tests; the twin of tap.h.
--
--   local t = require "tap"
--   t.is(1 + 1, 2, "one and one")
--   t.raises(function() error "no such key" end, "no such", "a wrong key is refused")
--   t.done()
--
-- Every check takes a name last and returns its verdict. A failed one prints file, line, what was got and
-- what was expected. t.done() leaves the program; the exit status is the verdict. A script that ends
-- without t.done() prints no plan and is a failure for whoever reads the TAP.

local tap = {}

local run, failed, plan = 0, 0, nil

-- In TAP a '#' starts a directive and a line break ends the line.
local function one_line(text)
  return (tostring(text):gsub("[\r\n]+", " "):gsub("#", "\\#"))
end

local function line(...)
  io.stdout:write(table.concat { ... }, "\n")
  io.stdout:flush()
end

local function quoted(value)
  return type(value) == "string" and string.format("%q", value) or tostring(value)
end

-- The line of the test script: the first caller outside this file.
local function place()
  local here = debug.getinfo(1, "S").source
  for level = 2, 20 do
    local info = debug.getinfo(level, "Sl")
    if not info then break end
    if info.source ~= here and info.currentline > 0 then
      return info.short_src .. ":" .. info.currentline
    end
  end
  return "?"
end

--- A line for people.
function tap.diag(text)
  line("# ", one_line(text))
end

local function verdict(good, name, got, expected)
  run = run + 1
  line(good and "ok " or "not ok ", tostring(run), " - ", one_line(name or "(no name)"))
  if good then return true end
  failed = failed + 1
  tap.diag("  at       " .. place())
  if got then tap.diag("  got      " .. got) end
  if expected then tap.diag("  expected " .. expected) end
  return false
end

--- Announces the number of checks; optional, before the first one.
function tap.plan(n)
  plan = n
  line("1..", tostring(n))
end

function tap.ok(value, name)
  return verdict(value and true or false, name, quoted(value), "a true value")
end

--- Equal by `==`, and integers are not floats.
function tap.is(got, expected, name)
  local same = got == expected and math.type(got) == math.type(expected)
  return verdict(same, name, quoted(got), quoted(expected))
end

--- |got - expected| <= tolerance; NaN agrees with NaN only.
function tap.near(got, expected, tolerance, name)
  local number = type(got) == "number"
  local same = number and (got == expected or math.abs(got - expected) <= tolerance
    or (got ~= got and expected ~= expected))
  local off = number and string.format(" off by %.3g,", math.abs(got - expected)) or ""
  return verdict(same, name, quoted(got),
    string.format("%.17g,%s allowed %.3g", expected, off, tolerance))
end

-- The path of the first difference between two values, or nil.
local function difference(got, expected, path)
  if type(got) ~= "table" or type(expected) ~= "table" then
    if got == expected and math.type(got) == math.type(expected) then return nil end
    return path, quoted(got), quoted(expected)
  end
  for key, value in pairs(expected) do
    local where, g, e = difference(got[key], value, path .. "." .. tostring(key))
    if where then return where, g, e end
  end
  for key, value in pairs(got) do
    if expected[key] == nil then return path .. "." .. tostring(key), quoted(value), "nil" end
  end
  return nil
end

--- Tables with equal content, all the way down.
function tap.same(got, expected, name)
  local where, g, e = difference(got, expected, "value")
  return verdict(not where, name, where and where .. " = " .. g, where and where .. " = " .. e)
end

--- A string in which the Lua pattern is found.
function tap.like(got, pattern, name)
  local found = type(got) == "string" and got:find(pattern) ~= nil
  return verdict(found, name, quoted(got), "text like " .. quoted(pattern))
end

--- fn() raises, and the message (or tostring of the error value) is like the pattern.
function tap.raises(fn, pattern, name)
  local fine, err = pcall(fn)
  if fine then return verdict(false, name, "no error", "an error like " .. quoted(pattern)) end
  local text = tostring(err)
  return verdict(text:find(pattern) ~= nil, name, quoted(text), "an error like " .. quoted(pattern))
end

--- Counts n checks (1) that cannot be made here, with the reason.
function tap.skip(reason, n)
  for _ = 1, n or 1 do
    run = run + 1
    line("ok ", tostring(run), " # SKIP ", one_line(reason))
  end
end

--- A check that is known to fail, and what it waits for. It does not count against the script.
function tap.todo(reason, name)
  run = run + 1
  line("not ok ", tostring(run), " - ", one_line(name), " # todo ", one_line(reason))
end

-- Leaves the program; finalisers run, so that leaks show under a sanitizer.
local function leave(good)
  collectgarbage()
  collectgarbage()
  os.exit(good, true)
end

--- Before any check: the whole script cannot be run here.
function tap.skip_all(reason)
  line("1..0 # SKIP ", one_line(reason))
  leave(run == 0 and plan == nil)
end

--- Closes the account and leaves the program. `closing`, optional: a function called after the garbage
--- was collected, for checks of what must be left (for example: live bytes).
function tap.done(closing)
  collectgarbage()
  collectgarbage()
  if closing then closing() end
  if not plan then
    line("1..", tostring(run))
  elseif plan ~= run then
    tap.diag(string.format("planned %d checks but made %d", plan, run))
  end
  if failed > 0 then tap.diag(string.format("%d of %d checks failed", failed, run)) end
  leave(failed == 0 and run > 0 and (plan == nil or plan == run))
end

return tap
