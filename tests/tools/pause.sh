#!/bin/sh
# Builds the infra image's program for both architectures from its source, engine/docker/pause/pause.rs, with the
# compilers of one Debian suite, and reports whether the committed files are the same. A build of Tally compiles the
# program for its own architecture and uses the committed file for the other, because few machines have the core
# library for it.
#
#   pause.sh             replaces the committed files if they differ
#   pause.sh --check     exits with 1 if they differ
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

suite=trixie
folder=$ROOT/engine/docker/pause
compilers=$ROOT/target/tools/rust-$suite
[ "$(id -u)" -eq 0 ] || die "the compilers of another suite run in a separate root file system, which needs root."
"$ROOT/tests/tools/suite.sh" --whole "$suite" "$compilers" \
    rustc libstd-rust-dev:amd64 libstd-rust-dev:arm64 gcc-x86-64-linux-gnu gcc-aarch64-linux-gnu
for merged in bin lib lib64; do
    [ -L "$compilers/$merged" ] || ln -s "usr/$merged" "$compilers/$merged"
done
mkdir -p "$compilers/work" "$compilers/tmp" "$compilers/dev"
[ -e "$compilers/dev/null" ] || mknod -m 666 "$compilers/dev/null" c 1 3
cp "$folder/pause.rs" "$compilers/work/"

status=0
# one ARCHITECTURE MACHINE: builds for one architecture, given by Docker's and the compiler's name.
one() {
    # As in engine/docker/build.rs.
    chroot "$compilers" rustc --edition=2024 --crate-type=bin --crate-name=pause --target "$2-unknown-linux-gnu" \
        -C opt-level=z -C panic=abort -C strip=symbols -C relocation-model=static \
        -C link-arg=-nostartfiles -C link-arg=-nostdlib -C link-arg=-static \
        -C link-arg=-Wl,--build-id=none,-z,norelro,-n -C "linker=$2-linux-gnu-gcc" \
        -o /work/pause /work/pause.rs
    made=$compilers/work/pause
    if cmp -s "$made" "$folder/pause.$1"; then
        say "pause.$1 matches pause.rs ($(wc -c <"$made") bytes, rustc of $suite)"
    elif [ "${3:-}" = --check ]; then
        say "pause.$1 does NOT match pause.rs: run make pause"
        status=1
    else
        install -m 644 "$made" "$folder/pause.$1"
        say "pause.$1 was built again ($(wc -c <"$made") bytes, rustc of $suite)"
    fi
}
one amd64 x86_64 "${1:-}"
one arm64 aarch64 "${1:-}"

# tried ARCHITECTURE RUNNER...: checks that as process 1 it reaps orphaned processes, and ends on SIGTERM.
tried() {
    program=$work/pause.$1
    install -m 755 "$folder/pause.$1" "$program"
    shift
    timeout 30 unshare --pid --fork --kill-child "$@" "$program" &
    sleep 1
    inner=$(pgrep -P "$(pgrep -P $!)")
    nsenter --target "$inner" --pid sh -c 'for i in 1 2 3; do (sleep 0.1 &); done'
    sleep 1
    dead=$(pgrep -P "$inner" -r Z || true)
    kill -TERM "$inner"
    wait $! || { say "$program does not end with 0 on SIGTERM"; status=1; }
    [ -z "$dead" ] || { say "$program does not reap: $dead"; status=1; }
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
emulator=$("$ROOT/tests/tools/unpacked.sh" qemu-user-static qemu-aarch64-static)
case $(uname -m) in
x86_64)
    tried amd64
    tried arm64 "$emulator"
    ;;
aarch64) tried arm64 ;;
esac
[ "$status" -ne 0 ] || say "both programs reap orphaned processes and end on SIGTERM"
exit "$status"
