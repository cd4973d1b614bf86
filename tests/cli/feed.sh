# Workers of a run: their number changes no bit, a killed one is replaced by the others, none outlives the run.
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME
cat >small.lua <<'END2'
local hl = require "hilum"

return hl.experiment {
  name = "small", seed = 5,
  data = hl.data.phantom { cases = 3, crop = 16, seed = 3 },
  augment = { hl.augment.flip {}, hl.augment.turn {} },
  model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
  loss = hl.loss.multiscale { term = hl.loss.dice {} + hl.loss.bce {} },
  optim = hl.optim.adam {},
  train = { epochs = 12, batch = 2 },
}
END2
sed 's/epochs = 12/epochs = 100000/' small.lua >long.lua

# The processes below $1.
children() { cat "/proc/$1/task/$1/children" 2>/dev/null; }

# Waits until a line of the file $2 is like $1.
wait_for() {
  n=0
  while ! grep -q "$1" "$2" 2>/dev/null && [ "$n" -lt 3000 ]; do
    sleep 0.02
    n=$((n + 1))
  done
}

# True once none of the processes is left (a dead one may wait for its new parent).
gone() {
  for n in $(seq 200); do
    left=0
    for pid in "$@"; do
      state=$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat" 2>/dev/null)
      [ -z "$state" ] || [ "$state" = Z ] || left=1
    done
    [ "$left" = 0 ] && return 0
    sleep 0.02
  done
  return 1
}

run "$HILUM" run small.lua --out none.h5 --workers 0
is "$status" 0 "a run without workers"
like "$stdout" "^feed +0 workers; the steps waited for data in [0-9.e-]+ % of their time$" "says what it waited for"
like "$stdout" "^saving +[0-9.e-]+ % of the epochs' time went into the archive$" "and what writing took"
like "$stdout" "^epoch 1/12 .* s \([0-9.e-]+ % waiting\)" "for each epoch"
for workers in 1 2 4; do
  run "$HILUM" run small.lua --out some.h5 --workers $workers
  is "$status" 0 "with $workers"
  like "$stdout" "^feed +$workers workers? with [0-9.]+ KiB of samples; the steps waited" "who say what they keep"
  [ "$status" = 0 ] || diag "$stderr"
  run "$HILUM" diff none.h5 some.h5
  is "$status" 0 "the bits are the same"
  [ "$status" = 0 ] || diag "$stdout"
  rm some.h5
done
run "$HILUM" run small.lua --out tight.h5 --workers 2 --feed-mib 1 --quiet
is "$status" 0 "within one MiB"
run "$HILUM" diff none.h5 tight.h5
is "$status" 0 "too"
run "$HILUM" run small.lua --out json.h5 --json --set train.epochs=1
like "$stdout" '"waiting": [0-9.e-]+' "machines are told"
like "$stdout" '"feed": \{.*"workers": 1' "at the end, too"

if [ -r "/proc/$$/task/$$/children" ]; then
  # Stopped while it has workers, so that one is killed for certain.
  "$HILUM" run small.lua --out killed.h5 --workers 2 >killed.out 2>killed.err &
  job=$!
  wait_for '^epoch 1/' killed.out
  kill -STOP "$job"
  one=$(children "$job" | cut -d' ' -f1)
  kill -9 "$one"
  kill -CONT "$job"
  status=0
  wait "$job" || status=$?
  is "$status" 0 "a worker is killed, the run goes on"
  [ "$status" = 0 ] || diag "$(cat killed.err)"
  like "$(cat killed.out)" "^data worker [12] of 2 ended with signal 9 \(Killed\).*: the others take over$" "and says so"
  run "$HILUM" diff none.h5 killed.h5
  is "$status" 0 "to the same bits"

  "$HILUM" run long.lua --out long.h5 --workers 2 >long.out 2>long.err &
  job=$!
  wait_for '^epoch 2/' long.out # the first is on the disk
  workers=$(children "$job")
  is "$(echo "$workers" | wc -w | tr -d ' ')" 2 "a run has two workers"
  kill -9 "$job"
  wait "$job" 2>/dev/null
  ok "they end with it when it is killed" gone $workers
  "$HILUM" run long.lua --out long.h5 --resume --workers 1 >again.out 2>again.err &
  job=$!
  wait_for '^epoch [0-9]*[0-9]/' again.out
  like "$(cat again.out)" "^resumed +after epoch [0-9]+" "it goes on with another number of them"
  workers=$(children "$job")
  for pid in $workers; do kill -INT "$pid"; done
  kill -INT "$job"
  status=0
  wait "$job" || status=$?
  is "$status" 130 "Ctrl-C, which all of them get, ends it cleanly"
  like "$(cat again.err)" "long.h5 holds the run up to epoch [0-9]+" "with what is kept"
  ok "and its worker" gone $workers
  "$HILUM" run long.lua --out last.h5 --workers 1 >last.out 2>last.err &
  job=$!
  wait_for '^epoch 1/' last.out
  kill -9 $(children "$job")
  status=0
  wait "$job" || status=$?
  is "$status" 1 "the only worker is killed"
  like "$(cat last.err)" "the data worker that prepared .+ ended with signal 9 \(Killed\)" "which names the cases"
  like "$(cat last.err)" "last.h5 holds the run up to epoch" "and what is kept"
else
  diag "no list of child processes here"
fi

run "$HILUM" bench feed small.lua --steps 1 --workers 2
is "$status" 0 "how fast samples come"
like "$stdout" "^load +[0-9.]+ ms +[0-9.]+ /s" "by stage"
like "$stdout" "^2 ahead, later epochs +[0-9.]+ ms" "and with workers"
like "$stdout" "^a step of 2 takes [0-9.]+ ms, [0-9.]+ ms for each sample: they come [0-9.e+]+ times as fast$" "beside a step"
run "$HILUM" bench feed small.lua --steps 1 --cases 4 --json
like "$stdout" '"cases": 4,.*"used": [0-9.]+' "for machines, too"
run "$HILUM" bench feed small.lua --workers 0
like "$stderr" "--workers: expected a whole number from 1 on" "which takes a worker"

for wrong in -1 x 1.5; do
  run "$HILUM" run small.lua --workers=$wrong
  is "$status" 2 "--workers=$wrong"
  like "$stderr" "--workers: expected a whole number from 0 on, got '$wrong'" "is refused"
done
run "$HILUM" run small.lua --feed-mib 0
like "$stderr" "--feed-mib: expected a whole number from 1 on, got '0'" "so is no memory"

finish
