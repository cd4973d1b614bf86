-- Every public header compiles alone: as C11 and as C++17, without a warning.
local t = require "tap"
local files = require "lint.files"

local languages = {
  { name = "C11", compiler = os.getenv "HILUM_CC" or "cc", options = "-std=c11 -x c -Wstrict-prototypes" },
  { name = "C++17", compiler = os.getenv "HILUM_CXX" or "c++", options = "-std=c++17 -x c++" },
}
local warnings = "-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only -Iengine/include"

local count = 0
for _, path in ipairs(files.with "h") do
  local name = path:match "^engine/include/(hilum/[%w_]+%.h)$"
  if name then
    count = count + 1
    for _, language in ipairs(languages) do
      local command = string.format("printf '#include <%s>\\n#include <%s>\\n' | %s %s %s - 2>&1", name, name,
        files.shell_quoted(language.compiler), language.options, warnings)
      local lines, fine = files.run(command)
      if not t.ok(fine, name .. " alone, as " .. language.name) then
        for i = 1, math.min(#lines, 12) do t.diag(lines[i]) end
      end
    end
  end
end
t.ok(count > 0, "there are public headers")
t.done()
