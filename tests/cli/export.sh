# hilum data export: what is written, what is refused, and what other programs read of it.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" data phantom chest --cases 2 --seed 9
is "$status" 0 "a phantom is written"
series=$(find "$work/chest/PHANTOM-0001" -name '*.dcm' | head -n 1)
series=${series%/*}
uid=${series##*/}

run "$HILUM" data export PHANTOM-0001 --data chest -o out/x.nii.gz --seg out/x.dcm
is "$status" 0 "a patient of a folder"
for file in x.nii.gz x_mask.nii.gz x_reader1.nii.gz x_reader4.nii.gz x.dcm; do
  like "$stdout" "^written +out/$file: " "$file is named"
  ok "and there" test -s "out/$file"
done
is "$(find out -type f | wc -l | tr -d ' ')" 7 "nothing else is"
run "$HILUM" data export "$uid" --data chest -o uid.nii.gz
ok "a series by its UID is the same" cmp uid.nii.gz out/x.nii.gz
run "$HILUM" data export "$series" --out plain.nii --seg plain.dcm --json
is "$status" 0 "a folder with one series"
like "$stdout" '"problems": \[\]' "told as JSON"
gzip -dc out/x.nii.gz >unpacked.nii
ok "without compression it is the same" cmp plain.nii unpacked.nii
ok "the same object again has the same bytes" cmp plain.dcm out/x.dcm

run "$HILUM" data export PHANTOM-0001 --data chest -o labels.nii.gz --seg readers.dcm --labels --readers
is "$status" 0 "labels, and a segment for each reader"
run "$HILUM" data export PHANTOM-0001 --data chest -o strict.nii.gz --level 1 --of marks --semantics closed
is "$status" 0 "another consensus"

run "$HILUM" data export PHANTOM-0001 --data chest
is "$status" 2 "nothing to write"
like "$stderr" "give -o X.nii.gz or --seg X.dcm" "is said"
run "$HILUM" data export PHANTOM-0001 --data chest -o x.mha
is "$status" 2 "another format"
like "$stderr" "ends in .nii.gz or .nii, got 'x.mha'" "is refused"
run "$HILUM" data export PHANTOM-0001 --data chest -o x.nii --level 2
is "$status" 2 "a level beyond 1"
run "$HILUM" data export nobody --data chest -o x.nii
is "$status" 1 "a patient who is not there"
like "$stderr" "chest: nobody: no CT series of that UID or patient \(of 2;" "is named"
run "$HILUM" data export chest -o x.nii
is "$status" 1 "a folder with two series"
like "$stderr" "chest has 2 CT series; name one of them: 2\.25\.[0-9]+, 2\.25\.[0-9]+" "is told their names"
run "$HILUM" data export nowhere -o x.nii
is "$status" 1 "a folder that is not there"
like "$stderr" "nowhere: .*No such file" "is named"

cp -r "$series" alone && rm alone/*.xml
run "$HILUM" data export alone -o alone.nii.gz
is "$status" 0 "a series without a reading"
like "$stdout" "nodules +unknown: no reading" "has an image only"
ok "no mask" test ! -e alone_mask.nii.gz
run "$HILUM" data export alone --seg alone.dcm
is "$status" 1 "and no segmentation"
like "$stderr" "has no reading, so there is nothing to segment" "which is said"
ok "nothing is left of it" test ! -e alone.dcm
mkdir folder.nii
run "$HILUM" data export "$series" -o folder.nii
is "$status" 1 "a folder in the way"
like "$stderr" "folder.nii: " "is named"

# ---- Other programs ----
if command -v dciodvfy >/dev/null; then
  dciodvfy out/x.dcm >verdict.txt 2>&1
  dciodvfy readers.dcm >>verdict.txt 2>&1
  is "$(grep -c '^Segmentation$' verdict.txt)" 2 "dciodvfy takes them for segmentation objects"
  unlike "$(cat verdict.txt)" '^Error' "and finds no error"
else
  skip "dciodvfy is not installed (Debian: dicom3tools)" 2
fi
python=${HILUM_PYTHON:-python3}
check=$HILUM_SOURCE/tests/python/check_export.py
if ! "$python" "$check" modules >/dev/null 2>&1; then
  skip "$python lacks numpy, pydicom, highdicom or SimpleITK (HILUM_PYTHON names another)" 4
  finish
fi
ok "SimpleITK: the image is the series, masks lie on it; highdicom: segments are labels and readers' masks" \
  "$python" "$check" image "$series" out/x.nii.gz -- masks out/x.nii.gz out/x_*.nii.gz \
  -- seg "$series" out/x.dcm labels_mask.nii.gz -- readers "$series" readers.dcm out/x_reader?.nii.gz
run "$python" "$check" readers "$series" readers.dcm out/x_reader[2341].nii.gz out/x_reader1.nii.gz
is "$status" 1 "a mask too many is noticed"

unpack=$HILUM_SHARED/lidc/unpack.sh
if [ ! -r "$unpack" ]; then
  skip "no LIDC material here" 2
  finish
fi
sh "$unpack" "$HILUM_BUILD/lidc" ct >/dev/null
real=$(find "$HILUM_BUILD/lidc/LIDC-IDRI/LIDC-IDRI-0003" -name '*.dcm' | head -n 1)
real=${real%/*}
run "$HILUM" data export "$real" -o real.nii.gz --seg real.dcm --labels
is "$status" 0 "a case of LIDC-IDRI"
ok "SimpleITK and highdicom read it as they should" "$python" "$check" image "$real" real.nii.gz \
  -- masks real.nii.gz real_*.nii.gz -- seg "$real" real.dcm real_mask.nii.gz
finish
