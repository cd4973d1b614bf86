# The command line: help, exit codes, and what is refused before anything is computed.
. "$HILUM_SOURCE/tests/tap.sh"

experiment=$HILUM_SOURCE/experiments/unet.lua

run "$HILUM" --version
is "$status" 0 "the version is told"
like "$stdout" "^hilum [0-9]+\.[0-9]+\.[0-9]+$" "as one line"

run "$HILUM" --help
is "$status" 0 "help is no failure"
for command in run plan evaluate compare report list show verify replay diff plot data repl; do
  like "$stdout" "^  $command " "help lists $command"
  run "$HILUM" "$command" --help
  is "$status" 0 "$command has its own help"
  like "$stdout" "^hilum $command" "which names it"
  run "$HILUM" --help
done
run "$HILUM" help data scan
like "$stdout" "^hilum data scan DIR" "help for a command inside a family"

run "$HILUM"
is "$status" 2 "without a terminal, no command is a mistake"
run "$HILUM" rnu
is "$status" 2 "an unknown command"
like "$stderr" "unknown command 'rnu' \(did you mean 'run'\?\)" "with the nearest one"
is "$stdout" "" "and nothing on stdout"
run "$HILUM" data scna .
is "$status" 2 "an unknown command of a family"
like "$stderr" "did you mean 'scan'\?" "with the nearest one"

run "$HILUM" run
is "$status" 2 "a missing argument"
like "$stderr" "EXPERIMENT.lua is missing" "is named"
run "$HILUM" run a.lua b.lua
is "$status" 2 "one argument too many"
like "$stderr" "unexpected argument 'b.lua'" "is named"
run "$HILUM" run a.lua --ouy x.h5
is "$status" 2 "an unknown option"
like "$stderr" "unknown option '--ouy' \(did you mean '--out'\?\)" "with the nearest one"
run "$HILUM" run a.lua --out
is "$status" 2 "an option without its value"
like "$stderr" "--out needs a value \(RUN.h5\)" "is named"
run "$HILUM" run a.lua --quiet=yes
like "$stderr" "--quiet takes no value" "an option with a value it does not take"
run "$HILUM" run a.lua --out x --out y
like "$stderr" "--out is given twice" "an option given twice"
run "$HILUM" run a.lua --threads many
is "$status" 2 "a number that is none"
like "$stderr" "--threads: expected a whole number from 1 on, got 'many'" "is named"
run "$HILUM" run a.lua --threads 0
is "$status" 2 "no threads at all"

run "$HILUM" run nowhere.lua
is "$status" 1 "a script that is not there"
like "$stderr" "nowhere.lua: cannot be read: No such file" "is named"
printf '\033Lua junk' >binary.lua
run "$HILUM" plan binary.lua
is "$status" 1 "a bytecode chunk"
like "$stderr" "binary.lua: is a compiled Lua chunk; only text is loaded" "is refused by name"
printf 'local hl = require "hilum"\n\nreturn hl.nn.conv { oout = 3 }\n' >wrong.lua
run "$HILUM" plan wrong.lua
is "$status" 1 "a wrong key"
like "$stderr" "wrong.lua:3: hl.nn.conv: 2 problems" "is reported at its line"
like "$stderr" "unknown key 'oout' \(did you mean 'out'\?\)" "with the nearest one"
printf 'while true do end\n' >forever.lua
printf 'while true do pcall(function() while true do end end) end\n' >catches.lua
for script in forever catches; do
  "$HILUM" plan $script.lua >out.txt 2>err.txt &
  job=$!
  # Again if the first came before the program was ready for it, as on a very busy machine.
  for pause in 1 10 20; do sleep $pause; kill -INT $job; done &
  insisting=$!
  wait $job
  is "$?" 130 "$script: a script that never ends can be interrupted"
  kill $insisting 2>/dev/null
  like "$(cat err.txt)" "stopped while loading the script" "$script: and says so"
done

run "$HILUM" plan "$experiment" --set train.epoch=3
is "$status" 1 "a wrong --set"
like "$stderr" "unknown key 'epoch' \(did you mean 'epochs'\?\)" "is explained"
run "$HILUM" plan "$experiment" --set train.epochs
is "$status" 2 "a --set without a value"
like "$stderr" "expected path=value" "is explained"
run "$HILUM" plan "$experiment" --set data.crop=33
is "$status" 1 "a crop that does not fit the network"
like "$stderr" "33 voxels along z cannot be divided by 8" "is found before anything is computed"
run "$HILUM" plan "$experiment" --data ./nowhere
is "$status" 1 "data that is not there"
like "$stderr" 'the data source "./nowhere" is not there' "is named"

