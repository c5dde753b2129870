#!/bin/sh
# Ensures that the toolchain of rust-toolchain.toml is installed with its components. The version is read from that
# file, so there is only one place to change it.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
export PATH
channel=$(sed -n 's/^channel *= *"\(.*\)"/\1/p' rust-toolchain.toml)
components=$(sed -n 's/^components *= *\[\(.*\)\]/\1/p' rust-toolchain.toml | tr -d '",')

install_rustup() {
    if have apt-cache && can_be_root && apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        apt_install "the Rust toolchain" rustup
        return 0
    fi
    say "installing rustup from https://rustup.rs (this release of the system has no package for it)"
    mkdir -p "$TALLY_LOGS"
    curl --proto '=https' --tlsv1.2 -sSf --max-time 120 https://sh.rustup.rs -o "$TALLY_LOGS/rustup-init.sh" ||
        die "rustup could not be downloaded. Install Rust $channel by hand (https://rustup.rs), then run this again."
    quietly rustup.log timeout 900 sh "$TALLY_LOGS/rustup-init.sh" -y --no-modify-path --profile minimal --default-toolchain none ||
        die "rustup could not be installed"
}

# A cargo that did not come from rustup cannot switch versions: check its version.
if have cargo && ! have rustup; then
    version=$(cargo --version | cut -d' ' -f2)
    oldest=$(printf '%s\n%s\n' "$channel" "$version" | sort -V | head -n 1)
    [ "$oldest" = "$channel" ] || die "cargo here is $version and Tally needs $channel or newer. Install rustup (https://rustup.rs) or a newer cargo."
    for component in clippy fmt; do
        cargo "$component" --version >/dev/null 2>&1 ||
            die "this cargo has no $component. Install it the way cargo was installed."
    done
    exit 0
fi

have rustup || install_rustup

ready() {
    rustup toolchain list | grep -q "^$channel" || return 1
    installed=$(rustup component list --toolchain "$channel" --installed) || return 1
    for component in $components; do
        printf '%s\n' "$installed" | grep -q "^$component" || return 1
    done
}

if ! ready; then
    say "installing Rust $channel with: $components"
    for component in $components; do set -- "$@" --component "$component"; done
    quietly rust.log timeout 1800 rustup toolchain install "$channel" --profile minimal "$@" ||
        die "Rust $channel could not be installed"
fi
