#!/bin/sh
# A lab of real Docker engines on this machine: each dockerd in a network namespace of its own, with
# a socket, a TLS port and an sshd. docs/devel/lab.md says what can be done with it.
#
#   lab.sh up        sets it up, installs what is missing, and prints the addresses and a spec
#   lab.sh down      takes it away; nothing is left
#   lab.sh status    prints the addresses again
#   lab.sh able      ends with 0 where a lab can be had, else with 3 and why
#
# Honoured: TALLY_LAB (its folder, /var/lib/tally-lab), TALLY_LAB_HOSTS (3).
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

: "${TALLY_LAB:=/var/lib/tally-lab}"
# The example's certificates are a link to the lab's.
link=$ROOT/specs/three-hosts/certs
PATH=$PATH:/usr/sbin:/sbin

cannot() {
    say "no lab: $*"
    exit 3
}

able() {
    [ "$(id -u)" -eq 0 ] || cannot "it needs root."
    for program in dockerd docker ip iptables nsenter setsid sysctl openssl ssh ssh-keygen sshd; do
        have "$program" || cannot "there is no $program here (make lab-up installs what is missing)."
    done
    unshare --net true 2>/dev/null || cannot "no network namespaces here."
}

lab() { cargo run --quiet -p tally-tests --example lab -- "$@"; }

case ${1:-} in
up)
    [ "$(id -u)" -eq 0 ] || die "the lab needs root: it makes network namespaces and starts engines."
    "$ROOT/tests/tools/packages.sh" lab
    able
    # Its images come from this machine's engine.
    "$ROOT/tests/tools/engine.sh"
    "$ROOT/tests/tools/images.sh" hello:1 hello:2
    lab up
    ln -sfn "$TALLY_LAB/certs" "$link"
    ;;
down)
    rm -f "$link"
    lab down
    ;;
status) lab status ;;
able) able ;;
*) die "usage: lab.sh up|down|status|able" ;;
esac
