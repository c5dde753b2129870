#!/bin/sh
# Makes sure that a Docker engine answers: the one that runs, or one that it installs and starts.
#
# Ends with 0: an engine answers.
#           3: none answers and none can be started here (no root, or a kernel that will not have
#              it). `make demo` then runs on a simulated host, and says so.
#           1: something is set wrongly, and only you can tell how it was meant.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

# How long a started engine may take to answer. The first start on a slow disk takes the longest.
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
    # Newer Debian keeps the client in a package of its own.
    have docker || apt_install "talking to Docker" docker-cli
}

if [ -n "${DOCKER_HOST:-}" ]; then
    have docker || client
    answers || die "DOCKER_HOST is $DOCKER_HOST and no engine answers there. Start it, or unset DOCKER_HOST to use the local one."
    exit 0
fi

answers && exit 0

# An engine that runs but does not let this user in: starting a second one would not help.
if [ -S "$socket" ] && [ ! -w "$socket" ]; then
    cannot "$socket is there, but this user may not use it. As root: usermod -aG docker $(id -un), then log in again."
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
        # A dockerd of ours that ended will never answer.
        [ -z "${started:-}" ] || lives "$started" || return 1
        sleep 1
        waited=$((waited + 1))
    done
    return 1
}

# A zombie (Z) answers `kill -0` as if it were alive.
lives() { case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in '' | Z*) return 1 ;; esac; }

mkdir -p "$TALLY_LOGS"
if [ -d /run/systemd/system ]; then
    say "starting the Docker engine (systemctl start docker)"
    quietly engine-start.log as_root timeout 120 systemctl start docker || cannot "systemctl could not start it."
    wait_for_answer || cannot "it was started and did not answer within $TALLY_ENGINE_WAIT s (journalctl -u docker says why)."
else
    # No service manager: a container, or a small virtual machine. setsid keeps the engine alive
    # when the terminal or the make that started it ends.
    log=$TALLY_LOGS/dockerd.log
    say "starting the Docker engine (dockerd, its log is $log)"
    # An engine that was killed leaves its pid files. dockerd takes them at their word, even when
    # the process is dead and only waits to be reaped, and then waits in vain.
    for pidfile in /var/run/docker.pid /var/run/docker/containerd/containerd.pid; do
        if [ -e "$pidfile" ] && ! lives "$(cat "$pidfile")"; then as_root rm -f "$pidfile"; fi
    done
    # Ask for a password now: in the background nobody would see the question.
    [ "$(id -u)" -eq 0 ] || sudo -v || cannot "starting one needs root."
    # shellcheck disable=SC2024  # the log is this user's, on purpose
    as_root setsid dockerd >"$log" 2>&1 </dev/null &
    started=$!
    if ! wait_for_answer; then
        grep -v 'level=info' "$log" | tail -n 5 >&2 || true
        # Leave nothing half started behind.
        as_root kill "$started" 2>/dev/null || true
        cannot "dockerd was started and did not answer (its last words are above)."
    fi
    cp /var/run/docker.pid "$TALLY_LOGS/dockerd.pid" 2>/dev/null || true
fi
