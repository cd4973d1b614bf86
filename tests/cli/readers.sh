# hilum data nodules, agreement and show: what readers outlined, in numbers and as a figure.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" data phantom chest --cases 2 --seed 9
is "$status" 0 "a phantom to look at"

run "$HILUM" data nodules chest
is "$status" 0 "its nodules are measured"
like "$stdout" "^nodules +[3-4]$" "counted"
like "$stdout" "PHANTOM-0001 .* mm³ .* mm² .*sphericity 0\.[0-9]+ .* HU" "and listed with what they measure"
run "$HILUM" data nodules chest --csv tables/nodules.csv
like "$(head -1 tables/nodules.csv)" "^patient,series,nodule,.*,volume_mm3,.*,hu_p50,.*,rating_malignancy_by_reader" "as CSV"
is "$(grep -c '^PHANTOM' tables/nodules.csv)" "$(echo "$stdout" | sed -n 's/^nodules *//p')" "a line for each"
run "$HILUM" data nodules chest --json
like "$stdout" '"by_reader": \[' "and as JSON, with each reader"
run "$HILUM" data nodules chest --semantics filled
is "$status" 2 "an unknown rule for outlines"
like "$stderr" "--semantics is 'filled', expected interior, closed, pylidc" "is refused with the known ones"
run "$HILUM" data nodules chest --level 1.5
like "$stderr" "--level is '1.5'" "a level above 1, too"
run "$HILUM" data nodules nowhere
is "$status" 1 "a folder that is not there"

run "$HILUM" data agreement chest
is "$status" 0 "how far readers agree"
like "$stdout" "^  PHANTOM-0001-1 .*[34] readers +between two 0\.[0-9]{3} +against the others 0\.[0-9]{3}$" "for each nodule"
like "$stdout" "^between two +Dice 0\.[0-9]{3} mean, 0\.[0-9]{3} median, of [0-9]+ pairs$" "and over all"
run "$HILUM" data agreement chest --json
like "$stdout" '"against_majority"' "as JSON"

run "$HILUM" data show PHANTOM-0002 --data chest
is "$status" 0 "a scan is drawn"
is "$stdout" "PHANTOM-0002-readers.svg
PHANTOM-0002-readers.png" "under its patient's name"
[ -s PHANTOM-0002-readers.png ]
is $? 0 "as PNG"
like "$(cat PHANTOM-0002-readers.svg)" "reader 4" "with a key"
run "$HILUM" data show PHANTOM-0002 --data chest --nodule 1 --window -500,300 -o pictures/one.png
is "$status" 0 "one nodule in another window"
like "$(cat pictures/one.svg)" "1 of [0-9] outlined nodules" "which the note says"
like "$(cat pictures/one.svg)" "500 … 300 HU" "with the window"

cat > moves.lua <<'END'
local hl = require "hilum"
return hl.experiment {
  name = "moves", seed = 3, data = hl.data.source(hl.arg("data", "phantom"), { lidc = { crop = 32 } }),
  augment = { hl.augment.reader {}, hl.augment.flip {}, hl.augment.rotate { probability = 1 }, hl.augment.gamma {} },
  model = hl.nn.unet { channels = { 4, 8 } }, loss = hl.loss.dice {}, optim = hl.optim.adam {},
}
END
run "$HILUM" data show --augment moves.lua --data chest
is "$status" 0 "what augmentation makes of a case is drawn"
is "$stdout" "PHANTOM-0001-1-augmented.svg
PHANTOM-0001-1-augmented.png" "of the first one"
like "$(cat PHANTOM-0001-1-augmented.svg)" "as the training sees it in epochs 1 to 11" "in its first epochs"
like "$(cat PHANTOM-0001-1-augmented.svg)" "rotate [+−][0-9.]+° [+−][0-9.]+° [+−][0-9.]+°" "with what was drawn"
run "$HILUM" data show --augment moves.lua --data chest --case PHANTOM-0002 --epoch 7 -o pictures/two.png
is "$status" 0 "another case in later epochs"
like "$(cat pictures/two.svg)" "PHANTOM-0002-1" "named"
like "$(cat pictures/two.svg)" "in epochs 7 to 17" "with the epochs that were asked for"
run "$HILUM" data show --augment moves.lua --data chest --case PHANTOM-0009
is "$status" 1 "a case that is not there"
like "$stderr" "no case 'PHANTOM-0009'.* the first is PHANTOM-0001-1" "is said"
run "$HILUM" data show --augment moves.lua --data chest --set 'augment={}'
like "$stderr" "'moves' has no augmentation" "nothing to be drawn, too"
run "$HILUM" data show --augment moves.lua --data chest --window 0,100
is "$status" 2 "an option of the other figure"
like "$stderr" "--window does not go with --augment" "is refused"
run "$HILUM" data show chest --epoch 2
like "$stderr" "--epoch does not go without --augment" "either way"
run "$HILUM" data show
like "$stderr" "CASE is missing" "and one of the two is needed"

run "$HILUM" data show chest
is "$status" 1 "of two series"
like "$stderr" "2 CT series with a reading.*name its series UID: 2\.25\." "one is asked for"
run "$HILUM" data show PHANTOM-0009 --data chest
like "$stderr" "of the patient or series 'PHANTOM-0009'" "a patient who is not there"
run "$HILUM" data show PHANTOM-0001
is "$status" 2 "a patient without a folder"
run "$HILUM" data show PHANTOM-0001 --data chest --nodule 7
like "$stderr" "has no nodule 7: readers outlined 2" "a nodule that is not there"
run "$HILUM" data show PHANTOM-0001 --data chest --window 5
is "$status" 2 "half a window"
run "$HILUM" data show PHANTOM-0001 --data chest --window 1-2,5
is "$status" 2 "a window that is no numbers"

finish