run "$HILUM" plan "$experiment" --set data.crop=16 --set 'model.channels={4,8}'
is "$status" 0 "a plan"
like "$stdout" "^parameters +[0-9]+$" "tells parameters"
like "$stdout" "^memory +[0-9.]+ [KM]iB at the most, at " "memory, and where its peak is"
like "$stdout" "^steps +about 48 in an epoch" "and the steps of an epoch"
run "$HILUM" plan "$experiment"
like "$stdout" "^time +[0-9.]+ m?s for a step, .* \(measured.*, [0-9]+ threads?\)" "a plan says how long a step takes"
run "$HILUM" plan "$experiment" --json
for field in seconds_per_step seconds_per_image seconds_per_epoch seconds_per_run scaled steps_per_epoch available_bytes; do
  like "$stdout" "\"$field\": " "for machines: $field"
done
run "$HILUM" plan "$experiment" --no-time --json
unlike "$stdout" "seconds_per_step" "unless that is not wanted"
run "$HILUM" plan "$experiment" --json
like "$stdout" '"parameters": [0-9]+' "and the same as JSON"
is "$(ls)" "$(printf 'binary.lua\ncatches.lua\nerr.txt\nforever.lua\nout.txt\nwrong.lua')" "nothing was written"

echo mine >there.h5
run "$HILUM" run "$experiment" --out there.h5
is "$status" 1 "an archive that is there"
like "$stderr" "there.h5: already exists" "is not overwritten"
is "$(cat there.h5)" mine "and left as it is"
mkdir closed && chmod 555 closed
if [ -w closed ]; then
  skip "this user may write anywhere" 2
else
  run "$HILUM" run "$experiment" --out closed/run.h5
  is "$status" 1 "a folder that cannot be written to"
  like "$stderr" "closed/run.h5" "is found out at once"
fi
run "$HILUM" show there.h5
is "$status" 1 "a file that is no archive"
like "$stderr" "there.h5" "is named"
run "$HILUM" plot nowhere.h5
is "$status" 1 "an archive that is not there"
like "$stderr" "nowhere.h5" "is named"
run "$HILUM" data scan nowhere
is "$status" 1 "a folder that is not there"
like "$stderr" "nowhere" "is named"

run "$HILUM" doctor
is "$status" 0 "the doctor looks around"
like "$stdout" "^threads +[0-9]+" "and counts threads"

run "$HILUM" bench ops --seconds 0.01 --only pad --size 8 --channels 2
is "$status" 0 "ops are measured"
like "$stdout" "^pad before=2 after=2 mode=reflect +2 +[0-9.]+ ms +[0-9.]+ GB/s +[0-9]+ %" "each with its rate and share"
run "$HILUM" bench ops --seconds 0.01 --only conv_grad_weight --size 6 --channels 2 --json
is "$status" 0 "and as JSON"
is "$(printf '%s\n' "$stdout" | wc -l)" 1 "on one line"
like "$stdout" '"gf_per_s":' "with what was computed in a second"
run "$HILUM" bench ops --seconds 0.01 --only mul --size 8 --channels 2 --dtype bf16
is "$status" 0 "in bf16 too"
like "$stdout" "image .1,2,8,8,8. bf16" "which is told"
run "$HILUM" bench conv --seconds 0.01 --size 8
is "$status" 0 "convolutions are measured"
like "$stdout" " 8 -> +8 at +8³ +conv_grad_weight +[0-9.]+ ms +[0-9.]+ GF/s +[0-9]+ % +[0-9.]+ GB/s +[0-9]+ %" \
  "each with its rates and shares"
run "$HILUM" bench conv --seconds 0.01 --size 8 --dtype bf16 --json
is "$status" 0 "in bf16 and as JSON"
like "$stdout" '"multiply_add_gf_per_s":' "beside what the machine can"
run "$HILUM" bench norm --seconds 0.01 --size 8
is "$status" 0 "normalisations are measured"
like "$stdout" " 64 at +2³ +instance_norm_grad +[0-9.]+ ms +[0-9.]+ GB/s +[0-9]+ %" "down to the smallest level"
run "$HILUM" bench norm --seconds 0.01 --size 8 --dtype bf16 --json
is "$status" 0 "in bf16 and as JSON"
is "$(printf '%s\n' "$stdout" | wc -l)" 1 "on one line"
run "$HILUM" bench resample --seconds 0.01 --size 8
is "$status" 0 "orthogonal maps are measured"
like "$stdout" " 16 at +8³ +f32 +mix transposed +[0-9.]+ ms +[0-9.]+ GB/s +[0-9]+ %" "there and back"
run "$HILUM" bench resample --seconds 0.01 --size 8 --dtype bf16 --json
is "$status" 0 "in bf16 and as JSON"
like "$stdout" '"dtype": "q8", "gb_per_s": [0-9.e-]+, "op": "mix_grad_matrix"' "with the state on its grid"
run "$HILUM" bench norm --seconds 0
is "$status" 2 "no patience at all is a wrong command line"
like "$stderr" "--seconds: expected a number from 0.001 to 3600, got '0'" "whose message says what would do"
run "$HILUM" bench ops --dtype f16
is "$status" 2 "an unknown type is a wrong command line"
like "$stderr" "expected one of f32, bf16, got 'f16'" "whose message says what there is"

