-- clang-format and luacheck find nothing to say, with the rules in .clang-format and .luacheckrc.
local t = require "tap"
local files = require "lint.files"

-- One check for each file, so that a report names all of them.
local function each(program, command, paths)
  if not files.has_program(program) then
    return t.skip(program .. " is not installed", #paths)
  end
  for _, path in ipairs(paths) do
    local lines, fine = files.run(command .. " " .. files.shell_quoted(path) .. " 2>&1")
    if not t.ok(fine, program .. ": " .. path) then
      for i = 1, math.min(#lines, 4) do t.diag(lines[i]) end
    end
  end
end

each("clang-format", "clang-format --dry-run -Werror", files.code())
each("luacheck", "luacheck --no-color --quiet", files.with "lua")
t.done()
