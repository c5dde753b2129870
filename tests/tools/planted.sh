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
CARGO_TARGET_DIR=${TALLY_PLANTED_TARGET:-$ROOT/target/planted} \
    cargo run --quiet --release -p tally-tests --example planted -- "${1:-2000}"
