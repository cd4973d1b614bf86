# Runs on a disk that fails at every call of a checkpoint, that fills up, that is taken away; under a clock that jumps;
# stopped by signals. What is on the disk is always a complete archive, and --resume goes on from it bit by bit.
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME
shim=$HILUM_BUILD/tests/c/shim.so

cat >small.lua <<'END'
local hl = require "hilum"
return hl.experiment {
  name = "small", seed = 5,
  data = hl.data.phantom { cases = 3, crop = 16, seed = 3 },
  augment = { hl.augment.flip {} },
  model = hl.nn.unet { channels = { 4, 8 } },
  loss = hl.loss.dice {}, optim = hl.optim.adam { rate = 3e-3 },
  train = { epochs = 2, batch = 2 }, figures = {},
}
END

# shimmed SETTING=VALUE… -- COMMAND…: the command with the shim and its settings.
shimmed() {
  run env LD_PRELOAD="$shim" SHIM_WATCH=box "$@"
}

run "$HILUM" run small.lua --out whole.h5
is "$status" 0 "a run that nobody disturbs"

# ---- every call of every checkpoint fails in turn ----

mkdir box
shimmed SHIM_MOST=65536 SHIM_LOG="$work/calls" "$HILUM" run small.lua --out box/run.h5
is "$status" 0 "a disk that takes few bytes at a time"
run "$HILUM" diff whole.h5 box/run.h5
is "$status" 0 "changes nothing"
calls=$(($(grep -c . calls) + $(grep -c '^syncdir' calls))) # opening a folder leaves no line
is "$(grep -c '^rename' calls)" 3 "it is written after each epoch and at the end"
ok "in several pieces" [ "$(grep -c '^write' calls)" -ge 6 ]
diag "$calls calls"

lost="" untold="" left="" other="" good="" blind=""
n=1
while [ "$n" -le "$calls" ]; do
  rm -rf box && mkdir box
  shimmed SHIM_MOST=65536 SHIM_FAIL="$n" SHIM_ERRNO=5 "$HILUM" run small.lua --out box/run.h5
  [ "$status" = 1 ] || good="$good $n"
  case $stderr in *box/run.h5*"Input/output error"*) ;; *) untold="$untold $n" ;; esac
  find box -mindepth 1 ! -name run.h5 | grep -q . && left="$left $n"
  said=$(printf '%s\n' "$stderr" | sed -n 's/.*holds the run up to epoch \([0-9]*\);.*/\1/p')
  if [ -e box/run.h5 ]; then
    run "$HILUM" show box/run.h5
    [ "$status" = 0 ] || lost="$lost $n"
    case $stdout in *"$said epochs"*) ;; *) blind="$blind $n" ;; esac
  elif [ -n "$said" ]; then
    lost="$lost $n"
  fi
  run "$HILUM" run small.lua --out box/run.h5 --resume --quiet
  run "$HILUM" diff whole.h5 box/run.h5
  [ "$status" = 0 ] || other="$other $n"
  n=$((n + 1))
done
is "$good" "" "each of $calls calls that fails ends the run with exit code 1"
is "$untold" "" "and a message that names the file and the reason"
is "$lost" "" "what is on the disk can be read"
is "$blind" "" "and is what the message says"
is "$left" "" "nothing else is left"
is "$other" "" "--resume goes on from it, to the same bits"

# ---- the index of a study ----

cat >two.lua <<'END'
local hl = require "hilum"
return hl.study { name = "two", base = require "small", vary = { seed = { 5, 6 } } }
END
run "$HILUM" run two.lua --out two --quiet
rm -rf box calls calls.data && mkdir box
shimmed SHIM_LOG="$work/calls" "$HILUM" run two.lua --out box --quiet
# Each call before a line of the log, with the opening of a folder, which leaves none.
numbers=$(awk '{ n++; if ($1 == "syncdir") n++ } $1 == "rename" && $3 == "box/two.h5" { print n }' calls)
ok "the index is written before, during and after each variant" [ "$(echo "$numbers" | wc -w)" -ge 7 ]
bad="" other=""
for n in $(echo "$numbers" | sed -n '1p;3p;6p'); do
  rm -rf box && mkdir box
  shimmed SHIM_FAIL="$n" "$HILUM" run two.lua --out box --quiet
  case $status:$stderr in 1:*"box/two.h5: cannot be written "*"renaming it"*) ;; *) bad="$bad $n" ;; esac
  find box -name '.*' | grep -q . && bad="$bad $n"
  run "$HILUM" run two.lua --out box --resume --quiet
  for seed in 5 6; do
    "$HILUM" diff "two/two/seed-$seed.h5" "box/two/seed-$seed.h5" >/dev/null || other="$other $n"
  done
  [ "$("$HILUM" show box/two.h5)" = "$("$HILUM" show two/two.h5)" ] || other="$other $n"
done
is "$bad" "" "where it cannot be, that is told"
is "$other" "" "and --resume goes on, to the same bits"

# ---- a pulled plug ----

rm -rf box calls calls.data && mkdir box
shimmed SHIM_MOST=16384 SHIM_LOG="$work/calls" "$HILUM" run small.lua --out box/run.h5 --quiet

run "$HILUM" repl "$HILUM_SOURCE/tests/cli/plug.lua" calls box/run.h5 "$work/plug"
is "$status" 0 "a power cut at every moment is looked at"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^[1-9][0-9] states, 4 contents, none damaged" "leaves the old archive or the new one"
diag "$stdout"
grep -v '^fsync' calls >careless
cp calls.data careless.data
run "$HILUM" repl "$HILUM_SOURCE/tests/cli/plug.lua" careless box/run.h5 "$work/plug"
like "$stdout" "[1-9][0-9]* damaged" "which it would not without fsync"

