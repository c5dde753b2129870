#!/bin/sh
# The demo: the commands a newcomer would type, each shown before it runs. `make demo` has built
# the binary; this brings the engine and the images, and nothing is asked.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

bin=${CARGO_TARGET_DIR:-target}/release
case $bin in /*) ;; *) bin=$ROOT/$bin ;; esac
[ -x "$bin/tally" ] || die "there is no $bin/tally yet. Run: make build"
PATH=$bin:$PATH

spec=specs/hello
engine=0
"$ROOT/tests/tools/engine.sh" || engine=$?
case $engine in
0) "$ROOT/tests/tools/images.sh" hello:1 hello:2 ;;
3)
    # The same spec with one block more. It is a copy, so specs/hello stays as it is.
    spec=target/demo/hello
    mkdir -p "$spec"
    sed 's/^cluster hello$/cluster hello {\n    host demo "sim:demo"\n}/' specs/hello/tally.kdl >"$spec/tally.kdl"
    grep -q 'sim:demo' "$spec/tally.kdl" || die "specs/hello has no line 'cluster hello' to add the simulated host to."
    loudly "SIMULATED" \
        "No Docker engine can be had here, so this runs on a SIMULATED host." \
        "The plans are real; no container is. The spec is a copy: $spec/tally.kdl"
    ;;
*) exit "$engine" ;;
esac

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

run tally check "$spec"
run tally plan "$spec"
run tally apply --yes "$spec"
run tally status "$spec"
status=0
run tally plan --detailed-exitcode "$spec" || status=$?
case $status in
0) ;;
2) die "the second plan should have been empty. This is a bug in Tally." ;;
*) exit "$status" ;;
esac

# From here on people type it themselves, so show the path that works from where they are.
shown=$bin/tally
case $shown in "$ROOT"/*) shown=${shown#"$ROOT"/} ;; esac

printf '\nWhat to try next:\n'
if [ "$engine" -eq 0 ]; then
    printf '  curl http://127.0.0.1:8080\n'
fi
cat <<END
  change hello:1 to hello:2 in $spec/tally.kdl, then: $shown plan $spec
  $shown explain pod/hello -s $spec    where each value comes from
  $shown explain container.image       what a field means
END
if [ "$engine" -eq 0 ]; then
    cat <<END
  make images                       then the other specs: specs/sidecar, specs/web-and-redis
END
else
    printf '\nAll of this was SIMULATED.\n'
fi
printf '  make demo-clean                   takes it all back\n'
