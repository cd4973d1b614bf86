# A study of three variants that is killed (-9) at random moments and resumed ends with the bits of one that nobody
# disturbed; a variant that fails; what is refused; its plan and its index.
#   KILLS  how often it is killed at most (default 6)     SEED  of the moments
. "$HILUM_SOURCE/tests/tap.sh"

XDG_CACHE_HOME=$HILUM_BUILD/tests/cache
export XDG_CACHE_HOME
kills=${KILLS:-6}
random=${SEED:-$(date +%s)}
diag "seed $random"

cat >base.lua <<'END'
local hl = require "hilum"

return function(name, rest)
  local all = {
    name = name, seed = 5,
    data = hl.data.phantom { cases = 3, crop = 16, seed = 3 },
    augment = { hl.augment.flip {} },
    model = hl.nn.unet { channels = { 4, 8 } },
    loss = hl.loss.dice {}, optim = hl.optim.adam { rate = 3e-3 },
    train = { epochs = 4, batch = 2 }, figures = {},
  }
  for key, part in pairs(rest or {}) do all[key] = part end
  return all
end
END
cat >small.lua <<'END'
local hl = require "hilum"
return hl.study {
  name = "small", base = require "base" "small",
  vary = { seed = { 1, 2, 3 } },
}
END
cat >alone.lua <<'END'
local hl = require "hilum"
return hl.experiment(require "base"("seed-2", { seed = 2 }))
END

# A number below $1.
below() {
  random=$(((random * 1103515245 + 12345) % 2147483648))
  echo $((random / 65536 % $1))
}

run "$HILUM" plan small.lua
is "$status" 0 "a study has a plan"
like "$stdout" "^study small, 3 variants" "which counts its variants"
like "$stdout" "^seed-2 +[0-9]+ +[0-9.]+ MiB +2 +4 +seed = 2" "with a line for each"
run "$HILUM" plan small.lua --json
like "$stdout" '"settings": "seed = 3"' "for machines too"

run "$HILUM" run small.lua --out whole
is "$status" 0 "a study that nobody disturbs"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^variant 2 of 3 .*: seed-2" "says which variant it is at"
like "$stdout" "^seed-3 +finished +4 of 4 +[0-9.]+ +[0-9]+ +[0-9.]+" "and ends with a table"
is "$(find whole | sort | tr '\n' ' ')" \
  "whole whole/small whole/small.h5 whole/small/seed-1.h5 whole/small/seed-2.h5 whole/small/seed-3.h5 " \
  "one index and an archive each"
run "$HILUM" run alone.lua --out alone.h5 --quiet
run "$HILUM" diff alone.h5 whole/small/seed-2.h5
unlike "$stdout" "^(curves|weights|cases|split|data|drawn|experiment)" "a variant has the bits of the same experiment alone"

# Killed anywhere once it has got further: in the middle of a variant, between two of them.
done=0
resumed=0
while [ "$done" -lt "$kills" ]; do
  touch begun
  "$HILUM" run small.lua --out killed.h5 --resume >log 2>&1 &
  job=$!
  n=0
  while [ -z "$(find killed -name 'seed-*.h5' -newer begun 2>/dev/null)" ] && kill -0 "$job" 2>/dev/null &&
    [ "$n" -lt 6000 ]; do
    sleep 0.01
    n=$((n + 1))
  done
  sleep "0.$(printf '%03d' "$(below 400)")"
  kill -9 "$job" 2>/dev/null
  wait "$job" 2>/dev/null
  grep -Eq '^resumed |is finished' log && resumed=$((resumed + 1))
  done=$((done + 1))
  grep -q '^index ' log && break
done
ok "killed $done times, went on $resumed times" [ "$resumed" -ge $((done - 1)) ]
run "$HILUM" run small.lua --out killed.h5 --resume
is "$status" 0 "a study that was killed ends"
[ "$status" = 0 ] || diag "$stderr"
for n in 1 2 3; do
  run "$HILUM" diff "whole/small/seed-$n.h5" "killed/seed-$n.h5"
  is "$status" 0 "variant $n has the same bits"
  [ "$status" = 0 ] || diag "$stdout"
done
is "$("$HILUM" show killed.h5)" "$("$HILUM" show whole/small.h5)" "the index says the same"
ok "nothing is left behind" sh -c '! find . -name ".*" | grep -Eq "\.(part|lock|probe)$"'

# Exactly in the middle of the second variant.
sed 's/epochs = 4/epochs = 15/; s/"small"/"long"/' base.lua >longer.lua
sed 's/"base"/"longer"/; s/"small"/"long"/g' small.lua >long.lua
: >log # what an earlier run said would be read as this one's
"$HILUM" run long.lua --out long.h5 --set train.epochs=15 --json >log 2>&1 &
job=$!
n=0
while ! grep -q '"variant": "seed-2"' log && [ "$n" -lt 600 ]; do
  sleep 0.05
  n=$((n + 1))
