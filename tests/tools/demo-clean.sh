#!/bin/sh
# Removes everything that the demo created: the cluster of specs/hello, the simulated copy, the images.
# It starts no engine: if none answers, no containers of the demo can be running.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

bin=${CARGO_TARGET_DIR:-target}/release
case $bin in /*) ;; *) bin=$ROOT/$bin ;; esac
PATH=$bin:$PATH
tally=$bin/tally

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

if [ -d target/demo/hello ]; then
    [ -x "$tally" ] && run tally destroy --yes target/demo/hello
    rm -rf target/demo
fi

if have docker && timeout 10 docker version >/dev/null 2>&1; then
    [ -x "$tally" ] || die "there is no $tally to destroy the cluster with. Run: make build"
    run tally destroy --yes specs/hello
    "$ROOT/tests/tools/images.sh" --remove
fi

# Somebody else may use the engine meanwhile, so it is left running; print how to end it.
if [ -s "$TALLY_LOGS/dockerd.pid" ] && kill -0 "$(cat "$TALLY_LOGS/dockerd.pid")" 2>/dev/null; then
    say "the Docker engine that make started is still running; to end it: kill $(cat "$TALLY_LOGS/dockerd.pid")"
fi
