# hilum run on a small phantom: to its end, interrupted, onto a full disk, with a loss that is no number.
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME
cat >small.lua <<'END'
local hl = require "hilum"
local own = require "own"

return hl.experiment {
  name = "small", seed = 5,
  data = hl.data.source(hl.arg("data", "phantom"), {
    phantom = { cases = 3, crop = 16, seed = 3 }, lidc = { crop = 16 },
  }),
  augment = { hl.augment.flip {} },
  model = hl.nn.unet { channels = { 4, 8 }, heads = own.heads },
  loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
  optim = hl.optim.adam {},
  train = { epochs = 2, batch = 1 },
}
END
echo 'return { heads = { scales = { 1, 2 } } }' >own.lua

run "$HILUM" run small.lua --out a.h5
is "$status" 0 "a run ends"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^parameters +[0-9]+$" "the plan is shown first"
like "$stdout" "^protocol +16 × 16 × 16 voxels of 1 × 1 × 1 mm" "the protocol with the data"
like "$stdout" "^epoch 1/2 +loss [0-9.]+ train [0-9.]+ val +Dice [0-9.]+ train [0-9.]+ val" "one line for each epoch"
like "$stdout" "^validation +Dice [01]\.[0-9]+ after epoch 2; best [01]\.[0-9]+ in epoch [12]$" "the result"
like "$stdout" "^readers +Dice 0\.[0-9]+ mean" "the readers beside it"
like "$stdout" "^archive +a.h5$" "and where it is"
is "$stderr" "" "no bar where there is no terminal"
for figure in a-dice-curves.svg a-dice-curves.png a-slices.svg a-slices.png; do
  ok "$figure is drawn" test -s "$figure"
done
ok "nothing is left over" sh -c '! ls -A | grep -q probe'

run "$HILUM" show a.h5
is "$status" 0 "the archive is shown"
like "$stdout" "^state +finished" "as finished"
run "$HILUM" show a.h5 --json
like "$stdout" '"dice_mean": [01]\.[0-9]+' "as JSON too"
run "$HILUM" plot a.h5 -o drawn
is "$status" 0 "its figures are drawn again"
is "$(ls drawn | wc -l | tr -d ' ')" 12 "all of them"
ok "and are the same" cmp drawn/a-dice-curves.svg a-dice-curves.svg

run "$HILUM" run small.lua --out a.h5
is "$status" 1 "the archive is not overwritten"
run "$HILUM" run small.lua --out b.h5 --json --set train.epochs=1
is "$status" 0 "JSON lines"
is "$(printf '%s\n' "$stdout" | wc -l | tr -d ' ')" 2 "one for each epoch and one at the end"
like "$stdout" '^\{ "archive": "b.h5".*"event": "end"' "the last is the result"
unlike "$stdout" "^[^{]" "and nothing else"
for field in cases_per_second seconds_left scales memory resident best waiting; do
  like "$(printf '%s\n' "$stdout" | head -n 1)" "\"$field\": " "an epoch's line holds $field"
done
run "$HILUM" run small.lua --quiet --set train.epochs=1
is "$status" 0 "without --out"
unlike "$stdout" "^epoch" "--quiet shows the result only"
like "$stdout" "^archive +runs/small-1.h5$" "the archive has the next free name"

sed 's/epochs = 2/epochs = 100000/' small.lua >long.lua
"$HILUM" run long.lua --out c.h5 >c.out 2>c.err &
job=$!
n=0
while ! grep -q '^epoch 2/' c.out && [ "$n" -lt 600 ]; do
  sleep 0.1
  n=$((n + 1))
done
kill -INT "$job"
status=0
wait "$job" || status=$?
is "$status" 130 "Ctrl-C ends a run cleanly"
like "$(cat c.err)" "c.h5 holds the run up to epoch [0-9]+" "and says what is kept"
run "$HILUM" show c.h5
is "$status" 0 "which is whole"
like "$stdout" "^state +not finished" "and known as unfinished"

"$HILUM" run small.lua --out d.h5 >/dev/null 2>&1
size=$(wc -c <d.h5)
blocks=$((size / 1024))
rm -f d.h5
status=0
(
  trap '' XFSZ # a write beyond the limit fails, as on a full disk
  ulimit -f $((blocks / 2 + 1))
  exec "$HILUM" run small.lua --out d.h5 >d.out 2>d.err
) || status=$?
is "$status" 1 "a full disk ends the run"
like "$(cat d.err)" "d.h5" "with the path"
like "$(cat d.err)" "nothing was written" "and what is kept"
ok "nothing half-written stays" sh -c '! ls -A | grep -q "d\.h5"'

run "$HILUM" run small.lua --out e.h5 --set optim.rate=1e300
is "$status" 1 "a loss that is no number ends the run"
like "$stderr" "the loss is -?(nan|inf) in epoch [12], step [0-9]+ \(cases [^;]+; scale 1: " "with epoch, step, case, scale"

mkdir empty
run "$HILUM" run small.lua --data empty --out f.h5
is "$status" 1 "an empty folder as data"
like "$stderr" "empty" "is named"
is "$(ls f.h5 2>/dev/null)" "" "and nothing is written"

finish
