#!/bin/sh
# Takes back what the demo made: the cluster of specs/hello, the simulated copy, the images.
# It starts no engine: where none answers, nothing of ours can be running on it.
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

# The engine may be somebody else's by now, so it is left running; say how it ends.
if [ -s "$TALLY_LOGS/dockerd.pid" ] && kill -0 "$(cat "$TALLY_LOGS/dockerd.pid")" 2>/dev/null; then
    say "the Docker engine that make started is still running; to end it: kill $(cat "$TALLY_LOGS/dockerd.pid")"
fi
