#!/bin/sh
# Prints the path of a program that tests start: Debian's image registry, its etcd, Prometheus' promtool.
# The package is only unpacked, because installing it may start a service.
#
#   unpacked.sh PACKAGE PROGRAM     for example: unpacked.sh etcd-server etcd
#
# Exits with 3 if the program is not available.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

package=$1
name=$2
if have "$name"; then
    command -v "$name"
    exit 0
fi
folder=$ROOT/target/tools/$package
program=$folder/usr/bin/$name
if [ ! -x "$program" ]; then
    have apt-get || { say "no $name: there is no apt-get to download $package with"; exit 3; }
    say "downloading for the tests: $package"
    rm -rf "$folder"
    mkdir -p "$folder"
    fetch() { (cd "$folder" && quietly "$package.log" timeout 300 apt-get -q -o APT::Sandbox::User=root download "$package"); }
    # A new machine has no package lists yet.
    fetch || { can_be_root && apt_update_once && fetch; } || { say "no $name: $package could not be downloaded"; exit 3; }
    dpkg-deb -x "$folder/$package"_*.deb "$folder"
fi
printf '%s\n' "$program"
