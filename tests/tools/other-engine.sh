#!/bin/sh
# Controls a second Docker engine whose defaults differ from Docker's own (log options, ulimits, init, cgroup parent,
# shared memory), in its own network namespace, for the test that a daemon's defaults never appear as differences.
#
#   other-engine.sh start FOLDER     prints the socket; exits with 3 if the engine cannot be started
#   other-engine.sh stop FOLDER      stops the engine and removes its state
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

action=${1:-}
folder=${2:-}
[ -n "$folder" ] || die "usage: other-engine.sh start|stop FOLDER"
netns=tally-other-$(printf '%s' "$folder" | cksum | cut -d ' ' -f 1)

stop() {
    if [ -f "$folder/pid" ]; then
        pid=$(cat "$folder/pid")
        # Remove containers first: with live-restore off they end with their engine anyway.
        kill "$pid" 2>/dev/null || true
        waited=0
        while kill -0 "$pid" 2>/dev/null && [ "$waited" -lt 150 ]; do
            sleep 0.2
            waited=$((waited + 1))
        done
    fi
    unmount_below "$folder"
    ip netns del "$netns" 2>/dev/null || true
    rm -rf "$folder"
}

start() {
    [ "$(id -u)" -eq 0 ] || { say "no second engine: it needs root"; exit 3; }
    have dockerd || { say "no second engine: there is no dockerd"; exit 3; }
    have ip || apt_install "the second engine" iproute2
    stop
    mkdir -p "$folder"
    ip netns add "$netns" || { say "no second engine: no network namespaces here"; exit 3; }
    ip -n "$netns" link set lo up
    cat >"$folder/daemon.json" <<END
{
    "log-driver": "json-file",
    "log-opts": { "max-size": "3m", "max-file": "2", "labels": "tally.pod" },
    "default-ulimits": { "nofile": { "Name": "nofile", "Soft": 2048, "Hard": 4096 } },
    "default-shm-size": "128M",
    "cgroup-parent": "/tally-other",
    "init": true,
    "icc": true,
    "no-new-privileges": true
}
END
    # Not `ip netns exec`: it hides the cgroup mounts from the engine.
    setsid nsenter --net="/run/netns/$netns" dockerd \
        --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
        -H "unix://$folder/sock" --config-file "$folder/daemon.json" \
        >"$folder/log" 2>&1 </dev/null &
    await_engine "second engine" "$folder"
    docker save tally.local/hello:1 tally.local/hello:2 |
        DOCKER_HOST=unix://$folder/sock timeout 60 docker load >/dev/null
    printf '%s\n' "$folder/sock"
}

case $action in
start) start ;;
stop) stop ;;
*) die "usage: other-engine.sh start|stop FOLDER" ;;
esac