# ---- full ----

# full_disk NAME PATTERN: the run before ended so, with its first epoch kept.
full_disk() {
  is "$status" 1 "$1"
  like "$stderr" "box/run.h5: cannot be written \([0-9]+ bytes\): $2, while writing" "says file, bytes and reason"
  like "$stderr" "box/run.h5 holds the run up to epoch 1; --resume goes on from there" "and what is kept"
  is "$(ls -A box)" run.h5 "nothing else is left"
  run "$HILUM" run small.lua --out box/run.h5 --resume --quiet
  run "$HILUM" diff whole.h5 box/run.h5
  is "$status" 0 "with room again it goes on, to the same bits"
}

size=$(wc -c <whole.h5)
rm -rf box && mkdir box
shimmed SHIM_SPACE=$((size * 3 / 2)) "$HILUM" run small.lua --out box/run.h5
full_disk "a disk that fills up in the middle of a checkpoint" "No space left on device"

cat >in_tmpfs.sh <<END
mount -t tmpfs -o size=$((size * 3 / 2 / 1024))k none box || exit 77
"\$HILUM" run small.lua --out box/run.h5
status=\$?
cp -a box/. kept
exit \$status
END
rm -rf box kept && mkdir box kept
run unshare -rm sh in_tmpfs.sh
if [ "$status" = 77 ] || ! [ -e kept/run.h5 ]; then
  skip "a small file system cannot be mounted here" 5
else
  rmdir box && mv kept box
  full_disk "a file system that is full" "No space left on device"
fi

rm -rf box && mkdir box
run "$HILUM" run small.lua --out box/run.h5 --quiet --set train.epochs=1
first=$(wc -c <box/run.h5)
rm -rf box && mkdir box
run sh -c "ulimit -f $((first / 2 / 512)) && exec \"\$HILUM\" run small.lua --out box/run.h5"
is "$status" 1 "a limit to the size of files"
like "$stderr" "box/run.h5: cannot be written \([0-9]+ bytes\): File too large, while writing" "is a failure like others"
like "$stderr" "nothing was written: no epoch was complete" "with nothing kept"
is "$(ls -A box)" "" "nor left"

shimmed SHIM_FAIL=1 SHIM_ERRNO=13 "$HILUM" run small.lua --out box/run.h5
is "$status" 1 "a folder that may not be written to"
like "$stderr" "box/run.h5: cannot be written .*: Permission denied, while making a file beside it" "is named"

# ---- taken away ----

# started COMMAND…: in the background, as $job; returns when its first epoch is on the disk.
started() {
  rm -rf box && mkdir box
  env "$@" >log 2>&1 &
  job=$!
  n=0
  while ! [ -e box/run.h5 ] && kill -0 "$job" && [ "$n" -lt 1200 ]; do
    sleep 0.05
    n=$((n + 1))
  done
}

# ended NAME STATUS: waits for it.
ended() {
  wait "$job" 2>/dev/null
  is "$?" "$2" "$1"
}

started "$HILUM" run small.lua --out box/run.h5 --set train.epochs=3000
mv box gone # at once: rm would meet files that are made meanwhile, and leave the folder
rm -rf gone
ended "the folder is removed while it runs" 1
like "$(cat log)" "box/run.h5: cannot be written .*: No such file or directory, while" "is told"
like "$(cat log)" "box/run.h5, which held the run up to epoch [0-9]+, is not there any more" "and nothing is promised"

# ---- signals ----

# slowly: a run whose second checkpoint is being written.
slowly() {
  started LD_PRELOAD="$shim" SHIM_WATCH=box SHIM_SLEEP=2 "$HILUM" run small.lua --out box/run.h5 --set train.epochs=3
  n=0
  while ! ls -A box | grep -q 'part$' && [ "$n" -lt 1200 ]; do
    sleep 0.01
    n=$((n + 1))
  done
}

slowly
kill -INT "$job"
ended "Ctrl-C once, in the middle of a checkpoint" 130
like "$(cat log)" "box/run.h5 holds the run up to epoch 2; --resume goes on from there" "ends after it, and says how to go on"
is "$(ls -A box)" run.h5 "nothing is left behind"

slowly
kill -INT "$job"
sleep 0.2
kill -INT "$job"
ended "Ctrl-C twice" 130
unlike "$(cat log)" "holds the run" "ends at once"
run "$HILUM" show box/run.h5
like "$stdout" "not finished, 1 epochs" "with the archive as it was"
run "$HILUM" run small.lua --out box/run.h5 --resume --quiet --set train.epochs=3
is "$status" 0 "it can be gone on with"
is "$(ls -A box)" run.h5 "which clears away what was left"
run "$HILUM" run small.lua --out three.h5 --quiet --set train.epochs=3
run "$HILUM" diff three.h5 box/run.h5
is "$status" 0 "and ends with the same bits"

slowly
kill -INT "$job"
sleep 0.2
kill -TERM "$job"
ended "SIGTERM after Ctrl-C ends it at once too" 143

# ---- a clock that jumps ----

rm -rf box && mkdir box
shimmed SHIM_CLOCK=86400 "$HILUM" run small.lua --out box/run.h5
is "$status" 0 "a clock that jumps by a day, forth and back"
unlike "$stdout" " -[0-9.]+ s|-[0-9]+:" "makes no time negative"
like "$stdout" "^time +0:[0-9]{2}$" "nor long"
run "$HILUM" diff whole.h5 box/run.h5
is "$status" 0 "and changes nothing"

finish
