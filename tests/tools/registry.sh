#!/bin/sh
# Prints the path of Debian's image registry, for the tests that pull from one. The package is only
# unpacked: installing it would start a registry as a service, which nobody asked for.
#
# Ends with 3 where it cannot be had.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

if have docker-registry; then
    command -v docker-registry
    exit 0
fi
folder=$ROOT/target/tools/registry
program=$folder/usr/bin/docker-registry
if [ ! -x "$program" ]; then
    have apt-get || { say "no registry: there is no apt-get to fetch docker-registry with"; exit 3; }
    say "fetching for the tests: docker-registry"
    rm -rf "$folder"
    mkdir -p "$folder"
    fetch() { (cd "$folder" && quietly registry.log timeout 300 apt-get -q -o APT::Sandbox::User=root download docker-registry); }
    # A fresh machine has no package lists yet.
    fetch || { can_be_root && apt_update_once && fetch; } || { say "no registry: docker-registry cannot be fetched"; exit 3; }
    dpkg-deb -x "$folder"/docker-registry_*.deb "$folder"
fi
printf '%s\n' "$program"
