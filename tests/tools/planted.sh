#!/bin/sh
# Plants the bugs of tests/planted into a copy of the sources, builds it once, and runs the
# simulation with each, and the tests with those that it does not show: every one must be caught. The
# table goes to standard output.
#
#   planted.sh [SEEDS]     so many seeds at most for each bug; 1,000 when nothing is said
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$ROOT"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
cargo run --quiet --release -p tally-tests --example plant -- "$copy"
cd "$copy"
export CARGO_TARGET_DIR="${TALLY_PLANTED_TARGET:-$ROOT/target/planted}"
# Built once and run for minutes: what the linker would still gain takes longer than it saves.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
cargo build --quiet --release -p tally-tests --example planted
parts=$(nproc)
running=
part=0
while [ "$part" -lt "$parts" ]; do
    "$CARGO_TARGET_DIR/release/examples/planted" "${1:-1000}" "$part" "$parts" >"$copy/table.$part" &
    running="$running $!"
    part=$((part + 1))
done
for process in $running; do wait "$process"; done

# What no seed shows a test may: each of them is told which bug there is. One that asserts, that is: what
# scenarios keep as text differs with most bugs, and says less.
export INSTA_FORCE_PASS=1
tests() { timeout "${limit:-600}" cargo test --quiet --release -p tally-reconcile -p tally-control -p tally-simulator \
    -p tally-tests --lib --test scenarios --test executor --test crash_points --test leases "$@" </dev/null 2>&1; }
limit=3600 tests --no-run >/dev/null || die "the tests do not build"
printf '| bug | caught by | what was seen |\n|---|---|---|\n'
missed=0
sort -n "$copy"/table.* >"$copy/table"
while IFS='|' read -r number name seed seen _; do
    case $seed in
    *"no seed"*)
        said=$(TALLY_PLANTED=$(echo "$number" | tr -d ' ') tests) && said= && missed=$((missed + 1))
        test=$(echo "$said" | sed -n 's/^---- \(.*\) stdout ----$/\1/p' | head -n 1)
        seed=${test:-"**nothing**"}
        seen=
        ;;
    esac
    printf '|%s| %s |%s|\n' "$name" "$(echo "$seed" | sed 's/^ *//; s/ *$//')" "$seen"
done <"$copy/table"
printf '\n%s bugs, %s not caught\n' "$(wc -l <"$copy/table")" "$missed"
[ "$missed" -eq 0 ]
