#!/bin/sh
# Creates docs/pictures from the real output of `tally`, on a simulated host so that the output is the same
# everywhere. `script` provides a terminal, so that the output is coloured.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"
target=${CARGO_TARGET_DIR:-$ROOT/target}
case $target in /*) ;; *) target=$ROOT/$target ;; esac
have script || die "script is needed (package bsdutils)"
cargo build -q --release -p tally-tests --example picture
work=$target/pictures
rm -rf "$work"
mkdir -p "$work" docs/pictures
export LANG=C.UTF-8
unset NO_COLOR

# picture NAME SHOWN-COMMAND COMMAND
picture() {
    # `check` exits with 1 for a spec with errors, which is the case that the picture shows.
    (cd "$work" && { script -qefc "stty cols 92; $3" /dev/null </dev/null || true; }) |
        "$target/release/examples/picture" "$2" >"docs/pictures/$1.svg"
    say "docs/pictures/$1.svg"
}

cat >"$work/tally.kdl" <<'END'
cluster shop {
    host laptop "sim:laptop"
}

pod db {
    container postgres image="postgres:16" {
        port postgres 5432
        resources memory="512MiB"
    }
}

controller web replicas=3 {
    depends-on pod db
    container web image="shop/web:4" {
        port http 8080
        env LOG_LEVEL=info
    }
}
END
(cd "$work" && "$target/release/tally" apply --yes >/dev/null 2>&1)
sed -i 's/512MiB/1GiB/; s/web:4/web:5/; s/LOG_LEVEL=info/LOG_LEVEL=debug/' "$work/tally.kdl"
cat >>"$work/tally.kdl" <<'END'

pod front {
    depends-on controller web
    container nginx image="nginx:1.27" {
        port http 80 publish=8080
    }
}
END
picture plan '$ tally plan' "$target/release/tally plan"

cat >"$work/tally.kdl" <<'END'
cluster shop

pod db {
    container postgres image="postgres:16"
}

controller web replicas=3 {
    depends-on controller db
    container web image=ghcr.io/acme/web:4 {
        resources memory="512m"
    }
}
END
picture error '$ tally check' "$target/release/tally check"
