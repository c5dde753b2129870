#!/bin/sh
# Runs a command with a separate Docker engine at the usual socket, in a separate mount namespace: for tests on a
# machine whose engine answers but no longer starts containers (Docker 20.10 was observed to deadlock in this way), and
# which the tests must not restart.
#
#   own-engine.sh COMMAND [ARGUMENT...]     exits with the command's exit code, or with 3 if no engine can be started
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

socket=/var/run/docker.sock
if [ -z "${TALLY_OWN_ENGINE:-}" ]; then
    [ "$(id -u)" -eq 0 ] || { say "no separate engine: it needs root"; exit 3; }
    TALLY_OWN_ENGINE=$(mktemp -d)
    export TALLY_OWN_ENGINE
    status=0
    unshare --mount "$0" "$@" || status=$?
    rm -rf "$TALLY_OWN_ENGINE"
    exit "$status"
fi

folder=$TALLY_OWN_ENGINE
bridge=tally-own
# shellcheck disable=SC2317 # called by the trap
stop() {
    end_engine "$folder"
    unmount_below "$folder"
    ip link del "$bridge" 2>/dev/null || true
}
trap stop EXIT
have ip || apt_install "a separate engine" iproute2
ip link del "$bridge" 2>/dev/null || true
ip link add "$bridge" type bridge
ip addr add 172.29.250.1/24 dev "$bridge"
ip link set "$bridge" up
# The machine's own settings contain folders that its engine uses.
echo '{}' >"$folder/daemon.json"
setsid dockerd --config-file "$folder/daemon.json" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    --bridge "$bridge" -H "unix://$folder/sock" >"$folder/log" 2>&1 </dev/null &
await_engine "separate engine" "$folder"
mount --bind "$folder/sock" "$socket"
status=0
"$@" || status=$?
umount "$socket"
exit "$status"
