#!/bin/sh
# Plants the bugs of tests/planted into a copy of the sources, builds it once, and runs the
# simulation with each: every one must be caught. The table goes to standard output.
#
#   planted.sh [SEEDS]     so many seeds at most for each bug; 2,000 when nothing is said
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$ROOT"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
cargo run --quiet --release -p tally-tests --example plant -- "$copy"
cd "$copy"
export CARGO_TARGET_DIR="${TALLY_PLANTED_TARGET:-$ROOT/target/planted}"
cargo build --quiet --release -p tally-tests --example planted
parts=$(nproc)
running=
part=0
while [ "$part" -lt "$parts" ]; do
    "$CARGO_TARGET_DIR/release/examples/planted" "${1:-2000}" "$part" "$parts" >"$copy/table.$part" &
    running="$running $!"
    part=$((part + 1))
done
failed=0
for process in $running; do wait "$process" || failed=1; done
printf '| bug | caught by seed | what was seen |\n|---|---|---|\n'
cat "$copy"/table.* | sort
printf '\n%s caught, %s not\n' "$(cat "$copy"/table.* | grep -vc '| not in ' || true)" \
    "$(cat "$copy"/table.* | grep -c '| not in ' || true)"
exit "$failed"
