#!/bin/sh
# Installs the system packages that a new Debian or Ubuntu lacks for building Tally, and nothing else. It checks for
# programs and files, not for packages, so it changes nothing on a machine that has them from elsewhere.
#
#   packages.sh build     a linker and the tools that download a toolchain
#   packages.sh test      the same, and the linter of these shell scripts
#   packages.sh podman    the same as for build, and Podman
#   packages.sh lab       the same as for build, and the programs of the lab's hosts
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

purpose=${1:-build}
missing=
need() { missing="$missing $1"; }

have cc || need gcc
# A compiler without the C library's headers and start files cannot link.
echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null || need libc6-dev
[ -e /etc/ssl/certs/ca-certificates.crt ] || need ca-certificates
# curl downloads the toolchain if Debian has no package for it, and the demo suggests it to users.
have curl || need curl
if [ "$purpose" = test ]; then
    have shellcheck || need shellcheck
fi
if [ "$purpose" = podman ]; then
    have podman || need podman
fi
if [ "$purpose" = lab ]; then
    # Administration programs, which are not in every user's PATH.
    PATH=$PATH:/usr/sbin:/sbin
    have ip || need iproute2
    have iptables || need iptables
    have openssl || need openssl
    have ssh || need openssh-client
    # On a machine with systemd this also starts an sshd for the machine itself.
    have sshd || need openssh-server
    have sysctl || need procps
    have setpriv || need util-linux
fi

# shellcheck disable=SC2086  # a list of words, on purpose
[ -z "$missing" ] || apt_install "the build" $missing
