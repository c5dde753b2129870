# Functions for the scripts in this folder: messages, root access, packages, engines.
# Sourced, never run. Every script sets ROOT to the repository before it sources this file.
# shellcheck shell=sh

# The default, unless the caller set another value.
: "${TALLY_LOGS:=$ROOT/target/tools}"

# Prints one line for each action. No output means that nothing was needed.
say() { printf 'tally setup: %s\n' "$*" >&2; }

# Prints an error (the problem, then the solution) and exits.
die() {
    printf 'tally setup: error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# Checks whether root access is possible without a password prompt in the middle of a build.
can_be_root() {
    [ "$(id -u)" -eq 0 ] || { have sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; }
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command with its output in a log, and prints the end of the log if it fails.
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

# Updates the package lists, at most once per run, and only if something has to be installed.
apt_update_once() {
    [ -z "${apt_updated:-}" ] || return 0
    quietly apt-update.log as_root timeout 600 apt-get -q update || return 1
    apt_updated=yes
}

# apt_install WHY PACKAGE...: installs system packages. No other function does.
apt_install() {
    why=$1
    shift
    have apt-get || die "$why needs these Debian packages, and there is no apt-get here: $*. Install their contents with your system's package manager, then run this again."
    can_be_root || die "$why needs these packages, and this user may not install them: $*. Run as root: apt-get install $*"
    say "installing for $why: $*"
    apt_update_once || die "the package lists could not be fetched; is this machine online?"
    quietly apt-install.log as_root env DEBIAN_FRONTEND=noninteractive \
        timeout 1200 apt-get -q -y --no-install-recommends install "$@" ||
        die "apt-get could not install: $*"
}

# loudly HEADLINE SENTENCE...: prints a message that stands out among other lines.
loudly() {
    headline=$1
    shift
    {
        printf '\n==== %s ====\n' "$headline"
        printf '%s\n' "$@"
        printf '========================\n\n'
    } >&2
}

# await_engine NAME FOLDER: waits until the engine at FOLDER/sock answers. If it does not, prints the end of
# FOLDER/log and exits with 3.
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

# end_engine FOLDER: ends the engine whose process id is in FOLDER/pid, and waits up to half a minute until it has
# removed that file.
end_engine() {
    [ ! -f "$1/pid" ] || kill "$(cat "$1/pid")" 2>/dev/null || true
    waited=0
    while [ -f "$1/pid" ] && [ "$waited" -lt 150 ]; do
        sleep 0.2
        waited=$((waited + 1))
    done
}

# unmount_below FOLDER: unmounts all file systems that an engine left mounted below FOLDER.
unmount_below() {
    grep -o " $1/[^ ]*" /proc/mounts 2>/dev/null | sort -r | while read -r mount; do
        umount -l "$mount" 2>/dev/null || true
    done
}
