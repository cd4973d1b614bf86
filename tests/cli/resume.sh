# A run that is killed (-9) at random moments and resumed ends with the bits of one that nobody disturbed; what resume
# refuses; what diff says; who holds an archive.
#   KILLS  how often it is killed (default 10)     SEED  of the moments
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME
kills=${KILLS:-10}
random=${SEED:-$(date +%s)}
diag "seed $random, $kills kills"
epochs=$((kills * 4 + 2)) # so many that it is not finished before it was killed as often

cat >small.lua <<END
local hl = require "hilum"
local own = require "own"

return hl.experiment {
  name = "small", seed = 5,
  data = hl.data.phantom { cases = 3, crop = 16, seed = 3 },
  augment = { hl.augment.reader {}, hl.augment.flip {}, hl.augment.turn {}, hl.augment.rotate { probability = 0.5 },
    hl.augment.elastic {}, hl.augment.gamma {}, hl.augment.noise {} },
  model = hl.nn.chain {
    hl.nn.conv { out = 4 },
    hl.nn.iunet { channels = { 4, 8 }, couplings = { 1, 1 }, heads = own.heads,
      coupling = hl.nn.additive { inner = hl.nn.inner { norm = "batch", dropout = 0.2 } } },
  },
  loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {}, weights = "learned" },
  optim = hl.optim.adamw { rate = hl.schedule.plateau { from = 3e-3, patience = 2 } },
  train = { epochs = $epochs, batch = 1, accumulate = 2, guard = { every = 3 }, average = 0.9 },
}
END
echo 'return { heads = { scales = { 1, 2 } } }' >own.lua

# A number below $1.
below() {
  random=$(((random * 1103515245 + 12345) % 2147483648))
  echo $((random / 65536 % $1))
}

run "$HILUM" run small.lua --out whole.h5
is "$status" 0 "a run that nobody disturbs"
[ "$status" = 0 ] || diag "$stderr"

# Killed some time after its first own epoch is on the disk, often while it writes the next; with 0, 1 or 2 workers.
done=0
last=0
stuck=""
while [ "$done" -lt "$kills" ]; do
  touch begun
  "$HILUM" run small.lua --out killed.h5 --resume --workers $((done % 3)) >log 2>&1 &
  job=$!
  n=0
  while ! [ killed.h5 -nt begun ] && kill -0 "$job" 2>/dev/null && [ "$n" -lt 6000 ]; do
    sleep 0.01
    n=$((n + 1))
  done
  sleep "0.$(printf '%03d' "$(below 60)")"
  kill -9 "$job" 2>/dev/null
  wait "$job" 2>/dev/null
  done=$((done + 1))
  after=$(sed -n 's/^resumed  *after epoch \([0-9]*\),.*/\1/p' log)
  [ "$done" = 1 ] || [ "${after:-0}" -gt "$last" ] || stuck="$stuck $done"
  last=${after:-0}
  grep -q '^validation ' log && break
done
is "$done" "$kills" "killed $kills times before its end"
is "$stuck" "" "each time it went on from a later epoch"
run "$HILUM" run small.lua --out killed.h5 --resume
is "$status" 0 "then it ends"
[ "$status" = 0 ] || diag "$stderr"
run "$HILUM" diff whole.h5 killed.h5
is "$status" 0 "with the same bits"
[ "$status" = 0 ] || diag "$stdout"
like "$stdout" "agree, bit by bit" "which is said"
ok "and leaves nothing behind" sh -c '! ls -A | grep -Eq "\.(part|lock|probe)$"'

run "$HILUM" run small.lua --out killed.h5 --resume
is "$status" 0 "a finished run is left alone"
like "$stdout" "is finished, nothing is left to train" "which is said"
like "$stdout" "^validation +Dice" "with its result"

run "$HILUM" run small.lua --out killed.h5 --resume --set seed=6
is "$status" 1 "another seed"
like "$stderr" "killed.h5: cannot be resumed: the experiment is another one; in the archive: seed = 5; now: seed = 6" "is refused by name"
run "$HILUM" run small.lua --out killed.h5 --resume --set train.epochs=$((epochs + 1))
is "$status" 1 "more epochs than planned"
like "$stderr" "more epochs than were planned \(--extend goes on" "need a word"
run "$HILUM" run small.lua --out killed.h5 --resume --extend --set train.epochs=$((epochs + 1))
is "$status" 0 "and go on with it"
like "$stdout" "^epoch $((epochs + 1))/$((epochs + 1)) " "with the epoch that is new"
run "$HILUM" diff whole.h5 killed.h5
is "$status" 1 "then the runs differ"
like "$stdout" "^experiment +line [0-9]+: epochs = $epochs.* \| epochs = $((epochs + 1))" "in the experiment"
like "$stdout" "^curves.epoch.loss_train\[$((epochs + 1))\] +nothing \| [0-9.]+" "in the curves"
like "$stdout" "^weights.last.* differ by up to" "and in the weights"
run "$HILUM" diff whole.h5 killed.h5 --json
like "$stdout" '"equal": false' "for machines too"

