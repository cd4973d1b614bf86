# hilum data check: a whole phantom, then one fault of each kind.
. "$HILUM_SOURCE/tests/tap.sh"

"$HILUM" data phantom chest --cases 3 --seed 9 >/dev/null
slices() { find "$1" -name '*.dcm' | sort; }
has_only() { # KIND NAME: one finding, of this kind
  is "$status" 3 "$2: exit code"
  like "$stdout" "^problems +1$" "$2: one problem"
  like "$stdout" "^$1: 1$" "$2: of this kind"
  like "$stdout" "^  to do: " "$2: with what to do"
}

run "$HILUM" data check chest
is "$status" 0 "a whole folder"
like "$stdout" "^patients +3$" "its patients"
like "$stdout" "^slices +[0-9]+, all decoded$" "its slices"
like "$stdout" "^problems +0$" "no problem"
is "$stderr" "" "and no bar without a terminal"
run "$HILUM" data check chest --headers --json
is "$status" 0 "headers alone"
like "$stdout" '"findings": \[\]' "as JSON"
like "$stdout" '"headers_only": true' "which says so"
unlike "$stdout" '"collection"' "this is not the collection"
run "$HILUM" data check chest --complete
is "$status" 3 "nor all of it"
like "$stdout" "no CT of LIDC-IDRI-0001 to LIDC-IDRI-1012 .1010 patients" "of 1,012 numbers two never were"

cp -r chest gap && rm "$(slices gap | sed -n 20p)"
run "$HILUM" data check gap
is "$status" 3 "a missing slice"
like "$stdout" "^series: 1$" "makes a series incomplete"
like "$stdout" "slices are missing at 1 place" "and the place is named"
run "$HILUM" data check gap --headers
like "$stdout" "^series: 1$" "headers tell that, too"

cp -r chest cut && file=$(slices cut | tail -1) && dd if="$file" of=part bs=1000 count=2 2>/dev/null && mv part "$file"
run "$HILUM" data check cut
has_only file "a slice that is cut off at the end of a series"
like "$stdout" "^  $file: cut off" "it is named"

cp -r chest unread && rm "$(find unread -name '*.xml' | sort | head -1)"
run "$HILUM" data check unread
has_only "series without reading" "a reading that is missing"

cp -r chest alone && rm -r "$(dirname "$(slices alone | head -1)")"
mkdir -p alone/PHANTOM-0001 && cp "$(find chest/PHANTOM-0001 -name '*.xml')" alone/PHANTOM-0001/
run "$HILUM" data check alone
has_only "reading without series" "a series that is missing"

cp -r chest strange && xml=$(find strange -name '*.xml' | sort | head -1)
sed -i 's/<imageSOP_UID>2/<imageSOP_UID>7/' "$xml"
run "$HILUM" data check strange
has_only "marks on no slice" "marks of another series"
like "$stdout" "^  $xml: [0-9]+ rois? on slices that are not there .first: 7[.]" "are counted"

cp -r chest broken && xml=$(find broken -name '*.xml' | sort | head -1) && head -c 900 "$xml" >part && mv part "$xml"
run "$HILUM" data check broken
like "$stdout" "^reading: 1$" "a damaged reading"
like "$stdout" "^series without reading: 1$" "leaves its series without"

mkdir empty
run "$HILUM" data check empty
is "$status" 1 "nothing to check"
like "$stderr" "^hilum: empty: holds neither a CT slice" "is said"
run "$HILUM" data check chest --processes 0
is "$status" 2 "no processes"

cat >missing.lua <<'LUA'
local check = require "hilum.data.check"
local all = {}
for i = 1, 1012 do all[i] = i ~= 238 and i ~= 585 and 1 or nil end
for _, i in ipairs { 132, 151, 315, 332, 355, 365, 442, 484 } do all[i] = 2 end
print("complete " .. #check.missing(all))
all[237], all[239], all[584], all[151] = nil, nil, nil, 1
for _, text in ipairs(check.missing(all)) do print(text) end
LUA
run "$HILUM" repl missing.lua
like "$stdout" "^complete 0$" "nothing is missing in the whole collection, 0238 and 0585 included"
like "$stdout" "^no CT of LIDC-IDRI-0237 to LIDC-IDRI-0239 .2 patients.$" "patients around one that never was"
like "$stdout" "^no CT of LIDC-IDRI-0584$" "one before another that never was"
like "$stdout" "^LIDC-IDRI-0151 has one CT series here, not two$" "a patient's second series"
finish