done
run "$HILUM" run long.lua --out long.h5 --resume --set train.epochs=15
is "$status" 1 "two processes on one study"
like "$stderr" "long.h5: is being worked on by process $job on " "the second is told who holds it"
kill -TERM "$job"
wait "$job"
is "$?" 130 "SIGTERM ends it cleanly"
like "$(cat log)" "long.h5: 1 of 3 variants are finished; --resume goes on with the others" "and says how to go on"
like "$(cat log)" "long/seed-2.h5 holds the run up to epoch [0-9]+" "and where the variant stands"
run "$HILUM" show long.h5
like "$stdout" "^seed-1 +finished +15 of 15" "the first is finished"
like "$stdout" "^seed-2 +begun +[0-9]+ of 15" "the second begun"
like "$stdout" "^seed-3 +waiting +0 of 15" "the third waits"
before=$(sha256sum long/seed-1.h5)
run "$HILUM" run long.lua --out long.h5 --resume --set train.epochs=15
is "$status" 0 "then it goes on"
like "$stdout" "^variant 1 of 3: seed-1 is finished" "past the first"
like "$stdout" "^resumed +after epoch [0-9]+" "in the middle of the second"
is "$(sha256sum long/seed-1.h5)" "$before" "what was finished is left alone"

# ---- what is refused ----

run "$HILUM" run small.lua --out killed.h5
is "$status" 1 "an index that is there"
like "$stderr" "killed.h5: already exists" "is not overwritten"
rm killed.h5
run "$HILUM" run small.lua --out killed.h5
is "$status" 1 "nor archives of variants"
like "$stderr" "killed/seed-1.h5: already exists" "which are named"
ok "and no index is left" test ! -e killed.h5
run "$HILUM" run small.lua --out killed.h5 --resume --quiet
is "$status" 0 "--resume takes them over"
like "$stdout" "^seed-3 +finished +4 of 4" "as they are"
run "$HILUM" run small.lua --out killed.h5 --resume --set train.batch=1
is "$status" 1 "another study"
like "$stderr" "killed.h5: cannot be resumed: the study is another one .*in the archive: train = .* batch = 2.*; now: train = .* batch = 1" "is refused by name"
run "$HILUM" run small.lua --out killed.h5 --set seed=4
is "$status" 1 "--set of what is varied"
like "$stderr" "small.lua:2: hl.study: --set seed: the study varies seed" "is refused"
sed 's/{ 1, 2, 3 }/{ 1, 2, 3, 4 }/' small.lua >more.lua && mv more.lua small.lua
run "$HILUM" run small.lua --out killed.h5 --resume
is "$status" 1 "more variants than planned"
like "$stderr" "--extend goes on with more variants" "need a word"
run "$HILUM" run small.lua --out killed.h5 --resume --extend --set train.epochs=5 --json
is "$status" 0 "and go on with it"
like "$(printf '%s\n' "$stdout" | tail -1)" '"event": "study".*"epochs": 5,.*"name": "seed-4"' "for more epochs too"
is "$(printf '%s\n' "$stdout" | grep -c '"event": "epoch"')" 8 "with the epochs that are new"
sed 's/{ 1, 2, 3, 4 }/{ 2, 3, 4 }/' small.lua >more.lua && mv more.lua small.lua
run "$HILUM" run small.lua --out killed.h5 --resume --extend --set train.epochs=5
like "$stderr" "in the archive: the variant seed-1; now: none of this name" "fewer are refused"
run "$HILUM" diff killed.h5 killed.h5
like "$stderr" "killed.h5: /: is not the archive of a run but of the format 'hilum study'" "an index is no run"

cat >moved.lua <<'END'
local hl = require "hilum"
return hl.study {
  name = "moved", vary = { seed = { 1, 2 } },
  base = { data = hl.data.source(hl.arg("data"), { lidc = { crop = 16 } }), model = hl.nn.unet { channels = { 4, 8 } },
    loss = hl.loss.dice {}, optim = hl.optim.adam {}, train = { epochs = 1 }, figures = {} },
}
END
"$HILUM" data phantom lungs --cases 3 >/dev/null
run "$HILUM" run moved.lua --data lungs --out moved.h5 --quiet
mv lungs elsewhere
rm moved/seed-2.h5
run "$HILUM" run moved.lua --data elsewhere --out moved.h5 --resume
is "$status" 0 "data may be moved"
[ "$status" = 0 ] || diag "$stderr"
like "$stdout" "^seed-2 +finished +1 of 1" "and an archive that is gone is made again"

# ---- a variant that fails ----

cat >bad.lua <<'END'
local hl = require "hilum"
local function rate(r) return hl.optim.sgd { rate = r } end
return hl.study { name = "bad", base = require "base" "bad",
  vary = { optim = { good = rate(1e-3), bad = rate(1e30), fine = rate(1e-2) }, ["train.epochs"] = { 2 } } }
END
run "$HILUM" run bad.lua --out bad.h5
is "$status" 1 "a study with a variant that fails"
like "$stderr" "^hilum: optim-bad_epochs-2: .* is (-?nan|inf) in epoch [12], step [0-9]" "which is told when it happens"
like "$stderr" "^hilum: 1 of 3 variants failed; --resume tries them again" "and counted at the end"
like "$stdout" "^optim-good_epochs-2 +finished +2 of 2" "the others go on"
like "$stdout" "^optim-bad_epochs-2 +failed" "it is noted"
run "$HILUM" show bad.h5
is "$status" 0 "in the index"
like "$stdout" "^optim-bad_epochs-2: .* in epoch [12]" "with its reason"
run "$HILUM" show bad.h5 --json
like "$stdout" '"state": "failed"' "for machines too"
run "$HILUM" run bad.lua --out bad.h5 --resume --quiet
is "$status" 1 "--resume tries it again"
run "$HILUM" run bad.lua --out fast.h5 --fail-fast
is "$status" 1 "--fail-fast"
like "$stderr" "fast.h5: 0 of 3 variants are finished; --resume goes on with the others" "ends the study at once"
run "$HILUM" show fast.h5
like "$stdout" "^optim-good_epochs-2 +waiting" "so that the others wait"

finish
