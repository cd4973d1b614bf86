-- Command lines: what a command takes is a table, from which parsing, messages and --help follow.
--
--   { name = "run", summary = "…", arguments = { { "EXPERIMENT.lua", doc }, { "[FILE …]", doc, several = true } },
--     options = { { "out", "RUN.h5", "doc", short = "o" }, { "set", "path=value", "doc", many = true },
--       { "quiet", nil, "doc" } } }

local problem = require "hilum.problem"
local suggest = require "hilum.suggest"

local options = {}

local function usage_error(command, text, ...)
  error(problem.new("usage", string.format("hilum %s: ", command.name) .. string.format(text, ...)
    .. string.format(" (see hilum %s --help)", command.name)), 0)
end

local function find(command, name)
  for _, option in ipairs(command.options) do
    if option[1] == name or option.short == name then return option end
  end
end

local function unknown(command, flag)
  local names = { "--help" }
  for _, option in ipairs(command.options) do names[#names + 1] = "--" .. option[1] end
  usage_error(command, "unknown option '%s'%s", flag, suggest.hint(flag, names))
end

-- "--out=x", "--out", "-o" -> option, text after "=" or nil
local function option_of(command, word)
  local name, text = word:match("^%-%-([^=]+)=?(.*)$")
  if not name then name = word:match("^%-(.)$") end
  local option = name and find(command, name)
  if not option then unknown(command, word) end
  return option, word:find("=", 1, true) and name and text or nil
end

local function keep(command, result, option, text)
  local name = option[1]
  if option.many then
    result[name] = result[name] or {}
    table.insert(result[name], text)
  elseif result[name] ~= nil then
    usage_error(command, "--%s is given twice", name)
  else
    result[name] = text
  end
end

-- True if everything after the first argument belongs to somebody else.
local function takes_rest(command)
  local last = command.arguments[#command.arguments]
  return last and last.rest or false
end

--- Reads the words of a command line. Returns { option name = text or true or list, 1 … = arguments }, or
--- raises a problem with the code "usage".
function options.parse(command, words)
  local result, i, plain = {}, 1, false
  while i <= #words do
    local word = words[i]
    if plain or word == "-" or word:sub(1, 1) ~= "-" then
      result[#result + 1] = word
      plain = plain or takes_rest(command)
    elseif word == "--" then
      plain = true
    elseif word == "--help" or word == "-h" then
      result.help = true
    else
      local option, text = option_of(command, word)
      if not option[2] and text then usage_error(command, "--%s takes no value", option[1]) end
      if option[2] and not text then
        i = i + 1
        text = words[i]
        if not text then usage_error(command, "--%s needs a value (%s)", option[1], option[2]) end
      end
      keep(command, result, option, text or true)
    end
    i = i + 1
  end
  return result
end

--- Raises unless the number of arguments is right.
function options.check(command, given)
  local needed, most = 0, #command.arguments
  for _, argument in ipairs(command.arguments) do
    if argument[1]:sub(1, 1) ~= "[" then needed = needed + 1 end
    if argument.rest or argument.several then most = math.huge end
  end
  if #given < needed then
    usage_error(command, "%s is missing", command.arguments[#given + 1][1])
  elseif #given > most then
    usage_error(command, "unexpected argument '%s'", given[most + 1])
  end
end

--- The whole number of an option, or its default; raises if it is none or below `least`.
function options.number(command, given, name, default, least)
  local text = given[name]
  if text == nil then return default end
  local n = math.tointeger(tonumber(text))
  if not n or n < least then
    usage_error(command, "--%s: expected a whole number from %d on, got '%s'", name, least, text)
  end
  return n
end

--- The number of an option, or nil; raises if it is none, or not within least … most.
function options.decimal(command, given, name, least, most)
  local text = given[name]
  if text == nil then return nil end
  local x = tonumber(text)
  if not x or not (x >= least and x <= most) then
    usage_error(command, "--%s: expected a number from %g to %g, got '%s'", name, least, most, text)
  end
  return x
end

--- n numbers with commas between them, "1,2.5,-3"; raises where `text` (of option `name`) is something else. whole:
--- whole numbers.
function options.vector(command, name, text, n, whole)
  local list, fine = {}, true
  for word in (text .. ","):gmatch "([^,]*)," do
    local x = tonumber(word)
    if whole then x = math.tointeger(x) end
    fine = fine and x ~= nil and x == x
    list[#list + 1] = x
  end
  if fine and #list == n then return list end
  usage_error(command, "--%s: expected %d %snumbers with commas between them, got '%s'", name, n, whole and "whole "
    or "", text)
end

--- The value of an option that takes one of some words, by default the first; raises if it is none of them.
function options.choice(command, given, name, words)
  local text = given[name] or words[1]
  for _, word in ipairs(words) do
    if word == text then return word end
  end
  usage_error(command, "--%s: expected one of %s, got '%s'", name, table.concat(words, ", "), text)
end

local function rows_text(rows)
  local widest, lines = 0, {}
  for _, row in ipairs(rows) do widest = math.max(widest, utf8.len(row[1])) end
  for i, row in ipairs(rows) do
    lines[i] = string.format("  %s%s  %s", row[1], (" "):rep(widest - utf8.len(row[1])), row[2] or "")
  end
  return table.concat(lines, "\n")
end

--- The text of --help.
function options.help(command)
  local words = { "hilum", command.name }
  local arguments, rows = {}, {}
  for _, argument in ipairs(command.arguments) do
    words[#words + 1] = argument[1]
    arguments[#arguments + 1] = { argument[1], argument[2] }
  end
  for _, option in ipairs(command.options) do
    local short = option.short and "-" .. option.short .. ", " or ""
    local name = short .. "--" .. option[1] .. (option[2] and " " .. option[2] or "")
    rows[#rows + 1] = { name, option[3] .. (option.many and " (may be repeated)" or "") }
  end
  rows[#rows + 1] = { "-h, --help", "this text" }
  local parts = { table.concat(words, " ") .. " [options]", command.summary }
  if #arguments > 0 then parts[#parts + 1] = rows_text(arguments) end
  parts[#parts + 1] = rows_text(rows)
  if command.notes then parts[#parts + 1] = command.notes end
  return table.concat(parts, "\n\n")
end

options.rows_text = rows_text

return options
