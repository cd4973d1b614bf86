# The lint tests are awake: each finds the fault that is planted for it in a small tree.
. "$HILUM_SOURCE/tests/tap.sh"

mkdir -p tree/engine/include/hilum tree/engine/core tree/engine/tensor tree/engine/ops/relu \
  tree/engine/io tree/lua tree/stdlib/hilum tree/experiments
cp "$HILUM_SOURCE/ARCHITECTURE.md" "$HILUM_SOURCE/.clang-format" "$HILUM_SOURCE/.luacheckrc" tree
cp "$HILUM_SOURCE/engine/include/hilum/status.h" tree/engine/include/hilum
echo 'return {}' >tree/stdlib/hilum/clean.lua
echo '#include <hilum/status.h>' >tree/engine/core/clean.c

lint() { # TEST: as CTest runs it, on the small tree
  run env HILUM_SOURCE="$work/tree" LUA_PATH="$HILUM_SOURCE/tests/?.lua;;" GIT_CEILING_DIRECTORIES="$work" \
    "$HILUM_LUA" "$HILUM_SOURCE/tests/lint/$1.lua"
}

caught() { # TEST FILE PATTERN CONTENT
  printf '%s\n' "$4" >"tree/$2"
  lint "$1"
  is "$status" 1 "$1 refuses $2 with: $4"
  like "$stdout" "$3" "and says why"
  rm "tree/$2"
}

lint doors
is "$status" 0 "doors: the small tree is clean before"
[ "$status" = 0 ] || diag "$stdout"

caught doors engine/io/a.c 'engine/io/a.c:1: lua.h: a vendor' '#include <lua.h>'
caught doors engine/tensor/a.c 'hdf5.h: a vendor' '#include <hdf5.h>'
caught doors engine/ops/relu/op.c 'dnnl.h: a vendor' '#include <dnnl.h>'
caught doors engine/core/a.c 'omp.h: a vendor' '#include <omp.h>'
caught doors lua/a.c 'libxml/parser.h: a vendor' '#include <libxml/parser.h>'
caught doors lua/a.c 'internal.h: it is private' '#include "internal.h"'
caught doors engine/tensor/a.c 'it belongs to ops' '#include <hilum/op.h>'
caught doors engine/ops/relu/op.c 'it belongs to program' '  #  include <hilum/program.h>'
caught doors engine/tensor/a.c 'it belongs to io' '#include <hilum/store.h>'
caught doors engine/tensor/a.c 'no room in ARCHITECTURE.md provides it' '#include <hilum/nowhere.h>'
caught doors engine/include/hilum/nowhere.h 'no room of ARCHITECTURE.md provides it' '/* new */'
caught doors engine/new.c 'belongs to no room' 'int x;'
caught doors engine/io/a.c 'a.c:1: calls malloc' 'void *f(void) { return malloc(1); }'
caught doors engine/core/a.c 'a.c:1: calls abort' 'void f(void) { abort(); }'
caught doors engine/core/a.c 'a.c:1: calls printf' 'void f(void) { printf ("x"); }'
caught doors engine/core/a.c 'a.c:1: calls setjmp' 'int f(void) { return setjmp(b); }'
caught doors engine/core/a.c 'OpenMP outside' '#pragma omp parallel for'
caught doors stdlib/hilum/a.lua 'calls os.execute' 'os.execute "ls"'
caught doors stdlib/hilum/a.lua 'calls io.popen' 'local p = io.popen("ls")'
caught doors stdlib/hilum/a.lua 'requires lfs' 'local l = require "lfs"'
caught doors stdlib/hilum/a.lua 'hilum.a -> hilum.a' 'local l = require("hilum.a")'
caught doors experiments/a.lua 'calls io.open' 'io.open("x", "w")'

printf '/* malloc(1); */\nconst char *s = "abort()"; // exit(1)\nint my_malloc(int);\n' >tree/engine/core/b.c
lint doors
is "$status" 0 "doors: comments, strings and longer names are not calls"
[ "$status" = 0 ] || diag "$stdout"
rm tree/engine/core/b.c

slash=/
caught tidy lua/a.c 'lua/a.c:1' "static const char path[] = \"${slash}root/x\";"
caught tidy lua/a.c 'lua/a.c:1' "/* ${slash}home/somebody/data */"
caught tidy lua/a.c 'lua/a.c:1' "/* TO""DO: later */"
caught tidy lua/a.c 'lua/a.c:1' 'int x; '
caught tidy lua/a.c '1001 lines' "$(yes 'int x;' | head -n 1001)"

if command -v clang-format >/dev/null; then
  caught format lua/a.c '^not ok .*clang-format: lua/a.c$' 'int   x ;'
else
  skip "clang-format is not installed" 2
fi
if command -v luacheck >/dev/null; then
  caught format stdlib/hilum/a.lua '^not ok .*luacheck: stdlib/hilum/a.lua$' 'x = 1'
else
  skip "luacheck is not installed" 2
fi
caught headers engine/include/hilum/a.h '^not ok .*hilum/a.h alone, as C11' 'int64_t f(void);'
caught headers engine/include/hilum/a.h '^not ok .*hilum/a.h alone, as C\+\+17' 'void f(int new);'
finish
