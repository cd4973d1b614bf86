# A small TAP producer for the command-line tests, to be sourced; the twin of tap.h. POSIX sh.
#
#   . "$HILUM_SOURCE/tests/tap.sh"
#   run "$HILUM" --version            keeps $status, $stdout, $stderr
#   is "$status" 0 "the version is told"
#   like "$stdout" "hilum [0-9]" "it names the program"
#   finish
#
# Each script works in its own empty folder, $work, which is the current one and is removed at the end.

tap_run=0
tap_failed=0
work=$(mktemp -d "${HILUM_BUILD:?}/tests/work.XXXXXX") || exit 1
trap 'cd /; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
cd "$work" || exit 1

# One line of text; '#' would start a TAP directive.
tap_text() { printf '%s' "$1" | tr '\n\r' '  ' | sed 's/#/\\#/g'; }

diag() { printf '%s\n' "$1" | sed 's/^/# /'; }

tap_verdict() { # GOOD NAME
  tap_run=$((tap_run + 1))
  if [ "$1" = yes ]; then
    printf 'ok %d - %s\n' "$tap_run" "$(tap_text "$2")"
    return 0
  fi
  tap_failed=$((tap_failed + 1))
  printf 'not ok %d - %s\n' "$tap_run" "$(tap_text "$2")"
  diag "  in       $0"
  return 1
}

# ok NAME COMMAND [ARGUMENT…]: the command succeeds.
ok() {
  tap_name=$1
  shift
  if "$@" >"$work/.ok" 2>&1; then tap_verdict yes "$tap_name"; return; fi
  tap_verdict no "$tap_name"
  diag "  failed   $*"
  diag "$(cat "$work/.ok")"
  return 1
}

# is GOT EXPECTED NAME
is() {
  if [ "$1" = "$2" ]; then tap_verdict yes "$3"; return; fi
  tap_verdict no "$3"
  diag "  got      $1"
  diag "  expected $2"
  return 1
}

# like TEXT PATTERN NAME: some line of the text matches the extended regular expression.
like() {
  if printf '%s\n' "$1" | grep -Eq -e "$2"; then tap_verdict yes "$3"; return; fi
  tap_verdict no "$3"
  diag "  got      $1"
  diag "  expected text like $2"
  return 1
}

# unlike TEXT PATTERN NAME: no line matches.
unlike() {
  if ! printf '%s\n' "$1" | grep -Eq -e "$2"; then tap_verdict yes "$3"; return; fi
  tap_verdict no "$3"
  diag "  got      $1"
  diag "  expected nothing like $2"
  return 1
}

# run COMMAND [ARGUMENT…]: keeps its exit status and what it printed.
run() {
  status=0
  "$@" >"$work/.stdout" 2>"$work/.stderr" </dev/null || status=$?
  stdout=$(cat "$work/.stdout")
  stderr=$(cat "$work/.stderr")
}

# skip REASON [N]
skip() {
  tap_n=${2:-1}
  while [ "$tap_n" -gt 0 ]; do
    tap_run=$((tap_run + 1))
    tap_n=$((tap_n - 1))
    printf 'ok %d # SKIP %s\n' "$tap_run" "$(tap_text "$1")"
  done
}

# skip_all REASON: before any check; leaves the script.
skip_all() {
  printf '1..0 # SKIP %s\n' "$(tap_text "$1")"
  exit 0
}

# Closes the account and leaves the script; the exit status is the verdict.
finish() {
  printf '1..%d\n' "$tap_run"
  if [ "$tap_failed" -gt 0 ]; then diag "$tap_failed of $tap_run checks failed"; fi
  [ "$tap_failed" -eq 0 ] && [ "$tap_run" -gt 0 ]
  exit
}
