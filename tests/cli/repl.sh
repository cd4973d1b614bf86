# The prompt without a terminal: files, snippets, piped input.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" repl -e '1 + 1'
is "$status" 0 "an expression"
is "$stdout" 2 "is printed"
run "$HILUM" repl -e 'x = 3' -e 'x * 2' -e '_ + 1'
is "$stdout" "$(printf '6\n7')" "snippets share their globals, and _ is the last value"
run "$HILUM" repl -e 'hl.nn.conv { out = 2, kernel = 1 }'
is "$stdout" 'hl.nn.conv { out = 2, kernel = { 1, 1, 1 }, stride = { 1, 1, 1 }, bias = true }' "hl is there, values print as Lua"
run "$HILUM" repl -e 'hl.describe(hl.augment.flip)'
like "$stdout" '^  axes = "zyx", -- axes among "zyx", each once; axes that may be mirrored$' "describe prints a schema as Lua"
run "$HILUM" repl -e 'nil, 1'
is "$stdout" "$(printf 'nil\n1')" "several values, nil among them"
run "$HILUM" repl -e '{ 1, "two", a = { b = {} } }'
is "$stdout" '{ 1, "two", a = { b = {} } }' "tables print with their content"
run "$HILUM" repl -e 'error("boo")'
is "$status" 1 "an error"
like "$stderr" "boo" "is shown"
run "$HILUM" repl -e 'error({ message = "a table", code = "x" })'
is "$status" 1 "an error that is a table"
run "$HILUM" repl -e '1 +'
is "$status" 1 "an unfinished snippet"
like "$stderr" "near <eof>" "is an error"
run "$HILUM" repl -e 'hl.nn.conv { oout = 2 }'
like "$stderr" "unknown key 'oout'" "errors of values are shown"

printf '1 + 1\nfunction f(n)\n  return n * 2\nend\nf(21)\nerror("boo")\nx = nothing.y\nf(4);\n_\n("abc"):rep(2)\n' >input
status=0
"$HILUM" repl <input >output 2>errors || status=$?
is "$status" 0 "errors do not end the prompt"
is "$(cat output)" "$(printf '2\n42\n8\n"abcabc"')" "input may go on over lines; a semicolon silences"
like "$(cat errors)" "boo" "errors go to stderr"
like "$(cat errors)" "attempt to index a nil value" "each of them"
printf 'if true then\n' >input
"$HILUM" repl <input >output 2>errors
like "$(cat errors)" "ends in the middle" "input that ends too early is said"

printf 'print(...)\nprint(arg[0], arg[1], hl ~= nil)\n' >script.lua
run "$HILUM" repl script.lua --one two
is "$status" 0 "a file runs with its arguments"
is "$stdout" "$(printf -- '--one\ttwo\nscript.lua\t--one\ttrue')" "and they are its own"
printf 'error("boo")\n' >script.lua
run "$HILUM" repl script.lua
is "$status" 1 "a file that fails"
like "$stderr" "script.lua:1: boo" "with its line"
printf '\033Lua junk' >binary.lua
run "$HILUM" repl binary.lua
is "$status" 1 "bytecode is refused"
like "$stderr" "binary.lua: is a compiled Lua chunk" "by name"
run "$HILUM" repl nowhere.lua
is "$status" 1 "a file that is not there"

finish
