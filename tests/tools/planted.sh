#!/bin/sh
# Inserts the bugs of tests/planted into a copy of the sources, builds it once, and runs the simulation with each
# bug. For bugs that the simulation does not show, it runs the tests. Every bug must be caught. The table goes to
# standard output.
#
#   planted.sh [SEEDS]     maximum number of seeds for each bug; default 1,000
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
# The program is built once and runs for minutes: LTO would take longer than it saves.
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

# If no seed shows a bug, a test may: TALLY_PLANTED selects the bug. Only assertions count: the recorded texts of
# scenarios differ with most bugs, and prove less.
export INSTA_FORCE_PASS=1
tests() { timeout "${limit:-600}" cargo test --quiet --release -p tally-reconcile -p tally-control -p tally-simulator \
    -p tally-tests --lib --test scenarios --test executor --test crash_points --test leases "$@" </dev/null 2>&1; }
limit=3600 tests --no-run >/dev/null || die "the tests do not build"
printf '| bug | caught by | violation |\n|---|---|---|\n'
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
