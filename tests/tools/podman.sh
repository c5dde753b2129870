#!/bin/sh
# Runs the conformance suite on Debian's Podman. Starts a Podman service with separate state, and ends it afterwards.
# Needs root.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

[ "$(id -u)" -eq 0 ] || die "the suite runs on Podman as root."
"$ROOT/tests/tools/packages.sh" podman
"$ROOT/tests/tools/engine.sh"
"$ROOT/tests/tools/images.sh" hello:1 hello:2

state=$(mktemp -d /var/lib/tally-podman.XXXXXX)
socket=$state/sock
# A limit above the machine's own cannot be set.
printf '[containers]\ndefault_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]\n' >"$state/conf"
own() { podman --root "$state/data" --runroot "$state/run" --storage-driver overlay "$@"; }
CONTAINERS_CONF=$state/conf podman --root "$state/data" --runroot "$state/run" --storage-driver overlay \
    system service --time=0 "unix://$socket" >"$state/log" 2>&1 &
service=$!
end() {
    own rm -fa >/dev/null 2>&1 || true
    kill "$service" 2>/dev/null || true
    wait "$service" 2>/dev/null || true
    umount -l "$state/data/overlay" 2>/dev/null || true
    rm -rf "$state"
    # Podman creates the missing folder that a case binds.
    rmdir /none-such/path /none-such 2>/dev/null || true
}
trap end EXIT
trap 'exit 130' INT TERM
tries=0
until [ -S "$socket" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || die "podman does not listen: $(cat "$state/log")"
    sleep 0.1
done
docker save tally.local/hello:1 tally.local/hello:2 | docker -H "unix://$socket" load >/dev/null
TALLY_TEST_PODMAN=$socket cargo test -p tally-tests --test conformance podman -- --nocapture
