#!/bin/sh
# planted.sh TARGET: starting from the seeds, the fuzzer finds the bug that is planted in the target.
. "$HILUM_SOURCE/tests/tap.sh"
programs=$HILUM_BUILD/tests/fuzz
corpus=$HILUM_SOURCE/tests/fuzz/corpus/$1
mkdir seeds found
ok "$1: seeds" "$programs/seeds_$1" seeds
cp "$corpus"/*.xml seeds 2>/dev/null # those that are text

run "$programs/fuzz_$1" -runs=20000 -seed=1 -dict="$HILUM_SOURCE/tests/fuzz/$1.dict" found seeds
is "$status" 0 "without a planted bug nothing is found"
run "$programs/planted_$1" -max_total_time=240 -seed=1 -dict="$HILUM_SOURCE/tests/fuzz/$1.dict" found seeds
said=$(printf '%s\n' "$stderr" | grep -v '^#' | tail -n 60)
unlike "$status" '^0$' "the planted bug ends the process"
like "$said" 'AddressSanitizer: heap-buffer-overflow' "and the sanitizer names it"
like "$said" 'in fuzz_plant' "where it was planted"
finish
