#!/bin/sh
# Ensures that a Docker engine answers: a running one, or one that this script installs and starts.
#
# Exit codes: 0: an engine answers.
#             3: none answers and none can be started here (no root, or the kernel does not support it). `make demo`
#                then runs on a simulated host, and says so.
#             1: the configuration is wrong, and only the user can correct it.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

# Maximum time in seconds until a started engine answers. The first start on a slow disk takes the longest.
: "${TALLY_ENGINE_WAIT:=60}"
socket=/var/run/docker.sock

cannot() {
    say "no Docker engine: $*"
    exit 3
}

answers() { have docker && timeout 10 docker version >/dev/null 2>&1; }

client() {
    have docker && return 0
    apt_install "talking to Docker" docker.io
    # Newer Debian has the client in a separate package.
    have docker || apt_install "talking to Docker" docker-cli
}

if [ -n "${DOCKER_HOST:-}" ]; then
    have docker || client
    answers || die "DOCKER_HOST is $DOCKER_HOST and no engine answers there. Start it, or unset DOCKER_HOST to use the local one."
    exit 0
fi

answers && exit 0

# An engine is running but refuses this user: starting a second one would not help.
if [ -S "$socket" ] && [ ! -w "$socket" ]; then
    cannot "$socket exists, but this user has no access to it. As root: usermod -aG docker $(id -un), then log in again."
fi

can_be_root || cannot "none answers at $socket, and starting one needs root."
if ! have dockerd || ! have docker; then
    have apt-get || cannot "none answers at $socket, and there is no apt-get to install docker.io with."
    set -- docker.io
    have iptables || set -- "$@" iptables
    apt_install "the Docker engine" "$@"
    have docker || apt_install "talking to Docker" docker-cli
    answers && exit 0
fi

wait_for_answer() {
    waited=0
    while [ "$waited" -lt "$TALLY_ENGINE_WAIT" ]; do
        answers && return 0
        # A dockerd that this script started and that has ended will never answer.
        [ -z "${started:-}" ] || lives "$started" || return 1
        sleep 1
        waited=$((waited + 1))
    done
    return 1
}

# `kill -0` also succeeds for a zombie (Z).
lives() { case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in '' | Z*) return 1 ;; esac; }

mkdir -p "$TALLY_LOGS"
if [ -d /run/systemd/system ]; then
    say "starting the Docker engine (systemctl start docker)"
    quietly engine-start.log as_root timeout 120 systemctl start docker || cannot "systemctl could not start it."
    wait_for_answer || cannot "it was started and did not answer within $TALLY_ENGINE_WAIT s (see journalctl -u docker)."
else
    # No service manager: a container, or a small virtual machine. setsid keeps the engine running
    # when the terminal or the make process ends.
    log=$TALLY_LOGS/dockerd.log
    say "starting the Docker engine (dockerd, its log is $log)"
    # A killed engine leaves its pid files behind. dockerd trusts them, even if the process is a zombie, and
    # then waits forever.
    for pidfile in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
        if [ -e "$pidfile" ] && ! lives "$(cat "$pidfile")"; then as_root rm -f "$pidfile"; fi
    done
    # Ask for a password now: in the background nobody would see the prompt.
    [ "$(id -u)" -eq 0 ] || sudo -v || cannot "starting one needs root."
    # shellcheck disable=SC2024  # the log is this user's, on purpose
    as_root setsid dockerd >"$log" 2>&1 </dev/null &
    started=$!
    if ! wait_for_answer; then
        grep -v 'level=info' "$log" | tail -n 5 >&2 || true
        # Leave no partly started engine behind.
        as_root kill "$started" 2>/dev/null || true
        cannot "dockerd was started and did not answer (the end of its log is above)."
    fi
    cp /var/run/docker.pid "$TALLY_LOGS/dockerd.pid" 2>/dev/null || true
fi
