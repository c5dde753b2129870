#!/bin/sh
# Long runs over labs of real engines, never part of CI. They have the same requirements as `make lab-up`.
#
#   lab-runs.sh chaos MINUTES [SEED]     random faults, invariants checked all the time
#   lab-runs.sh repair ROUNDS            time from a fault to its repair, compared with Swarm and restart policies
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

run=${1:-}
case $run in
chaos | repair) shift ;;
*) die "usage: lab-runs.sh chaos MINUTES [SEED] | repair ROUNDS" ;;
esac
[ "$(id -u)" -eq 0 ] || die "the lab needs root: it creates network namespaces and starts engines."
"$ROOT/tests/tools/packages.sh" lab
"$ROOT/tests/tools/lab.sh" able
"$ROOT/tests/tools/engine.sh"
"$ROOT/tests/tools/images.sh" hello:1 hello:2
if [ "$run" = repair ]; then
    # Swarm pulls its image from a registry; without one it is left out, and the table says so.
    TALLY_TEST_REGISTRY=$("$ROOT/tests/tools/unpacked.sh" docker-registry docker-registry) || TALLY_TEST_REGISTRY=
    export TALLY_TEST_REGISTRY
fi
cargo build --quiet --release -p tally-cli
exec cargo run --quiet --release -p tally-tests --example "$run" -- "$@"