echo 'return { heads = { scales = { 1, 2 } } } -- changed' >own.lua
run "$HILUM" run small.lua --out whole.h5 --resume
is "$status" 1 "a changed module"
like "$stderr" "the module own is another one" "is refused by name"
echo 'return { heads = { scales = { 1, 2 } } }' >own.lua

cat >folder.lua <<'END'
local hl = require "hilum"
return hl.experiment {
  name = "folder", data = hl.data.source(hl.arg("data"), { lidc = { crop = 16 } }),
  model = hl.nn.unet { channels = { 4, 8 } }, loss = hl.loss.dice {}, optim = hl.optim.adam {},
  train = { epochs = 1 }, figures = {},
}
END
"$HILUM" data phantom lungs --cases 3 >/dev/null
"$HILUM" data phantom others --cases 3 --seed 2 >/dev/null
run "$HILUM" run folder.lua --data lungs --out folder.h5
is "$status" 0 "a run on a folder"
mv lungs moved
run "$HILUM" run folder.lua --data moved --out folder.h5 --resume --extend --set train.epochs=2
is "$status" 0 "whose data may be moved"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^resumed +after epoch 1" "before it goes on"
run "$HILUM" replay folder.h5 --out refused.h5 --data others --quiet
like "$stderr" "folder.h5: the data is other data than it was run on" "a replay on other data is refused"
run "$HILUM" replay folder.h5 --data others/../moved --quiet
is "$status" 0 "and one on moved data agrees"
[ "$status" = 0 ] || diag "$stdout $stderr"
run "$HILUM" verify folder.h5 --data others
like "$stdout" "^WRONG +data +is other data: its hash was" "verify sees other data too"
run "$HILUM" verify folder.h5 --data moved
is "$status" 0 "and moved ones as the same"
before=$(sha256sum folder.h5)
run "$HILUM" run folder.lua --data others --out folder.h5 --resume --extend --set train.epochs=3
is "$status" 1 "other data"
like "$stderr" "folder.h5: cannot be resumed: the data is other data; in the archive: [0-9a-f]{16}; now: [0-9a-f]{16}" "are refused by name"
rm "$(find moved -name '*.xml' | head -1)"
run "$HILUM" run folder.lua --data moved --out folder.h5 --resume --extend --set train.epochs=3
is "$status" 1 "and so is data that lacks a file"
is "$(sha256sum folder.h5)" "$before" "with the archive left alone"

run "$HILUM" run small.lua --resume
is "$status:$stderr" "2:hilum: --resume needs --out" "--resume needs --out"
run "$HILUM" run small.lua --out x.h5 --extend
is "$status:$stderr" "2:hilum: --extend needs --resume" "--extend needs --resume"
echo "no archive" >bad.h5
run "$HILUM" run small.lua --out bad.h5 --resume
is "$status" 1 "what is no archive"
like "$stderr" "bad.h5" "is named"
is "$(cat bad.h5)" "no archive" "and left alone"
head -c 3000 whole.h5 >cut.h5
run "$HILUM" run small.lua --out cut.h5 --resume
is "$status" 1 "a damaged archive"
like "$stderr" "cut.h5" "is named"

# In 16 bits: weights and optimiser are archived in f32, the state is none of them.
sed "s/epochs = $epochs/epochs = 40, precision = \"bf16\"/" small.lua >narrow.lua
run "$HILUM" run narrow.lua --out narrow.h5
is "$status" 0 "a run in bf16"
[ "$status" = 0 ] || diag "$stderr"
: >log # what an earlier run said would be read as this one's
"$HILUM" run narrow.lua --out stopped.h5 >log 2>&1 &
job=$!
n=0
while ! grep -q '^epoch 2/' log && [ "$n" -lt 6000 ]; do
  sleep 0.01
  n=$((n + 1))
done
kill -9 "$job"
wait "$job" 2>/dev/null
run "$HILUM" run narrow.lua --out stopped.h5 --resume
is "$status" 0 "is killed and resumed"
like "$stdout" "^resumed +after epoch [0-9]+, step" "from where it was"
run "$HILUM" diff narrow.h5 stopped.h5
is "$status" 0 "and ends with the same bits"
[ "$status" = 0 ] || diag "$stdout"

sed "s/epochs = $epochs/epochs = 100000/" small.lua >long.lua
: >log # what an earlier run said would be read as this one's
"$HILUM" run long.lua --out held.h5 >log 2>&1 &
job=$!
n=0
while ! grep -q '^epoch 1/' log && [ "$n" -lt 600 ]; do
  sleep 0.1
  n=$((n + 1))
done
run "$HILUM" run long.lua --out held.h5 --resume
is "$status" 1 "two processes on one archive"
like "$stderr" "held.h5: is being worked on by process $job on " "the second is told who holds it"
kill -TERM "$job"
wait "$job" 2>/dev/null
run "$HILUM" show held.h5
is "$status" 0 "SIGTERM leaves the last complete epoch"

finish
