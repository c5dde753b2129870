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
    other=$(mktemp -d)/engine
    trap '"$ROOT/tests/tools/other-engine.sh" stop "$other"; rmdir "$(dirname "$other")" 2>/dev/null' EXIT
    second=0
    TALLY_TEST_OTHER_DOCKER=$("$ROOT/tests/tools/other-engine.sh" start "$other") || second=$?
    export TALLY_TEST_OTHER_DOCKER
    if [ "$second" -ne 0 ]; then
        [ "${CI:-}" != true ] || die "CI needs a second Docker engine, and none can be had here."
        loudly "NO SECOND ENGINE" "The test on an engine with other defaults is SKIPPED."
    fi
    registry=0
    TALLY_TEST_REGISTRY=$("$ROOT/tests/tools/registry.sh") || registry=$?
    export TALLY_TEST_REGISTRY
    if [ "$registry" -ne 0 ]; then
        [ "${CI:-}" != true ] || die "CI needs an image registry (Debian's docker-registry), and none can be had here."
        loudly "NO REGISTRY" "The tests that pull from an image registry are SKIPPED."
    fi
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
