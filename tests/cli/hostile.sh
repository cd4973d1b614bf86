# Bad input of all kinds in one set: each is named with what is wrong, the rest is read, the exit code says so.
. "$HILUM_SOURCE/tests/tap.sh"

run "$HILUM" data phantom set --cases 2 --seed 9
is "$status" 0 "a phantom is written"
one=$(dirname "$(find "$work/set/PHANTOM-0001" -name '*.dcm' | head -n 1)")
cp -r set clean

# ---- Readings ----
mkdir set/bad
begin='<LidcReadMessage><ResponseHeader><SeriesInstanceUid>1.2.3</SeriesInstanceUid></ResponseHeader>'
nodule='<readingSession><unblindedReadNodule><noduleID>N</noduleID><roi>'
end='</roi></unblindedReadNodule></readingSession></LidcReadMessage>'
point='<edgeMap><xCoord>1</xCoord><yCoord>2</yCoord></edgeMap>'
echo "<!DOCTYPE LidcReadMessage>$begin</LidcReadMessage>" >set/bad/dtd.xml
echo '<!DOCTYPE LidcReadMessage [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<LidcReadMessage><noduleID>&x;</noduleID></LidcReadMessage>' >set/bad/entity.xml
{
  echo '<!DOCTYPE LidcReadMessage [<!ENTITY l0 "ha">'
  for i in 1 2 3 4 5 6 7 8 9; do
    k=$((i - 1))
    echo "<!ENTITY l$i \"&l$k;&l$k;&l$k;&l$k;&l$k;&l$k;&l$k;&l$k;&l$k;&l$k;\">"
  done
  echo ']><LidcReadMessage>&l9;</LidcReadMessage>'
} >set/bad/laughs.xml
{
  echo "$begin<readingSession>"
  awk 'BEGIN { for (i = 0; i < 50000; i++) printf "<a>" }'
} >set/bad/deep.xml
echo "$begin" >set/bad/huge.xml
truncate -s 1G set/bad/huge.xml
echo "$begin$nodule<imageZposition>1e999</imageZposition>$point$end" >set/bad/infinite.xml
echo "$begin$nodule<edgeMap><xCoord>70000</xCoord><yCoord>1</yCoord></edgeMap>$end" >set/bad/far.xml
printf '%s<edgeMap><xCoord>\033[2J</xCoord>' "$begin$nodule" >set/bad/escape.xml

# ---- Images ----
first=$(find "$one" -name '*.dcm' | sort | head -n 1)
size=$(wc -c <"$first")
head -c $((size - 1000)) "$first" >set/bad/short.dcm
head -c 500 "$first" >set/bad/header.dcm
# Rows (0028,0010) say 65535
LC_ALL=C sed 's/\(\x28\x00\x10\x00US\x02\x00\)../\1\xff\xff/' "$first" >set/bad/rows.dcm
# the length of the patient's name lies
LC_ALL=C sed 's/\(\x10\x00\x10\x00PN\)../\1\xff\xff/' "$first" >set/bad/length.dcm
ln -s loop set/bad/loop
ln -s .. set/bad/up
ln -s nowhere set/bad/dangling
mkfifo set/bad/pipe

limit='ulimit -v 4000000' # KiB: a reader that takes what files claim does not come through
sh -c "$limit; exec \"$HILUM\" --version" >/dev/null 2>&1 || limit=: # a sanitizer wants more itself
run timeout 60 sh -c "$limit; exec \"$HILUM\" data scan set"
is "$status" 3 "the set is read, with problems"
like "$stdout" "^series +2$" "both series are there"
said() { like "$stdout" "set/bad/$1: .*$2" "$1: $2"; }
said dtd.xml 'has a document type declaration \(DOCTYPE\), expected none: refused'
said entity.xml 'DOCTYPE'
said laughs.xml 'DOCTYPE'
said deep.xml 'line 2: not well-formed XML: .*depth'
said huge.xml 'XML of 1024 MiB, expected at most 64 MiB'
said infinite.xml "line 1: imageZposition is '1e999', expected a number"
said far.xml "line 1: xCoord is '70000', expected a whole number of at most 65535"
said escape.xml 'line 1: not well-formed XML: '
said short.dcm 'cut off: element \(7fe0,0010\) at byte [0-9]+ has a length of [0-9]+ bytes, the file ends after'
said header.dcm 'cut off: '
said rows.dcm 'has [0-9]+ bytes of pixels, expected [0-9]+'
said length.dcm '(cut off: element|has no value representation)'
said loop 'Too many levels of symbolic links'
said dangling 'No such file'
unlike "$stdout" "$(printf '\033')" "no message commands a terminal"
unlike "$stdout" 'root:' "no entity was followed"
problems=$(printf '%s\n' "$stdout" | sed -n 's/^problems  *//p')
ok "counted ($problems)" test "$problems" -ge 14
run timeout 60 "$HILUM" data audit set
is "$status" 3 "an audit goes on as well"
like "$stdout" '^files +10: 2 of CT, 0 of radiographs, 8 damaged' "and counts"

# ---- What only shows when a case is made ----
reading=$(find clean/PHANTOM-0001 -name '*.xml')
case=$(dirname "$reading")
cp "$reading" kept.xml
sed '0,/<xCoord>[0-9]*</s//<xCoord>60000</' kept.xml >"$reading"
run "$HILUM" data export "$case" -o out.nii.gz
is "$status" 3 "an outline that reaches beyond the image"
like "$stdout" "reading.xml: line [0-9]+: 1 of [0-9]+ outlines of mark '.*' reach beyond the image \(first: x 60000, y [0-9]+" \
  "is named with its point"
sed 's/<imageSOP_UID>[^<]*</<imageSOP_UID>9.9.9</; s/<imageZposition>[^<]*</<imageZposition>99999</' kept.xml >"$reading"
run "$HILUM" data export "$case" -o out.nii.gz
is "$status" 3 "outlines on slices that are not there"
like "$stdout" "slices that the series does not have \(first: z 99999 mm, SOP UID 9.9.9\)" "are named"
cp kept.xml "$reading"
run "$HILUM" data export "$case" -o out.nii.gz
is "$status" 0 "the same case as it was"

# ---- Archives ----
printf '\211HDF\r\n\032\n and nothing more' >half.h5
run "$HILUM" show half.h5
is "$status" 1 "an HDF5 file that is none"
like "$stderr" "half.h5: " "is named"
finish
