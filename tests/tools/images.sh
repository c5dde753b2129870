#!/bin/sh
# Builds the small local images of the demo, the worked examples and the tests, without a registry: it creates a root
# file system from Debian packages, which it downloads and unpacks, and imports it by `docker import`.
#
#   images.sh [hello:1] [hello:2] [redis:7]     builds the named images (default: all)
#   images.sh --remove                          removes the images that it built
#
# Each image has a hash of its recipe as a label. An image is built again only if its recipe changed.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

RECIPES=$ROOT/tests/tools/images
LABEL=local.tally.recipe
: "${TALLY_DEBS:=$ROOT/target/tools/debs}"
# shellcheck source=tests/tools/images/base/recipe.sh
. "$RECIPES/base/recipe.sh"
# shellcheck source=tests/tools/images/hello/recipe.sh
. "$RECIPES/hello/recipe.sh"
# shellcheck source=tests/tools/images/redis/recipe.sh
. "$RECIPES/redis/recipe.sh"

first_of() {
    for path in "$@"; do
        if [ -e "$path" ]; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    die "none of these exists: $*"
}

# download PACKAGE...: downloads the packages that the cache lacks.
download() {
    mkdir -p "$TALLY_DEBS"
    wanted=
    for package in "$@"; do
        set -- "$TALLY_DEBS/${package}"_*.deb
        [ -e "$1" ] || wanted="$wanted $package"
    done
    [ -n "$wanted" ] || return 0
    have apt-get || die "the images are built from Debian packages ($wanted), and there is no apt-get here."
    # shellcheck disable=SC2086  # a list of words, on purpose
    (cd "$TALLY_DEBS" && timeout 300 apt-get -q -o APT::Sandbox::User=root download $wanted) >"$TALLY_DEBS/log" 2>&1 && return 0
    # A new machine has no package lists yet.
    can_be_root || die "these packages could not be downloaded: $wanted. As root: apt-get update, then run this again."
    apt_update_once || die "the package lists could not be fetched; is this machine online?"
    # shellcheck disable=SC2086
    (cd "$TALLY_DEBS" && timeout 300 apt-get -q -o APT::Sandbox::User=root download $wanted) >"$TALLY_DEBS/log" 2>&1 ||
        die "these packages could not be downloaded: $wanted (see $TALLY_DEBS/log)"
}

# unpack PACKAGE...: unpacks into $DEBS, with the paths of an installed system.
unpack() {
    download "$@"
    for package in "$@"; do
        # The cache may contain an older build of the same package beside a newer one.
        # shellcheck disable=SC2012  # names of packages: no odd characters
        dpkg-deb -x "$(ls -t "$TALLY_DEBS/${package}"_*.deb | head -n 1)" "$DEBS"
    done
}

# libraries_of PACKAGE: prints the library packages that it depends on, directly or indirectly. Of alternatives it
# uses the first.
libraries_of() {
    queue=$1
    found=
    while [ -n "$queue" ]; do
        next=
        # shellcheck disable=SC2086  # a list of words, on purpose
        for dependency in $(apt-cache depends -i $queue |
            awk '/Depends:/ { if (!skip) print $2; skip = /^ *\|/ }' | grep '^lib' || true); do
            case " $found " in *" $dependency "*) continue ;; esac
            found="$found $dependency"
            next="$next $dependency"
        done
        queue=$next
    done
    printf '%s\n' "$found"
}

# copy_libraries PROGRAM: copies the libraries that the program's loader lists, from the unpacked packages and never
# from this machine.
copy_libraries() {
    loader=$(find "$DEBS" \( -name 'ld-linux*.so.*' -o -name 'ld64.so.*' \) -type f | head -n 1)
    [ -n "$loader" ] || die "the unpacked libc6 has no loader"
    folders=$(find "$DEBS" -name '*.so.*' ! -type d -exec dirname {} + | sort -u | tr '\n' ':')
    listing=$("$loader" --library-path "$folders" --list "$1")
    case $listing in *"not found"*) die "libraries are missing for $1: $listing" ;; esac
    printf '%s\n' "$listing" | awk '$2 == "=>" && $1 !~ /^\// { print $1, $3 }' | while read -r name path; do
        [ -e "$IMAGE/lib/$name" ] || cp -L "$path" "$IMAGE/lib/$name"
    done
    # Programs of this architecture expect the loader at this path.
    interpreter=$(printf '%s\n' "$listing" | awk '$1 ~ /^\/lib.*\/ld/ { print $1; exit }')
    [ -n "$interpreter" ] || case $(uname -m) in
    x86_64) interpreter=/lib64/ld-linux-x86-64.so.2 ;;
    aarch64) interpreter=/lib/ld-linux-aarch64.so.1 ;;
    *) die "unknown architecture: $(uname -m)" ;;
    esac
    mkdir -p "$IMAGE$(dirname "$interpreter")"
    [ -e "$IMAGE$interpreter" ] || cp -L "$loader" "$IMAGE$interpreter"
}

recipe_hash() {
    # The name is part of the hash: two versions of one recipe are different images.
    { printf '%s\n' "$1" && cat "$ROOT/tests/tools/images.sh" "$RECIPES"/base/* "$RECIPES/${1%%:*}"/*; } | sha256sum | cut -c1-16
}

build() {
    name=$1
    hash=$(recipe_hash "$name")
    there=$(docker image inspect --format "{{index .Config.Labels \"$LABEL\"}} {{.Id}}" "tally.local/$name" 2>/dev/null || true)
    [ "${there%% *}" != "$hash" ] || return 0
    say "building the image tally.local/$name"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    DEBS=$work/debs
    IMAGE=$work/root
    mkdir -p "$DEBS" "$IMAGE"
    case $name in
    hello:*) hello_root "${name#*:}" ;;
    redis:*) redis_root ;;
    *) die "no recipe for the image $name" ;;
    esac
    # The same order, owner and time on every machine.
    tar -C "$IMAGE" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . |
        timeout 300 docker import \
            -c "CMD $COMMAND" -c "EXPOSE $PORT" -c "LABEL $LABEL=$hash" \
            -m "made by tests/tools/images.sh" - "tally.local/$name" >/dev/null
    # Remove the previous image with this name, unless a container still uses it.
    [ -z "$there" ] || timeout 60 docker image rm "${there#* }" >/dev/null 2>&1 </dev/null || true
    rm -rf "$work"
    trap - EXIT
}

remove() {
    timeout 60 docker image ls --filter "label=$LABEL" --format '{{.Repository}}:{{.Tag}} {{.ID}}' | while read -r image id; do
        case $image in *'<none>'*) image=$id ;; esac
        if timeout 60 docker image rm "$image" >/dev/null 2>&1 </dev/null; then
            say "removed the image $image"
        else
            say "kept the image $image: a container still uses it"
        fi
    done
}

if [ "${1:-}" = --remove ]; then
    remove
    exit 0
fi
[ $# -gt 0 ] || set -- hello:1 hello:2 redis:7
for image in "$@"; do build "$image"; done
