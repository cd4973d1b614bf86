# hilum predict: from a training on a phantom to masks on the scans' own grids, and what is refused on the way.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" data phantom chest --cases 3 --seed 9
is "$status" 0 "a phantom is written"
series=$(find "$work/chest/PHANTOM-0001" -name '*.dcm' | head -n 1)
series=${series%/*}
cat >one.lua <<'END'
local hl = require "hilum"
return hl.experiment {
  name = "one", seed = 3, data = hl.data.lidc { folder = hl.arg "data", crop = 16 },
  model = hl.nn.conv { out = 1, kernel = 1 }, loss = hl.loss.dice {}, optim = hl.optim.adam { rate = 1 },
  train = { epochs = 8, batch = 1 }, predict = { keep = "central" }, figures = {},
}
END
run "$HILUM" run one.lua --data chest --out run.h5 --quiet
is "$status" 0 "a threshold is learnt"
run "$HILUM" data nodules chest --csv nodules.csv
is "$status" 0 "positions"
at=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i }
  NR == 3 { printf "%s,%s,%s", $c["centre_mm_z"], $c["centre_mm_y"], $c["centre_mm_x"] }' nodules.csv)
truth=$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) c[$i] = i } NR == 3 { print $c["volume_mm3"] }' nodules.csv)

# ---- what is written ----
run "$HILUM" predict run.h5 "$series" --nodules nodules.csv -o out/mask.nii.gz --figure out/look.png
is "$status" 0 "around the nodules of a table"
like "$stdout" "^run +run\.h5 \(one\), best weights, of epoch [0-9]" "the run is named"
like "$stdout" "^seen +[0-9]+ crops?: 16 × 16 × 16 voxels of 1 × 1 × 1 mm, -1000 to 400 HU" "what the network sees"
like "$stdout" "^rule +threshold 0\.5, parts: central, flips: none" "the experiment's rule"
like "$stdout" "^position 1 .*: part [0-9]" "a part lies at the first position"
like "$stdout" "^written +out/mask.nii.gz: mask$" "the mask is written"
ok "it is there" test -s out/mask.nii.gz
ok "and the figure" test -s out/look.png
run "$HILUM" predict run.h5 "$series" --at-mm "$at" -o one.nii.gz --json
is "$status" 0 "around one position, as JSON"
like "$stdout" '"volume_mm3": [0-9]' "with volumes"
volume=$(printf '%s\n' "$stdout" | sed -n 's/.*"volume_mm3": \([0-9.]*\).*/\1/p')
is "$(printf '%s\n' "$stdout" | grep -c '"volume_mm3"')" 1 "of one part"
like "$(awk -v a="$volume" -v b="$truth" 'BEGIN { print (a > 0.7 * b && a < 1.4 * b) ? "near" : a " of " b }')" '^near$' \
  "near the volume that readers outlined"
run "$HILUM" predict run.h5 "$series" --at-mm "$at" -o one.dcm
is "$status" 0 "a segmentation object"
like "$stdout" "^written +one.dcm: 1 segments in [0-9]+ frames" "of one segment"
run "$HILUM" predict run.h5 "$series" --at-mm "$at" -o probability.nii --probability --flips zyx --weights last
is "$status" 0 "probabilities"
like "$stdout" "^rule .*flips: zyx$" "with flips"
run "$HILUM" predict run.h5 "$series" --whole --keep all -o whole.nii
is "$status" 0 "a whole scan in one pass"
run "$HILUM" predict run.h5 "$series" --whole --keep all --tile 32,48,48 -o tiled.nii
is "$status" 0 "and in tiles"
ok "a network that looks at single voxels says the same" cmp whole.nii tiled.nii
run "$HILUM" predict run.h5 one.nii.gz --at 20,80,80 --keep all -o again.nii.gz
is "$status" 0 "a NIfTI file"
like "$stdout" "^scan +one\.nii\.gz$" "is named"
run "$HILUM" predict run.h5 "$series" --at-mm "$at"
is "$status" 0 "without a file it tells what it finds"
run "$HILUM" repl -e "return hl.predict('run.h5', '$series', { at_mm = { $at } })"
is "$status" 0 "at the prompt"
like "$stdout" "^parts +1$" "the same"

# ---- what is refused ----
refused() { # STATUS PATTERN NAME OPTION…
  refused_status=$1 refused_pattern=$2 refused_name=$3
  shift 3
  run "$HILUM" predict "$@"
  is "$status" "$refused_status" "$refused_name: refused"
  like "$stderr" "$refused_pattern" "$refused_name: says why"
}
refused 2 "where\? Give --at z,y,x" "no place" run.h5 "$series"
refused 2 "one of them is expected" "two places" run.h5 "$series" --whole --at 1,1,1
refused 2 "expected 3 numbers with commas between them, got '1,2'" "half a place" run.h5 "$series" --at 1,2
refused 1 "z is 99, outside the scan \(1 to " "a place outside" run.h5 "$series" --at 99,1,1
refused 2 "say --keep all or --keep largest" "the middle of a whole scan" run.h5 "$series" --whole
refused 2 "ends in .nii.gz, .nii or .dcm, got 'x.mha'" "another format" run.h5 "$series" --whole -o x.mha
refused 2 "--probability writes NIfTI" "probabilities as a segmentation" run.h5 "$series" --whole -o x.dcm --probability
refused 2 "expected axes among zyx, each once, or none, got 'xx'" "a flip twice" run.h5 "$series" --whole --flips xx
refused 2 "expected one of all, largest, central, got 'some'" "unknown parts" run.h5 "$series" --whole --keep some
refused 2 "--tile needs --whole" "tiles of a crop" run.h5 "$series" --at 1,1,1 --tile 8,8,8
refused 1 "whole.nii: already exists" "a file in the way" run.h5 "$series" --whole --keep all -o whole.nii
refused 1 "chest: holds 3 CT series, expected one:" "several series" run.h5 chest --at 1,1,1
like "$stderr" "2\.25\.[0-9]+ \(PHANTOM-0002, [0-9]+ slices" "and they are listed"
refused 1 "no CT series 1\.2\.3" "a series that is not there" run.h5 chest --series 1.2.3 --at 1,1,1
run "$HILUM" predict run.h5 chest --series "${series##*/}" --at-mm "$at"
is "$status" 0 "one of them by its UID"
refused 1 "nowhere" "no scan" run.h5 nowhere --at 1,1,1
refused 1 "nowhere.h5" "no archive" nowhere.h5 "$series" --at 1,1,1
head -c 5000 run.h5 >cut.h5
refused 1 "cut.h5" "a damaged archive" cut.h5 "$series" --at 1,1,1
refused 1 "but the prediction of [0-9]+ × [0-9]+ × [0-9]+ voxels needs .*--tile" "too little memory" \
  run.h5 "$series" --whole --keep all --memory-gib 0.001
refused 2 "a segmentation object refers to a DICOM series" "a segmentation of a NIfTI file" \
  run.h5 one.nii.gz --at 1,1,1 -o x.dcm
printf 'z,y,x\n1,2\n' >broken.csv
refused 1 "broken.csv:2: has 2 cells" "a broken table" run.h5 "$series" --nodules broken.csv
if [ "$(id -u)" = 0 ]; then
  skip "this user may write anywhere" 2
else
  mkdir locked && chmod a-w locked
  refused 1 "cannot write there" "a folder that cannot be written to" run.h5 "$series" --at-mm "$at" -o locked/x.nii
fi
ok "nothing is left of what was refused" test ! -e x.dcm -a ! -e x.mha

# ---- other programs ----
python=${HILUM_PYTHON:-python3}
check=$HILUM_SOURCE/tests/python/check_export.py
if ! "$python" "$check" modules >/dev/null 2>&1; then
  skip "$python lacks numpy, pydicom, highdicom or SimpleITK (HILUM_PYTHON names another)" 1
  finish
fi
run "$HILUM" data export "$series" -o image.nii.gz
ok "SimpleITK: masks lie on the series' grid; highdicom: the segment is the mask" "$python" "$check" \
  image "$series" image.nii.gz -- masks image.nii.gz out/mask.nii.gz one.nii.gz whole.nii \
  -- masks one.nii.gz again.nii.gz -- seg "$series" one.dcm one.nii.gz
finish
