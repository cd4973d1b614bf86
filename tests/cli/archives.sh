# Archives afterwards: hilum list finds them, hilum verify checks them, hilum replay runs them again.
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME

cat >small.lua <<'END'
local hl = require "hilum"
return hl.experiment {
  name = "small", seed = 5,
  data = hl.data.phantom { cases = 3, crop = 16, seed = 3 },
  augment = { hl.augment.flip {} },
  model = hl.nn.unet { channels = { 4, 8 }, heads = { scales = { 1, 2 } } },
  loss = hl.loss.multiscale { term = hl.loss.dice {} }, optim = hl.optim.adam { rate = 3e-3 },
  train = { epochs = 2, batch = 2, average = 0.9 }, figures = {},
}
END
cat >some.lua <<'END'
local hl = require "hilum"
return hl.study { name = "some", base = require "small", vary = { seed = { 1, 2 } } }
END

mkdir runs
run "$HILUM" list runs
is "$status:$stdout" "0:no archives" "an empty folder"
run "$HILUM" run small.lua --out runs/deep/er/small.h5
run "$HILUM" run some.lua --out runs --quiet
is "$status" 0 "a run and a study"
touch runs/.hidden.h5

# ---- list ----

run "$HILUM" list runs
is "$status" 0 "they are listed"
like "$stdout" "^archive +name +method +epochs +best Dice +date +state$" "with a head"
like "$stdout" "^runs/deep/er/small.h5 +small +unet, 2 scales, multiscale +2 +[01]\.[0-9]{3} +20[0-9-]+T[0-9:]+ +finished$" "a run"
like "$stdout" "^runs/some.h5 +some +study +[01]\.[0-9]{3} +20[0-9-]+T[0-9:]+ +2 of 2 finished$" "a study"
like "$stdout" "^runs/some/seed-2.h5 +seed-2 +unet" "and its variants"
is "$(printf '%s\n' "$stdout" | wc -l)" 5 "and nothing else"
(cd runs && "$HILUM" list) >listed
like "$(cat listed)" "^deep/er/small.h5 +small " "the current folder, where none is named"
run "$HILUM" list runs --json
like "$stdout" '"method": "unet, 2 scales, multiscale"' "as JSON"
echo "no archive" >runs/other.h5
run "$HILUM" list runs
is "$status" 1 "a file that is no archive at all"
like "$stderr" "runs/other.h5" "is named"
like "$stdout" "^runs/deep/er/small.h5" "and the others are listed"
rm runs/other.h5
run "$HILUM" list nowhere
is "$status" 1 "a folder that is not there"
like "$stderr" "nowhere" "is named"

# ---- verify ----

run "$HILUM" verify runs/deep/er/small.h5 --data phantom
is "$status" 0 "an archive as it was written"
for what in file modules experiment split curves metrics results weights data; do
  like "$stdout" "^ok +$what +[^ ]" "its $what"
done
run "$HILUM" verify runs/some.h5
is "$status" 0 "a study"
like "$stdout" "^ok +variant seed-2 archive and index agree" "with its variants"
run "$HILUM" verify runs/some.h5 --json
like "$stdout" '"fine": true' "as JSON"

cp runs/deep/er/small.h5 changed.h5
printf 'x' | dd of=changed.h5 bs=1 seek=5000 conv=notrunc 2>/dev/null
run "$HILUM" verify changed.h5
is "$status" 1 "a changed byte"
like "$stderr" "changed.h5: is damaged: its content does not have the SHA-256" "is found"
head -c -101 runs/deep/er/small.h5 >unsealed.h5
run "$HILUM" verify unsealed.h5
is "$status" 1 "an archive without its sum"
like "$stdout" "^WRONG +file +has no sum at its end: another program wrote or changed it" "is no longer vouched for"

# altered NAME CHANGE PATTERN: a run whose archive was written with another content is found out.
altered() {
  cat >alter.lua <<END
local archive = require "hilum.archive"
local run = assert(archive.run_read "runs/deep/er/small.h5")
$2
assert(archive.run_write(run, "altered.h5"))
END
  run "$HILUM" repl alter.lua
  run "$HILUM" verify altered.h5
  is "$status" 1 "$1"
  like "$stdout" "^WRONG +$3" "is found"
}

