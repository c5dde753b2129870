#!/bin/sh
# Tries all mutants of the planner and the loop that cargo-mutants finds. They are inserted into one copy of the
# sources, each behind a switch, so that one build contains them all; then the tests run once with each. This takes half
# an hour on two cores. Prints a line for each mutant; no test catches those that begin with MISSED.
#
#   mutants.sh [PACKAGE...]     default: tally-reconcile and tally-control
#
# With MISSED=FILE, the output of an earlier run, only the mutants that it missed are tried.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
[ $# -gt 0 ] || set -- tally-reconcile tally-control
missed=
[ -z "${MISSED:-}" ] || missed=$(realpath "$MISSED")
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
cd "$ROOT"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
kept=${TALLY_MUTANTS_TARGET:-$ROOT/target/mutants}
PATH=$PATH:$kept/tools/bin
if ! cargo mutants --version >/dev/null 2>&1; then
    say "installing cargo-mutants, which lists the mutants"
    quietly cargo-mutants.log env CARGO_TARGET_DIR="$kept/tools/target" \
        cargo install --locked cargo-mutants --root "$kept/tools" || die "cargo-mutants cannot be installed"
fi
CARGO_TARGET_DIR=$kept/own cargo build --quiet --release --manifest-path tests/mutants/Cargo.toml
own=$kept/own/release/tally-mutants

cd "$copy"
git init --quiet .
packages=
for package in "$@"; do packages="$packages --package $package"; done
# shellcheck disable=SC2086
cargo mutants --list --json $packages >mutants.json
cat "$ROOT/tests/mutants/switch.rs" >>compiler/graph/src/lib.rs
export CARGO_TARGET_DIR="$kept/copy"
"$own" plant . mutants.json >planted.json
# Comparisons in builds with assertions count as tests too.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
# The fast tests first: the others skip the mutants that they catch.
# shellcheck disable=SC2086
tests=$(cargo test --release --no-run $packages --package tally-tests --lib --test scenarios --test balance \
    --test leases --test simulation 2>&1 | sed -n 's/^ *Executable .*(\(.*\))$/\1/p') || die "the tests do not build"
ordered=
for name in tally_reconcile tally_control balance scenarios leases simulation; do
    for test in $tests; do
        case $(basename "$test") in "$name"-*) ordered="$ordered $test" ;; esac
    done
done
if [ -n "${MISSED:-}" ]; then
    # shellcheck disable=SC2086
    "$own" again . planted.json "$missed" $ordered
else
    # shellcheck disable=SC2086
    "$own" try . planted.json $ordered
fi
