# The installed tree works for strangers: a C project, a stock Lua, the program; also after it was moved.
. "$HILUM_SOURCE/tests/tap.sh"

ok "cmake --install" "$HILUM_CMAKE" --install "$HILUM_BUILD" --prefix "$work/first"
mv first prefix # nothing may point to where it was first

sha=ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad
ok "a C project finds the package" "$HILUM_CMAKE" -S "$HILUM_SOURCE/tests/install" -B consumer \
  -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_C_COMPILER="$HILUM_CC"
ok "and builds" "$HILUM_CMAKE" --build consumer
run consumer/consumer
is "$status" 0 "and runs"
like "$stdout" "^hilum [0-9.]+ $sha\$" "and computes"

run prefix/bin/hilum --version
is "$status" 0 "bin/hilum --version"
like "$stdout" '^hilum [0-9]' "tells the version"

# A stock Lua, with nothing but the prefix to find modules in.
LUA_PATH="$work/prefix/share/lua/5.4/?.lua;$work/prefix/share/lua/5.4/?/init.lua"
LUA_CPATH=$(dirname "$(dirname "$(find "$work/prefix" -name engine.so)")")/?.so
export LUA_PATH LUA_CPATH
run "$HILUM_LUA" -e 'local hl = require "hilum"; print(type(hl.experiment), hl.version)'
is "$status" 0 "require \"hilum\" from a stock Lua"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^table[[:space:]][0-9.]+$" "gives the experiment language"
unset LUA_PATH LUA_CPATH

run env -C / "$work/prefix/bin/hilum" plan "$work/prefix/share/hilum/experiments/iunet.lua"
is "$status" 0 "an installed experiment is planned from anywhere"
[ "$status" = 0 ] || diag "$stderr"

for file in include/hilum/status.h share/doc/hilum/LICENSE share/hilum/experiments/iunet.lua; do
  ok "$file is there" test -s "prefix/$file"
done
run grep -rlF "$HILUM_SOURCE" prefix/share prefix/include prefix/lib --include='*.cmake' --include='*.h' --include='*.lua'
is "$stdout" "" "no installed file names the source folder"
finish
