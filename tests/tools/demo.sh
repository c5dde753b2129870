#!/bin/sh
# The demo: runs the first commands of a new user, and prints each before it runs. `make demo` has built the
# binary; this script provides the engine and the images, and asks no questions.
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
    # The same spec with one more block. It is a copy, so specs/hello is not changed.
    spec=target/demo/hello
    mkdir -p "$spec"
    sed 's/^cluster hello$/cluster hello {\n    host demo "sim:demo"\n}/' specs/hello/tally.kdl >"$spec/tally.kdl"
    grep -q 'sim:demo' "$spec/tally.kdl" || die "specs/hello has no line 'cluster hello' to add the simulated host to."
    loudly "SIMULATED" \
        "No Docker engine is available here, so this runs on a SIMULATED host." \
        "The plans are real, but no containers run. The spec is a copy: $spec/tally.kdl"
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

# From here on users type the commands themselves, so print the path relative to the repository.
shown=$bin/tally
case $shown in "$ROOT"/*) shown=${shown#"$ROOT"/} ;; esac

printf '\nNext steps:\n'
if [ "$engine" -eq 0 ]; then
    printf '  curl http://127.0.0.1:8080\n'
fi
cat <<END
  change hello:1 to hello:2 in $spec/tally.kdl, then: $shown plan $spec
  $shown explain pod/hello -s $spec    the origin of each value
  $shown explain container.image       the meaning of a field
END
if [ "$engine" -eq 0 ]; then
    cat <<END
  make images                       then the other specs: specs/sidecar, specs/web-and-redis
END
else
    printf '\nAll of this was SIMULATED.\n'
fi
printf '  make demo-clean                   removes everything again\n'
