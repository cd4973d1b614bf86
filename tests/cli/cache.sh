# hilum data prepare and cache: filling it, going on after a kill, two at once, damage, other settings.
. "$HILUM_SOURCE/tests/tap.sh"

field() { printf '%s\n' "$stdout" | sed -n "s/^ *\"$1\": *\"\{0,1\}\([^\",]*\).*/\1/p"; }
sums() { (cd "$1/sets" && find . -name '*.h5' | sort | xargs cksum); }

"$HILUM" data phantom chest --cases 6 --seed 9 >/dev/null
HILUM_CACHE=$work/first
export HILUM_CACHE
run "$HILUM" data prepare --data chest
is "$status" 0 "a folder is prepared"
like "$stdout" "^to prepare +6, which need about [0-9.]+ [KM]iB on the disk, or less$" "with the room it may need"
like "$stdout" "^cases +1[0-9]$" "its cases"
like "$stdout" "^prepared +6 now, 0 were there; " "and what was done"
is "$stderr" "" "and no bar without a terminal"
run "$HILUM" data prepare --data chest --json
is "$(field made)" 0 "again: all is there"
hash=$(field hash)

run "$HILUM" data cache list
like "$stdout" "^folder +$work/first$" "the cache says where it is"
like "$stdout" "^prepared +6 scans or patients, [0-9.]+ MiB$" "and what it holds"
run "$HILUM" data cache list --json
is "$(field entries)" 6 "the same as JSON"
run "$HILUM" data cache prune
like "$stdout" ": 0 files removed, 0 B$" "what was just used stays"

# an experiment finds what was prepared for its own settings
cat >small.lua <<'LUA'
local hl = require "hilum"
return hl.experiment {
  name = "small", data = hl.data.source(hl.arg("data", "phantom"), { lidc = { crop = 16 } }),
  model = hl.nn.unet { channels = { 2, 4 } }, loss = hl.loss.dice {}, optim = hl.optim.adam {},
  train = { epochs = 1, batch = 4 }, figures = {},
}
LUA
run "$HILUM" data prepare small.lua --data chest --json
is "$(field made)" 6 "another crop is prepared apart"
is "$(field hash)" "$hash" "from the same data"
run "$HILUM" run small.lua --data chest --out a.h5
is "$status" 0 "a run on it"
like "$stdout" "^cache +$work/first: 6 of 6 units were there$" "starts from the cache"
run "$HILUM" data prepare small.lua --data chest --set 'data.crop={8,16,16}' --json
is "$(field made)" 6 "a changed setting makes other samples"
touch "$(find chest -name '*.dcm' | sort | head -1)"
run "$HILUM" data prepare small.lua --data chest --json
is "$(field made)" 1 "a changed file only those of its scan"

HILUM_CACHE=/proc/nowhere
run "$HILUM" run small.lua --data chest --out b.h5
is "$status" 0 "without a cache it runs, too"
like "$stdout" "^cache +none, samples stay in memory: the cache cannot be written: /proc/nowhere" "and says so"
run "$HILUM" data prepare small.lua --data chest
is "$status" 1 "preparing is refused"
like "$stderr" "^hilum: the cache cannot be written: /proc/nowhere" "with the reason"

# killed again and again, some moments after something new is there
HILUM_CACHE=$work/killed
killed=0
files() { find killed -type f 2>/dev/null | wc -l; }
for moment in 0 1 2 3 4 5 6 7 8 9; do
  before=$(files)
  "$HILUM" data prepare --data chest --processes 1 >/dev/null 2>&1 &
  victim=$!
  while [ "$(files)" -le "$before" ] && kill -0 "$victim" 2>/dev/null; do sleep 0.005; done
  sleep "0.0${moment}5"
  if kill -9 "$victim" 2>/dev/null; then killed=$((killed + 1)); fi
  wait "$victim" 2>/dev/null
done
diag "$killed of 10 were killed; then there were $(find killed -name '*.about.h5' 2>/dev/null | wc -l) of 6 entries"
run "$HILUM" data prepare --data chest --json
is "$status" 0 "after ten kills"
is "$(field hash)" "$hash" "the rest is prepared"
like "$stdout" '"problems": \[\]' "and nothing is damaged"
HILUM_CACHE=$work/whole
run "$HILUM" data prepare --data chest
is "$(sums "$work/killed")" "$(sums "$work/whole")" "entries are those of a run that nobody disturbed"

# two at once
HILUM_CACHE=$work/both
"$HILUM" data prepare --data chest --json >one.json &
one=$!
"$HILUM" data prepare --data chest --json >two.json &
two=$!
wait "$one"; first=$?
wait "$two"; second=$?
is "$first $second" "0 0" "two at once both succeed"
ok "and agree" grep -q "$hash" one.json
ok "with each other" grep -q "$hash" two.json
is "$(sums "$work/both")" "$(sums "$work/whole")" "their entries are the same"
is "$(find both -name '*.part' | wc -l | tr -d ' ')" 0 "and nothing is left over"

# Ctrl-C
HILUM_CACHE=$work/stopped
"$HILUM" data prepare --data chest --processes 1 >/dev/null 2>stopped.txt &
victim=$!
i=0
while [ "$(find stopped -name '*.about.h5' 2>/dev/null | wc -l)" -lt 1 ] && [ $i -lt 200 ]; do
  sleep 0.02
  i=$((i + 1))
done
kill -TERM "$victim"
wait "$victim"
is "$?" 130 "an interrupted one ends as such"
like "$(cat stopped.txt)" "of 6 are prepared and will be found in the cache next time" "says what is kept"
run "$HILUM" data prepare --data chest --json
is "$(field hash)" "$hash" "and is completed by the next"

# damage
for file in "$work"/whole/sets/*/*.about.h5; do printf 'x' | dd of="$file" bs=1 seek=700 conv=notrunc 2>/dev/null; done
HILUM_CACHE=$work/whole
run "$HILUM" data prepare --data chest
is "$status" 0 "a damaged cache is no failure"
like "$stdout" "note: .*its entry in the cache is damaged and made anew" "it is made anew, with a note"
is "$(sums "$work/both")" "$(sums "$work/whole")" "and is as before"

run "$HILUM" data cache prune --all
like "$stdout" "^$work/whole: [1-9][0-9]* files removed, [0-9.]+ MiB$" "all of it can be removed"
is "$(find whole -type f | wc -l | tr -d ' ')" 0 "and is"
run "$HILUM" data cache prune --all --keep-days 3
is "$status" 2 "all but three days is nothing"
run "$HILUM" data cache lost
is "$status" 2 "an unknown action"
run "$HILUM" data prepare
is "$status" 2 "nothing to prepare"
like "$stderr" "expected an EXPERIMENT.lua, --data SOURCE, or both" "is said"
run "$HILUM" data prepare --data nowhere
is "$status" 1 "a folder that is not there"
finish