run "$HILUM" bench train --size 16 --channels 4,8 --blocks 1 --steps 2 --json
is "$status" 0 "a training step is measured"
is "$(printf '%s\n' "$stdout" | wc -l)" 1 "as one line"
for field in seconds_per_step peak_rss_bytes peak_above_start_bytes peak_ledger_bytes peak_ledger_activation_bytes \
  start_ledger_bytes planned_bytes parameters blocks; do
  like "$stdout" "\"$field\": [0-9.e-]+" "with $field"
done
like "$stdout" '"loss": \[ 0\.[0-9]+, 0\.[0-9]+ \]' "and every step's loss"
run "$HILUM" bench train --size 16 --channels 4,8 --blocks 1 --steps 1 --memory-figure held --json
is "$status" 0 "what a step holds over time"
like "$stdout" '"memory": \[ \[ \{ "backward": false, "data": [0-9]+, "kept": [0-9]+, "ledger": [0-9]+, "live": [0-9]+' \
  "is numbers of each op"
if command -v gnuplot >/dev/null 2>&1; then
  run "$HILUM" bench train --size 16 --channels 4,8 --blocks 1 --steps 2 --memory-figure held
  is "$status" 0 "and a picture"
  like "$stdout" "^figure held.svg" "which is named"
  if [ -s held.png ]; then exists=yes; else exists=no; fi
  is "$exists" yes "and there"
else
  skip "gnuplot is not installed" 3
fi
run "$HILUM" bench train --size 16 --channels 4,8 --blocks 1 --steps 1 --memory-gib 0.0001
is "$status" 1 "a budget that cannot be kept"
like "$stderr" "the memory budget is 0.00 GiB, but a training step needs 0.0[0-9] GiB at least" "is refused with what would fit"

printf '{ "who": "torch", "net": "iunet-rebuilt", "size": "16", "blocks": 1, "parameters": 7, "peak_above_start_bytes": 9000000, "method": "rebuilt" }\n' >peers.jsonl
cat >measure.lua <<'LUA'
local hl = require "hilum"
return hl.measure.memory { channels = { 4, 8 }, steps = 1, depth = { side = 16, couplings = { 1, 2 } },
  size = { couplings = 1, sides = { 16, 24 } } }
LUA
run "$HILUM" run measure.lua --out memory/measured.h5 --set peers=./peers.jsonl
is "$status" 0 "a measurement is carried out"
like "$stdout" "^\| hilum [0-9.]+ \| iUNet rebuilt \| 16 \| 1 \| [0-9]+ \|" "with a table"
like "$stdout" "^\| torch \| iUNet rebuilt \| 16 \| 1 \| 7 \|  \|  \| 9 \|" "which shows others beside"
is "$(head -c 5 memory/measured-memory.svg)" "<?xml" "and a figure"
rm memory/measured-memory.svg memory/measured-memory.png
run "$HILUM" plot memory/measured.h5
is "$status:$(head -c 5 memory/measured-memory.svg)" "0:<?xml" "which its archive draws again"
run "$HILUM" show memory/measured.h5
like "$stdout" "experiment +memory" "and show knows"
run "$HILUM" plan measure.lua
is "$status" 2 "a measurement has no plan"
like "$stderr" "measure.lua: is a measurement: hilum run carries it out" "which is said"
printf '{ "who": "torch", "net": "iunet-rebuilt", "size": "64" }\n' >peers.jsonl
run "$HILUM" run measure.lua --out memory/other.h5 --set peers=./peers.jsonl
is "$status" 1 "a line without its numbers"
like "$stderr" "peers.jsonl, line 1: no blocks" "is refused by name"
run "$HILUM" bench train --data nowhere --size 16
is "$status" 1 "a scan that is not there"
like "$stderr" "nowhere" "is named"
run "$HILUM" bench train --data nowhere --size 16 --batch 2
is "$status" 2 "two scans in one step are not to be had"

finish
