-- Text of strangers inside HTML and Markdown: always shown as text.

local markup = {}

-- Characters of a text: bytes that are no UTF-8 and control characters become what stands for them.
local function visible(s)
  local parts, at = {}, 1
  s = tostring(s)
  while at <= #s do
    local fine, code = pcall(utf8.codepoint, s, at)
    local step = fine and #utf8.char(code) or 1
    if not fine then code = 0xFFFD end
    if code == 0x7F then
      code = 0x2421
    elseif code < 0x20 and code ~= 0x0A and code ~= 0x09 then
      code = 0x2400 + code -- the control pictures of Unicode
    elseif code >= 0x80 and code < 0xA0 or code >= 0x202A and code <= 0x202E or code >= 0x2066 and code <= 0x2069
      or code == 0xFFFE or code == 0xFFFF then
      code = 0xFFFD -- control characters, turns of direction, no characters
    end
    parts[#parts + 1] = utf8.char(code)
    at = at + step
  end
  return table.concat(parts)
end

--- The text on one line for a terminal.
function markup.line(s)
  return (visible(s):gsub("[\n\t]+", " "))
end

local entities = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;", ["`"] = "&#96;" }

--- The text for HTML, between tags and inside quoted attributes.
function markup.html(s)
  return (visible(s):gsub("[&<>\"'`]", entities))
end

--- The text on one line of Markdown, in table cells too.
function markup.markdown(s)
  return (visible(s):gsub("[\n\t]+", " "):gsub("[&<>]", entities):gsub("[\\`*_{}%[%]|#~!$]", "\\%0"))
end

--- A block of code of Markdown, fenced by more backticks than it holds.
function markup.fenced(s, language)
  local longest = 2
  s = visible(s)
  for ticks in s:gmatch "`+" do longest = math.max(longest, #ticks) end
  local fence = ("`"):rep(longest + 1)
  return fence .. (language or "") .. "\n" .. s:gsub("\n*$", "\n") .. fence
end

return markup
