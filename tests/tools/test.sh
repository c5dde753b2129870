#!/bin/sh
# Runs all tests, including those on a real engine. Without an engine those are skipped with a visible warning; in CI
# this is a failure, because a green run must mean that they ran.
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
    if [ -z "${TALLY_OWN_ENGINE:-}" ] && ! timeout -k 5 90 \
        docker run --rm --network none tally.local/hello:1 true >/dev/null 2>&1 </dev/null; then
        loudly "THE DOCKER ENGINE STARTS NO CONTAINERS" \
            "It answers, but starts no containers: the tests run on a separate engine."
        exec "$ROOT/tests/tools/own-engine.sh" "$0" "$@"
    fi
    TALLY_TEST_DOCKER=1
    export TALLY_TEST_DOCKER
    other=$(mktemp -d)/engine
    trap '"$ROOT/tests/tools/other-engine.sh" stop "$other"; rmdir "$(dirname "$other")" 2>/dev/null' EXIT
    second=0
    TALLY_TEST_OTHER_DOCKER=$("$ROOT/tests/tools/other-engine.sh" start "$other") || second=$?
    export TALLY_TEST_OTHER_DOCKER
    if [ "$second" -ne 0 ]; then
        [ "${CI:-}" != true ] || die "CI needs a second Docker engine, and none is available here."
        loudly "NO SECOND ENGINE" "The test on an engine with other defaults is SKIPPED."
    fi
    registry=0
    TALLY_TEST_REGISTRY=$("$ROOT/tests/tools/unpacked.sh" docker-registry docker-registry) || registry=$?
    export TALLY_TEST_REGISTRY
    if [ "$registry" -ne 0 ]; then
        [ "${CI:-}" != true ] || die "CI needs an image registry (Debian's docker-registry), and none is available here."
        loudly "NO REGISTRY" "The tests that pull from an image registry are SKIPPED."
    fi
    ;;
3)
    [ "${CI:-}" != true ] || die "CI needs a Docker engine, and none is available here."
    unset TALLY_TEST_DOCKER
    loudly "NO DOCKER ENGINE" \
        "The tests on a real engine are SKIPPED. The tests below ran on simulated engines only."
    ;;
*) exit "$engine" ;;
esac

# The lab of several engines needs root and namespaces.
able=0
[ "$engine" -eq 0 ] || able=3
if [ "$able" -eq 0 ]; then
    # Install its packages in CI only: on many machines this would start an sshd for the whole machine.
    [ "${CI:-}" != true ] || [ "$(id -u)" -ne 0 ] || "$ROOT/tests/tools/packages.sh" lab
    "$ROOT/tests/tools/lab.sh" able || able=$?
fi
if [ "$able" -eq 0 ]; then
    TALLY_TEST_LAB=1
    export TALLY_TEST_LAB
else
    unset TALLY_TEST_LAB
    loudly "NO LAB" "The tests over several engines, by TLS and by ssh, are SKIPPED."
fi

# The store that several engines share.
etcd=0
TALLY_TEST_ETCD=$("$ROOT/tests/tools/unpacked.sh" etcd-server etcd) || etcd=$?
export TALLY_TEST_ETCD
if [ "$etcd" -ne 0 ]; then
    [ "${CI:-}" != true ] || die "CI needs etcd (Debian's etcd-server), and it is not available here."
    loudly "NO ETCD" "The tests of engines that share a store are SKIPPED, except those with a simulated store."
fi

# Prometheus' own check of the metrics format.
promtool=0
TALLY_TEST_PROMTOOL=$("$ROOT/tests/tools/unpacked.sh" prometheus promtool) || promtool=$?
export TALLY_TEST_PROMTOOL
if [ "$promtool" -ne 0 ]; then
    [ "${CI:-}" != true ] || die "CI needs promtool (Debian's prometheus), and it is not available here."
    loudly "NO PROMTOOL" "The test that Prometheus understands the metrics is SKIPPED."
fi

cargo test --workspace "$@"

[ "$able" -eq 0 ] || loudly "NO LAB" "The tests over several engines were SKIPPED."
[ "$engine" -eq 0 ] || loudly "NO DOCKER ENGINE" "The tests on a real engine were SKIPPED."
