#!/bin/sh
# Installs the system packages that a fresh Debian or Ubuntu lacks for building Tally, and
# nothing else. It looks for programs and files, not for packages, so a machine that got them
# another way is left alone.
#
#   packages.sh build     a linker and what fetches a toolchain
#   packages.sh test      the same, and the check of these shell scripts
#   packages.sh podman    the same as for building, and Podman
#   packages.sh lab       the same as for building, and what the lab's hosts are made of
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
# curl fetches the toolchain where Debian has no package for it, and is what the demo tells you to try.
have curl || need curl
if [ "$purpose" = test ]; then
    have shellcheck || need shellcheck
fi
if [ "$purpose" = podman ]; then
    have podman || need podman
fi
if [ "$purpose" = lab ]; then
    # Programs of the administrator, which are in few users' PATH.
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
