#!/bin/sh
# run-tap.sh NAME COMMAND [ARGUMENT…]
# Runs a test program, keeps its TAP in BUILD/tests/tap/NAME.tap and lets prove judge it. Exit status: 0
# passed, 77 skipped as a whole, anything else failed. The program's own exit status counts too.
set -u
tap=$HILUM_BUILD/tests/tap/$1.tap
shift
mkdir -p "${tap%/*}" || exit 1
rm -f "$tap" "$tap.status"

LUA_PATH="$HILUM_SOURCE/tests/?.lua;$HILUM_SOURCE/stdlib/?.lua;$HILUM_SOURCE/stdlib/?/init.lua;;"
export LUA_PATH
# One locale that is always there: messages and numbers are compared as text.
LC_ALL=C.UTF-8
export LC_ALL
# Sanitizers: asking for too much memory is an ordinary failure here, and tests ask for it. oneDNN's own
# threads are not watched.
ASAN_OPTIONS=allocator_may_return_null=1:${ASAN_OPTIONS:-}
TSAN_OPTIONS=allocator_may_return_null=1:ignore_noninstrumented_modules=1:${TSAN_OPTIONS:-}
export ASAN_OPTIONS TSAN_OPTIONS

{ "$@"; echo $? >"$tap.status"; } | tee "$tap"
status=$(cat "$tap.status")
rm -f "$tap.status"

prove --norc --exec cat "$tap"
verdict=$?
if [ "$verdict" -eq 0 ] && [ "$status" -ne 0 ]; then
  echo "not ok - the program ended with status $status" | tee -a "$tap"
  verdict=1
fi
if [ "$verdict" -eq 0 ] && head -n 1 "$tap" | grep -q '^1\.\.0 # SKIP'; then exit 77; fi
exit "$verdict"
