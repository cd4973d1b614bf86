# The harness itself: what run-tap.sh calls a pass, a skip and a failure, and what the producers print.
. "$HILUM_SOURCE/tests/tap.sh"

judge() { # NAME EXPECTED-STATUS TAP-PROGRAM
  run env HILUM_BUILD="$work" sh "$HILUM_SOURCE/tests/run-tap.sh" try sh -c "$3"
  is "$status" "$2" "$1"
}
judge "all checks passed" 0 "echo ok 1 - a; echo ok 2 - b; echo 1..2"
judge "a failed check" 1 "echo ok 1 - a; echo not ok 2 - b; echo 1..2"
judge "fewer checks than planned" 1 "echo 1..2; echo ok 1 - a"
judge "more checks than planned" 1 "echo 1..1; echo ok 1 - a; echo ok 2 - b"
judge "no plan, as after a crash" 1 "echo ok 1 - a"
judge "no output" 1 "true"
judge "a bad exit status" 1 "echo ok 1 - a; echo 1..1; exit 3"
judge "killed" 1 'echo ok 1 - a; echo 1..1; kill -9 $$'
judge "skipped as a whole" 77 "echo '1..0 # SKIP no moon'"
judge "single checks skipped" 0 "echo ok 1 - a; echo 'ok 2 # SKIP no moon'; echo 1..2"

lua() { # EXPECTED-STATUS PATTERN CODE NAME
  printf 'local t = require "tap"\n%s\n' "$3" >try.lua
  run env LUA_PATH="$HILUM_SOURCE/tests/?.lua;;" "$HILUM_LUA" try.lua
  is "$status" "$1" "$4: status"
  like "$stdout" "$2" "$4: what is said"
}
lua 0 '^1\.\.2$' 't.is(1, 1, "a") t.near(1, 1.05, 0.1, "b") t.done()' "Lua: passed"
lua 1 '^not ok 1 - int' 't.is(1, 1.0, "int") t.done()' "Lua: an integer is no float"
lua 1 '^#   at       try.lua:2$' 't.ok(false, "a") t.done()' "Lua: the place is told"
lua 1 '^#   got      "abc"$' 't.like("abc", "x", "a") t.done()' "Lua: what was got"
lua 1 '^#   got      value.b.1 = 3$' 't.same({ b = { 3 } }, { b = { 4 } }, "a") t.done()' "Lua: difference"
lua 0 '^ok 1 - a' 't.raises(function() error "no key" end, "no key", "a") t.done()' "Lua: raises"
lua 1 '^not ok 1 - a' 't.raises(function() end, "no key", "a") t.done()' "Lua: does not raise"
lua 1 'planned 3' 't.plan(3) t.ok(true, "a") t.done()' "Lua: a plan that does not add up"
lua 0 '^1\.\.0 # SKIP no moon' 't.skip_all "no moon"' "Lua: skipped"
lua 0 '^ok 1 - a \\# SKIP' 't.ok(true, "a # SKIP") t.done()' "Lua: a name is no directive"
lua 1 '^not ok 1 - nan' 't.near(0/0, 1, 1, "nan") t.done()' "Lua: NaN is not near a number"

c() { # EXPECTED-STATUS PATTERN CODE NAME
  run "$HILUM_BUILD/tests/c/tap_example" "$3"
  is "$status" "$1" "$4: status"
  like "$stdout" "$2" "$4: what is said"
}
c 0 '^1\.\.7$' pass "C: passed"
c 1 '^#   at       .*tap_example.c:[0-9]+$' int "C: the place is told"
c 1 '^#   got      8589934592 \(0x200000000\)$' int "C: 64 bits are compared"
c 1 '^#   expected 1, off by 0.5, allowed 0.1$' near "C: off by how much"
c 1 '^not ok 1 - nan' nan "C: NaN is not near a number"
c 1 '^#   got      NULL$' string "C: NULL is no text"
c 1 'message: the disk is full' status "C: an error tells its message"
c 1 'expected status "io", message with: floppy' message "C: the wrong message"
c 1 'planned 3 checks but made 2' plan "C: a plan that does not add up"
c 1 '^not ok 2 - no byte is left in the ledger' leak "C: live bytes"
c 0 '^1\.\.0 # SKIP no moon' skip "C: skipped"
finish
