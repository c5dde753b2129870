#!/bin/sh
# Controls the lab: several real Docker engines on this machine, each dockerd in its own network namespace with
# a socket, a TLS port and an sshd. docs/devel/lab.md describes the lab.
#
#   lab.sh up        starts the lab, installs missing programs, and prints the addresses and a spec
#   lab.sh down      removes the lab completely
#   lab.sh status    prints the addresses again
#   lab.sh able      exits with 0 if a lab is possible here, otherwise prints the reason and exits with 3
#
# Variables: TALLY_LAB (its folder, /var/lib/tally-lab), TALLY_LAB_HOSTS (3).
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

: "${TALLY_LAB:=/var/lib/tally-lab}"
# The example uses the lab's certificates by a link.
link=$ROOT/specs/three-hosts/certs
PATH=$PATH:/usr/sbin:/sbin

cannot() {
    say "no lab: $*"
    exit 3
}

able() {
    [ "$(id -u)" -eq 0 ] || cannot "it needs root."
    for program in dockerd docker ip iptables nsenter setsid sysctl openssl ssh ssh-keygen sshd; do
        have "$program" || cannot "there is no $program here (make lab-up installs the missing programs)."
    done
    unshare --net true 2>/dev/null || cannot "no network namespaces here."
}

lab() { cargo run --quiet -p tally-tests --example lab -- "$@"; }

case ${1:-} in
up)
    [ "$(id -u)" -eq 0 ] || die "the lab needs root: it creates network namespaces and starts engines."
    "$ROOT/tests/tools/packages.sh" lab
    able
    # The lab copies its images from this machine's engine.
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
