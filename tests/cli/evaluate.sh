# Evaluating archived networks, comparing runs, reports: on small phantoms, and on what must be refused.
. "$HILUM_SOURCE/tests/tap.sh"

cat >small.lua <<'LUA'
local hl = require "hilum"
return hl.experiment {
  name = "small", seed = 3, data = hl.data.phantom { cases = 5, crop = 16, seed = 5 },
  split = { validation = { "PHANTOM-0002", "PHANTOM-0004" } },
  model = hl.nn.unet { channels = { 4, 8 } }, loss = hl.loss.dice {} + hl.loss.bce {},
  optim = hl.optim.adam { rate = 1e-2 }, train = { epochs = 2, batch = 2 },
  evaluate = { hl.metric.dice {}, hl.metric.slice_dice {}, hl.metric.assd {} },
  figures = {},
}
LUA
train() { run "$HILUM" run small.lua --quiet "$@"; }
train --out a.h5
is "$status" 0 "a network is trained"
train --out a2.h5 --set seed=4
is "$status" 0 "with another seed"
train --out b.h5 --set name=other --set 'loss=hl.loss.bce {}'
is "$status" 0 "and with another loss"

# ---- evaluate ----
run "$HILUM" evaluate a.h5
is "$status" 2 "evaluating needs data"
run "$HILUM" evaluate a.h5 --data phantom --out same.h5
is "$status" 0 "on the data it was trained on"
like "$stdout" "WARNING +3 patients of this data trained the network: their cases count in no mean" "who trained is said"
like "$stdout" "NOTE +this is the data that the network was trained on" "and that it is the same data"
like "$stdout" "WARNING +2 patients of it chose the best epoch" "and who chose the weights"
like "$stdout" "^evaluated +[0-9]+ cases of 2 patients" "those who did not train count"
like "$stdout" "^dice +[0-9.]+ +[0-9.]+ to [0-9.]+ +[0-9.]+ +[0-9]+ +0" "with an interval"
like "$stdout" "^empty +0 truths, [0-9]+ predictions" "and the number of empty masks"
run "$HILUM" show same.h5
like "$stdout" "^evaluation +the best weights of a.h5, epoch [12]" "show knows what it is"
run "$HILUM" plot same.h5 --figures slices,dice_by_size --formats svg
is "$status" 0 "and it is drawn"
run "$HILUM" verify same.h5
is "$status" 0 "it is whole"
run "$HILUM" replay same.h5
is "$status" 1 "it is not trained again"
like "$stderr" "same.h5: is an evaluation" "which is said"
run "$HILUM" run small.lua --out same.h5 --resume
is "$status" 1 "but not resumed"
run "$HILUM" evaluate a.h5 --data phantom --out same.h5
is "$status" 1 "an existing result"
like "$stderr" "same.h5: already exists" "is not overwritten"

run "$HILUM" evaluate a.h5 --data phantom --weights last --out last.h5 --json
is "$status" 0 "the last weights, for machines"
like "$stdout" '"weights": "last"' "as JSON"
like "$stdout" '"median_interval": \{' "with intervals"
like "$stderr" "WARNING" "and the warning where people see it"
mean() { "$HILUM" show "$1" --json | sed -n '/"dice": {/,/}/s/.*"mean": \([0-9.e-]*\).*/\1/p'; }
is "$(mean last.h5)" "$(mean a.h5)" "the mean of the training's own end, bit for bit"

run "$HILUM" data phantom other --cases 3 --seed 77
run "$HILUM" evaluate a.h5 --data other --out other.h5
is "$status" 0 "another folder, prepared in the same way"
like "$stdout" "protocol +16 × 16 × 16 voxels of 1 × 1 × 1 mm" "whose protocol is said"
like "$stdout" "WARNING +2 patients of this data trained" "patients of the same name are taken for the same"
run "$HILUM" evaluate a.h5 --data other --other-patients --out others.h5
like "$stdout" "^evaluated +[0-9]+ cases of 3 patients" "unless it is said that they are others"
unlike "$stdout" "WARNING" "without a warning"
rm -r other/PHANTOM-0002
run "$HILUM" evaluate a.h5 --data other --out none.h5
is "$status" 1 "a set of nobody but those who trained"
like "$stderr" "all 2 patients of other trained the network of a.h5: there is nothing to evaluate it on" "is refused"
ok "and nothing is written" test ! -e none.h5
find other -name '*.xml' -delete
run "$HILUM" evaluate a.h5 --data other --out none.h5
is "$status" 1 "a set without nodules"
like "$stderr" "no nodule fits the experiment" "is refused"
run "$HILUM" evaluate a.h5 --data nowhere --out none.h5
is "$status" 1 "data that is not there"
like "$stderr" '"nowhere" is not there' "is named"
"$HILUM" evaluate a.h5 --data phantom --set none >out.txt 2>&1
is "$?" 2 "an option that is none"
run "$HILUM" evaluate same.h5 --data phantom --out none.h5
is "$status" 1 "an archive without weights"
like "$stderr" "same.h5: holds no best weights" "is named"
head -c 5000 a.h5 >damaged.h5
run "$HILUM" evaluate damaged.h5 --data phantom --out none.h5
is "$status" 1 "a damaged archive"
like "$stderr" "damaged.h5" "is named"
echo no >text.h5
run "$HILUM" evaluate text.h5 --data phantom --out none.h5
is "$status" 1 "a file that is no archive"