altered "another source" 'run.modules["small.lua"].source = "return 3"' "modules +small.lua is not what it was"
altered "another seed" 'run.seed = 6' "experiment +has the seed 5, the run 6"
altered "no experiment" 'run.experiment = "return 3"' "experiment +altered.h5: holds no experiment"
altered "no program" 'run.experiment = "return ("' "experiment +altered.h5: its experiment is no program"
sed 's/^run.experiment.*/run.experiment = "return own.experiment { }"/' alter.lua >own.lua
run "$HILUM" repl own.lua
run "$HILUM" verify altered.h5
is "$status" 0 "what is made of the author's own parts is not built"
like "$stdout" "^ok +experiment +not built: .*it is made of 'own', which is not part of this hilum" "which is said"
altered "a patient on both sides" 'table.insert(run.split.train, run.split.validation[1])' "split +patient .* is on both sides"
altered "a case on the other side" 'run.cases[1].role = run.cases[1].role == "train" and "validation" or "train"' \
  "split +case .* counts as"
altered "an epoch too few" 'run.state.epoch = 1' "curves +column .* has 2 rows of 1"
altered "another best epoch" 'run.curves.epoch.dice_validation[1] = 0.99' "curves +the best epoch is 1 by the curves, 2 by"
altered "a better metric" 'run.metrics.dice.mean = 0.9' "metrics +dice: mean 0.9 of"
altered "no weights" 'run.weights.best = nil' "weights +altered.h5: holds no best weights"
altered "a weight that is no number" 'local name, w = next(run.weights.last)
run.weights.last[name] = w * (0 / 0)' "weights +last weights: .* is not finite"

sed 's/seed = 5/seed = 7/' small.lua >seven.lua
"$HILUM" run seven.lua --out seven.h5 --quiet --set name=seed-1 >/dev/null
cp seven.h5 runs/some/seed-1.h5
rm runs/some/seed-2.h5
run "$HILUM" verify runs/some.h5
is "$status" 1 "a study with another run in a variant's place"
like "$stdout" "^WRONG +variant seed-1 study: its experiment is not the one that the study's index names" "is found"
like "$stdout" "^WRONG +variant seed-2 runs/some/seed-2.h5 is not there" "and a variant that is gone"
run "$HILUM" verify nowhere.h5
is "$status" 1 "no archive"
like "$stderr" "nowhere.h5" "is named"

# ---- replay ----

rm small.lua
run "$HILUM" replay runs/deep/er/small.h5 --out again.h5
is "$status" 0 "a run is run again from its archive alone"
[ "$status" = 0 ] || diag "$stdout $stderr"
like "$stdout" "^runs/deep/er/small.h5 and again.h5 agree, bit by bit" "with the same bits"
run "$HILUM" diff runs/deep/er/small.h5 again.h5
is "$status" 0 "as diff says too"
run "$HILUM" replay runs/deep/er/small.h5 --out again.h5
is "$status" 1 "an archive that is there"
like "$stderr" "again.h5: already exists" "is not overwritten"
cat >alter.lua <<END
local archive = require "hilum.archive"
local run = assert(archive.run_read "runs/deep/er/small.h5")
run.curves.epoch.loss_train[2] = 0.5
assert(archive.run_write(run, "altered.h5"))
run.state.finished = false
assert(archive.run_write(run, "unfinished.h5"))
run.state.finished, run.data.hash = true, ("0"):rep(64)
assert(archive.run_write(run, "moved.h5"))
END
run "$HILUM" repl alter.lua
run "$HILUM" replay altered.h5 --json
is "$status" 1 "a run that tells something else"
like "$stdout" '"path": "curves.epoch.loss_train\[2\]"' "is found out"
like "$stdout" '"replay": "altered-replay.h5"' "in an archive beside it"
run "$HILUM" replay unfinished.h5
like "$status $stderr" "1 hilum: unfinished.h5: is not finished" "a run that is not finished is refused"
run "$HILUM" replay moved.h5
like "$status $stderr" "1 hilum: moved.h5: the data is other data than it was run on: its hash was 0000000000000000 and is" "other data are"
run "$HILUM" replay altered.h5 --out x.h5 --data /tmp
like "$status $stderr" "2 hilum: --data: hl.data.phantom lies in no folder" "as is a place for data that has none"

finish
