-- clang-format and luacheck find nothing to say, with the rules in .clang-format and .luacheckrc.
local t = require "tap"
local files = require "lint.files"

-- All files at once; one by one only to say which of them it was.
local function each(program, command, paths)
  if not files.has_program(program) then return t.skip(program .. " is not installed") end
  local quoted = {}
  for i, path in ipairs(paths) do quoted[i] = files.shell_quoted(path) end
  local _, all_fine = files.run(command .. " " .. table.concat(quoted, " ") .. " >/dev/null 2>&1")
  if t.ok(all_fine, string.format("%s: %d files", program, #paths)) then return end
  for i, path in ipairs(paths) do
    local lines, fine = files.run(command .. " " .. quoted[i] .. " 2>&1")
    if not fine then
      t.ok(false, program .. ": " .. path)
      for k = 1, math.min(#lines, 4) do t.diag(lines[k]) end
    end
  end
end

each("clang-format", "clang-format --dry-run -Werror", files.code())
each("luacheck", "luacheck --no-color --quiet", files.with "lua")
t.done()
