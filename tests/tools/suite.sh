#!/bin/sh
# Unpacks packages of another Debian suite than this machine's into a folder, without installing them: newer engines
# and compilers for tests. The machine's own package lists and sources are not changed.
#
#   suite.sh SUITE FOLDER PACKAGE[:ARCHITECTURE]...
#   suite.sh --whole SUITE FOLDER PACKAGE...     with all their dependencies
#
# Prefix a package that not every suite has with a question mark: ?tini-static.
# Does nothing if FOLDER exists. Exits with 3 if the packages are not available.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

whole=
if [ "$1" = --whole ]; then
    whole=yes
    shift
fi
suite=$1
folder=$(realpath -m "$2")
shift 2
[ ! -d "$folder" ] || exit 0
cannot() {
    say "no packages of $suite: $*"
    exit 3
}
have apt-get || cannot "there is no apt-get here."
# The mirror that this machine uses also has the other suites.
mirror() {
    # shellcheck disable=SC2016  # apt's own variables
    apt-get indextargets --format '$(CREATED_BY) $(ORIGIN) $(REPO_URI)' |
        awk '$1 == "Packages" && $2 == "Debian" && $3 !~ /security/ { print $3; exit }'
}
from=$(mirror)
if [ -z "$from" ] && can_be_root && apt_update_once; then from=$(mirror); fi
[ -n "$from" ] || cannot "this machine is not updated from Debian."

work=$folder.new
rm -rf "$work"
mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/apt/none"
trap 'rm -rf "$work"' EXIT
: >"$work/apt/status"
printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n' "$from" "$suite" >"$work/apt/sources"
machine=$(dpkg --print-architecture)
# apt_other PROGRAM WORD...: runs apt with separate lists, sources and an empty list of installed packages.
apt_other() {
    program=$1
    shift
    timeout 900 "$program" -q -y -o Dir::Etc::SourceList="$work/apt/sources" -o Dir::Etc::SourceParts="$work/apt/none" \
        -o Dir::Etc::PreferencesParts="$work/apt/none" -o Dir::State::Lists="$work/apt/lists" \
        -o Dir::State::Status="$work/apt/status" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root \
        -o APT::Architecture="$machine" -o APT::Architectures::="$machine" -o APT::Architectures::=arm64 \
        -o APT::Install-Recommends=false -o Acquire::Languages=none "$@"
}
say "downloading packages of Debian $suite for tests: $*"
quietly "apt-$suite.log" apt_other apt-get update || cannot "its lists could not be downloaded."
for package in "$@"; do
    shift
    case $package in
    \?*) apt_other apt-cache show "${package#\?}" >/dev/null 2>&1 && set -- "$@" "${package#\?}" ;;
    *) set -- "$@" "$package" ;;
    esac
done
if [ -n "$whole" ]; then
    quietly "apt-$suite.log" apt_other apt-get --download-only install "$@" || cannot "they could not be downloaded: $*"
else
    (cd "$work/apt/cache/archives" && quietly "apt-$suite.log" apt_other apt-get download "$@") || cannot "they could not be downloaded: $*"
fi
for package in "$work"/apt/cache/archives/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done
mv "$work/root" "$folder"