cat >break.lua <<'LUA'
local archive = require "hilum.archive"
local run = assert(archive.run_read "a.h5")
for _, t in pairs(run.weights.best) do t:fill(3e38) end
assert(archive.run_write(run, "wild.h5"))
run = assert(archive.run_read "a.h5")
run.experiment = "while true do end"
assert(archive.run_write(run, "endless.h5"))
run.experiment, run.name = 'os.execute "touch harm"', "\27[2J</title><script>`x`\n|"
for _, row in ipairs(run.cases) do row.id = row.id .. "<script>" end
assert(archive.run_write(run, "hostile.h5"))
LUA
run "$HILUM" repl break.lua
run "$HILUM" evaluate wild.h5 --data phantom --out none.h5
is "$status" 1 "a network that predicts no numbers"
like "$stderr" "case PHANTOM-000[0-9]-[0-9]: the prediction holds [0-9]+ numbers that are none" "the case is named"
run timeout 60 "$HILUM" evaluate endless.h5 --data phantom --out none.h5
is "$status" 1 "an archive whose program does not end"
like "$stderr" "endless.h5: its experiment cannot be built: .*runs for too long" "is stopped"

# ---- compare ----
run "$HILUM" compare a.h5 b.h5 a2.h5
is "$status" 0 "runs are compared"
like "$stdout" "^2 methods on [0-9]+ cases of 2 patients; readers' Dice" "runs that differ in the seed are one method"
like "$stdout" "^dice +small \(mean of 2 seeds\) +[0-9.]+" "with the mean over the seeds"
like "$stdout" "^Differences to small" "differences to the first"
run "$HILUM" compare b.h5 a.h5 --markdown --reference best
is "$status" 0 "in Markdown, against the best"
like "$stdout" "^\| metric \| method \| mean \|" "as a table"
run "$HILUM" compare a.h5 b.h5 --json -o figures
like "$stdout" '"p_holm": [0-9.]+' "for machines"
is "$(ls figures)" "$(printf 'compare-cost.png\ncompare-cost.svg\ncompare-methods.png\ncompare-methods.svg')" "with figures"
run "$HILUM" compare a.h5 same.h5
is "$status" 1 "a run and an evaluation"
like "$stderr" "same.h5 is an evaluation and a.h5 a training run" "are not compared"
run "$HILUM" compare same.h5 others.h5
is "$status" 1 "other data"
like "$stderr" "are of different data" "is not compared"
run "$HILUM" compare a.h5 b.h5 --reference nobody
is "$status" 2 "a reference that is none"
run "$HILUM" compare hostile.h5 a.h5
is "$status" 1 "cases of other names"
unlike "$stderr" "$(printf '\033')" "and no name commands a terminal"
run "$HILUM" compare hostile.h5
unlike "$stdout" "$(printf '\033')" "here neither"

cat >study.lua <<'LUA'
local hl = require "hilum"
return hl.study { name = "two", base = require "small", vary = { seed = { 1, 2 } } }
LUA
run "$HILUM" run study.lua --quiet --out two.h5 --set train.epochs=1
is "$status" 0 "a study"
run "$HILUM" compare two.h5
like "$stdout" "^1 method on" "its variants are compared"
cat >folds.lua <<'LUA'
local hl = require "hilum"
return hl.study { name = "folds", base = require "small", vary = { split = {
  { folds = 2, fold = 1 }, { folds = 2, fold = 2 } } } }
LUA
run "$HILUM" run folds.lua --quiet --out folds.h5 --set train.epochs=1
is "$status" 0 "a study of folds"
run "$HILUM" compare folds.h5
like "$stdout" "^1 method on [0-9]+ cases of 5 patients" "is one run over all patients"
run "$HILUM" report folds.h5 -o folds.html
like "$(cat folds.html)" "by patient: 2 of 2 folds" "whose report says so"
run "$HILUM" report two.h5 -o study.html
is "$status" 0 "and reported"
like "$(cat study.html)" "<h1>Study two</h1>" "under its name"

# ---- report ----
run "$HILUM" report a.h5
is "$status" 2 "a report needs a name"
run "$HILUM" report a.h5 -o report.pdf
is "$status" 2 "of a kind that there is"
run "$HILUM" report a.h5 -o pages/report.html
is "$status" 0 "a report of one run"
page=$(cat pages/report.html)
like "$page" "<h2>What is not known</h2>" "says what is not known"
like "$page" "sha256</td><td>$(sha256sum a.h5 | cut -c 1-64)<" "and the file's hash"
like "$page" "<svg" "with figures inside"
is "$(ls pages)" report.html "as one file"
train --out whole.h5 --set data.extent=scan --set data.crop=32 --set train.epochs=1
is "$status" 0 "whole scans"
run "$HILUM" evaluate whole.h5 --data phantom --out whole-again.h5
run "$HILUM" report whole-again.h5 -o pages/whole.html
is "$status" 0 "are evaluated and reported"
like "$(cat pages/whole.html)" "<td>false positives in a scan</td><td class=\"n\">[0-9.]+</td>" "by lesion"
run "$HILUM" report others.h5 -o pages/evaluation.html
like "$(cat pages/evaluation.html)" "Evaluation of small" "a report of an evaluation"
run "$HILUM" report a.h5 b.h5 -o pages/both.md
is "$status" 0 "a report of two, in Markdown"
figure=$(sed -n 's/^!\[.*\](<\(both-figures.*\)>)$/\1/p' pages/both.md | head -n 1)
ok "with figures beside ($figure)" test -s "pages/$figure"
run timeout 60 "$HILUM" report hostile.h5 -o pages/hostile.html
is "$status" 0 "a stranger's run"
unlike "$(tr 'A-Z' 'a-z' <pages/hostile.html)" "<script" "is shown as text"
like "$(cat pages/hostile.html)" "It cannot be rebuilt here" "its program is not run"
ok "nor does it do any harm" test ! -e harm
run "$HILUM" report a.h5 same.h5 -o pages/no.html
is "$status" 1 "what may not be compared"
ok "gives no report" test ! -e pages/no.html
finish
