# Shared by the scripts beside this file: how they speak, and how they become root.
# Sourced, never run. Every script that sources it has set ROOT to the repository.
# shellcheck shell=sh

# The host's own values, unless the caller chose others.
: "${TALLY_LOGS:=$ROOT/target/tools}"

# One line for each thing that is done. Silence means nothing was needed.
say() { printf 'tally setup: %s\n' "$*" >&2; }

# A sentence that ends the script: what is wrong, then what to do.
die() {
    printf 'tally setup: error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Can we act as root without asking for a password in the middle of a build?
can_be_root() {
    [ "$(id -u)" -eq 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command with its output in a log, and shows the log's end only when it fails.
quietly() {
    log=$1
    shift
    mkdir -p "$TALLY_LOGS"
    "$@" >"$TALLY_LOGS/$log" 2>&1 </dev/null && return 0
    status=$?
    printf 'tally setup: failed: %s\n' "$*" >&2
    tail -n 20 "$TALLY_LOGS/$log" >&2
    return "$status"
}

# Package lists are fetched once a run, and only when something has to be installed.
apt_update_once() {
    [ -z "${apt_updated:-}" ] || return 0
    quietly apt-update.log as_root timeout 600 apt-get -q update || return 1
    apt_updated=yes
}

# apt_install WHY PACKAGE...: the one place that installs system packages.
apt_install() {
    why=$1
    shift
    have apt-get || die "$why needs these Debian packages, and there is no apt-get here: $*. Install what they hold by your system's own means, then run this again."
    can_be_root || die "$why needs these packages, and this user may not install them: $*. Run as root: apt-get install $*"
    say "installing for $why: $*"
    apt_update_once || die "the package lists could not be fetched; is this machine online?"
    quietly apt-install.log as_root env DEBIAN_FRONTEND=noninteractive \
        timeout 1200 apt-get -q -y --no-install-recommends install "$@" ||
        die "apt-get could not install: $*"
}

# loudly HEADLINE SENTENCE...: what must not be overlooked among other lines.
loudly() {
    headline=$1
    shift
    {
        printf '\n==== %s ====\n' "$headline"
        printf '%s\n' "$@"
        printf '========================\n\n'
    } >&2
}

# await_engine WHAT FOLDER: waits until the engine at FOLDER/sock answers; shows the end of FOLDER/log
# and ends the script with 3 when it does not.
await_engine() {
    waited=0
    until DOCKER_HOST=unix://$2/sock timeout 5 docker version >/dev/null 2>&1; do
        if [ "$waited" -ge 300 ]; then
            tail -n 5 "$2/log" >&2
            say "no $1: it did not answer"
            exit 3
        fi
        sleep 0.2
        waited=$((waited + 1))
    done
}

# end_engine FOLDER: the engine whose `pid` lies there ends, within half a minute, and takes that file away.
end_engine() {
    [ ! -f "$1/pid" ] || kill "$(cat "$1/pid")" 2>/dev/null || true
    waited=0
    while [ -f "$1/pid" ] && [ "$waited" -lt 150 ]; do
        sleep 0.2
        waited=$((waited + 1))
    done
}

# unmount_below FOLDER: what an engine leaves mounted there.
unmount_below() {
    grep -o " $1/[^ ]*" /proc/mounts 2>/dev/null | sort -r | while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done
}
