# hilum data: writing a phantom, looking at folders whole and damaged.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" data phantom chest --cases 2 --seed 9
is "$status" 0 "a phantom is written"
run "$HILUM" data scan chest
is "$status" 0 "and understood"
like "$stdout" "^series +2$" "with its series"
like "$stdout" "^  PHANTOM-0001 .* with marks$" "and their marks"
like "$stdout" "^problems +0$" "without a problem"
is "$stderr" "" "and no bar without a terminal"
run "$HILUM" data scan chest --json
like "$stdout" '"problems": \[\]' "the same as JSON"
like "$stdout" '"ct_files": [1-9]' "with numbers"
run "$HILUM" data audit chest
is "$status" 0 "its readings are audited"
like "$stdout" "^files +2: 2 of CT, 0 of radiographs, 0 damaged; besides [1-9]" "counted"
like "$stdout" "^problems +0$" "without a problem"
run "$HILUM" data audit chest --json
is "$status" 0 "the same as JSON"
like "$stdout" '"ct_files": 2' "with numbers"
like "$stdout" '"several_files": \[\]' "and lists, empty ones too"

before=$(find chest -type f | sort | xargs cksum | cksum)
run "$HILUM" data phantom chest --cases 2 --seed 9
is "$status" 0 "the same phantom again"
is "$(find chest -type f | sort | xargs cksum | cksum)" "$before" "changes nothing"
mkdir mine && echo precious >mine/file
run "$HILUM" data phantom mine
is "$status" 1 "a folder with something else"
like "$stderr" "^hilum: mine: holds something else" "is named, without hilum's own lines"
is "$(cat mine/file)" precious "and left alone"
run "$HILUM" data phantom other --cases none
is "$status" 2 "no number of cases"
like "$stderr" "--cases: expected a whole number from 1 on, got 'none'" "is said"

run "$HILUM" data phantom gap --cases 1 --variant missing-slice
is "$status" 0 "a phantom with a slice missing"
run "$HILUM" data scan gap
is "$status" 3 "has a problem"
like "$stdout" "is incomplete: slices are missing at 1 place" "that is named"
run "$HILUM" data phantom other --variant gas
is "$status" 2 "a variant there is not"
like "$stderr" "--variant: expected one of plain, .* gaps, got 'gas'" "is said"
run "$HILUM" data phantom other --size huge
is "$status" 2 "nor is there any size"
like "$stderr" "--size: expected one of small, full, got 'huge'" "one likes"

echo junk >chest/x.dcm
echo '<LidcReadMessage>' >chest/z.xml
run "$HILUM" data scan chest
is "$status" 3 "a damaged file is a problem, not a failure"
like "$stdout" "^problems +1$" "counted"
like "$stdout" "chest/z.xml: .*(end of data|not well-formed)" "and named"
like "$stdout" "note: .*chest/x.dcm" "what is no image is noted"
run "$HILUM" data audit chest
is "$status" 3 "so it is for an audit"
like "$stdout" "^files +3: 2 of CT, 0 of radiographs, 1 damaged" "that counts it"
like "$stdout" "chest/z.xml: .*(end of data|not well-formed)" "and names it"
mkdir empty
run "$HILUM" data scan empty
is "$status" 1 "an empty folder holds nothing"
like "$stderr" "^hilum: empty: " "and is named"
run "$HILUM" data audit empty
is "$status" 1 "to an audit, too"
like "$stderr" "^hilum: empty: holds no LIDC reading" "and is named"
run "$HILUM" data scan mine/file
is "$status" 1 "a file is no folder"

finish
