#!/bin/sh
# Fuzzes the compiler for FUZZ_SECONDS (300 if not set), starting from all specs and cases of this repository. Needs
# rustup: libFuzzer needs a nightly compiler, which is installed beside the pinned one; cargo-fuzz is installed too.
# Inputs that break the compiler are stored in target/fuzz/artifacts; add a test for each to
# compiler/lang/tests/hostile.rs.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

have rustup || die "fuzzing needs a nightly compiler, and there is no rustup to install one with."
rustup toolchain list | grep -q '^nightly' || {
    say "installing a nightly toolchain"
    quietly nightly.log timeout 900 rustup toolchain install nightly --profile minimal || die "no nightly toolchain could be installed"
}
target=${CARGO_TARGET_DIR:-$ROOT/target}
case $target in /*) ;; *) target=$ROOT/$target ;; esac
PATH=$target/fuzz/bin:$PATH
cargo fuzz --version >/dev/null 2>&1 || {
    say "installing cargo-fuzz"
    quietly cargo-fuzz.log cargo install --locked --root "$target/fuzz" cargo-fuzz || die "cargo-fuzz cannot be installed"
}

corpus=$target/fuzz/corpus
mkdir -p "$corpus" "$target/fuzz/artifacts"
find specs tests/cases -name '*.kdl' -size -9k | while read -r spec; do
    cp "$spec" "$corpus/$(printf '%s' "$spec" | tr / -)"
done
CARGO_TARGET_DIR=$target/fuzz/build
export CARGO_TARGET_DIR
cargo +nightly fuzz run --fuzz-dir compiler/lang/fuzz compile "$corpus" -- \
    -max_len=8192 -timeout=5 -rss_limit_mb=2048 -max_total_time="${FUZZ_SECONDS:-300}" \
    -artifact_prefix="$target/fuzz/artifacts/" -print_final_stats=1
