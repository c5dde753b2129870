#!/bin/sh
# Runs all tests, those on a real engine among them. Without an engine they are skipped, which is
# said loudly, and in CI is a failure: a green run must mean that they ran.
#
#   test.sh [ARGUMENT...]     arguments go to cargo test
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

engine=0
"$ROOT/tests/tools/engine.sh" || engine=$?
case $engine in
0)
    "$ROOT/tests/tools/images.sh"
    TALLY_TEST_DOCKER=1
    export TALLY_TEST_DOCKER
    ;;
3)
    [ "${CI:-}" != true ] || die "CI needs a Docker engine, and none can be had here."
    unset TALLY_TEST_DOCKER
    loudly "NO DOCKER ENGINE" \
        "The tests on a real engine are SKIPPED. What passes below was only simulated."
    ;;
*) exit "$engine" ;;
esac

cargo test --workspace "$@"

[ "$engine" -eq 0 ] || loudly "NO DOCKER ENGINE" "The tests on a real engine were SKIPPED."
