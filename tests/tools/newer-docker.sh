#!/bin/sh
# Runs a command with the Docker engine of another Debian suite at the usual socket: dockerd, containerd and runc of
# that suite, with separate state, network and mounts. They are also first in PATH, so the second engine and the
# lab's engines are of that suite too. Needs root; leaves only the downloaded packages behind.
#
#   newer-docker.sh SUITE COMMAND [ARGUMENT...]     for example: newer-docker.sh sid make test
#
# Variables: TALLY_DOCKER_STORE=containerd   images are in containerd's store, as in Docker 29
#            TALLY_DOCKER_MIN_API=1.44       older versions of the API are refused, as in Docker 29
#            TALLY_DOCKER_LOG=FILE           gets the engine's log if the command fails
#
# Exits with the command's exit code, or with 3 if no such engine is available.
set -eu
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=tests/tools/lib.sh
. "$ROOT/tests/tools/lib.sh"

suite=$1
shift
programs=$ROOT/target/tools/docker-$suite
images="tally.local/hello:1 tally.local/hello:2 tally.local/redis:7"
PATH=$PATH:/usr/sbin:/sbin

# Only runc needs the suite's own C library: its path is set here.
unpack() {
    [ ! -e "$programs/bin/runc" ] || return 0
    have patchelf || apt_install "programs of another suite" patchelf
    "$ROOT/tests/tools/suite.sh" "$suite" "$programs" docker.io containerd runc libc6 libseccomp2 tini '?tini-static'
    lib=$(dirname "$(find "$programs/usr" -name 'libseccomp.so.2')")
    cp "$programs/usr/sbin/runc" "$programs/runc"
    patchelf --set-interpreter "$(find "$lib" -name 'ld-linux-*.so.*' | head -n 1)" --set-rpath "$lib" "$programs/runc"
    mkdir -p "$programs/bin"
    for program in docker-proxy containerd containerd-shim-runc-v2 docker-init; do
        ln -sf "$(find "$programs/usr" -path "*bin/$program" | head -n 1)" "$programs/bin/$program"
    done
    mv "$programs/runc" "$programs/bin/runc"
}

# Engines that tests start themselves get the same settings as this one.
wrap() {
    cat >"$programs/bin/dockerd" <<EOF
#!/bin/sh
[ -z "\${TALLY_DOCKER_MIN_API:-}" ] || export DOCKER_MIN_API_VERSION="\$TALLY_DOCKER_MIN_API"
if [ "\${TALLY_DOCKER_STORE:-}" = containerd ]; then
    # That store uses another name for the same driver.
    for word in "\$@"; do
        shift
        [ "\$word" != overlay2 ] || word=overlayfs
        set -- "\$@" "\$word"
    done
    set -- --feature containerd-snapshotter=true "\$@"
fi
exec $programs/usr/sbin/dockerd "\$@"
EOF
    chmod +x "$programs/bin/dockerd"
}

# Stop the engine also after a signal.
trap 'exit 130' INT TERM
if [ -z "${TALLY_NEWER_DOCKER:-}" ]; then
    [ "$(id -u)" -eq 0 ] || { say "no engine of another suite: it needs root"; exit 3; }
    have ip || apt_install "an engine of another suite" iproute2
    unpack
    wrap
    "$ROOT/tests/tools/engine.sh"
    "$ROOT/tests/tools/images.sh"
    # Download the programs that tests start here: the tests' network namespace has no route to the outside.
    "$ROOT/tests/tools/unpacked.sh" docker-registry docker-registry >/dev/null
    "$ROOT/tests/tools/unpacked.sh" etcd-server etcd >/dev/null
    "$ROOT/tests/tools/unpacked.sh" prometheus promtool >/dev/null
    TALLY_NEWER_DOCKER=$(mktemp -d /var/lib/tally-docker.XXXXXX)
    export TALLY_NEWER_DOCKER
    trap 'rm -rf "$TALLY_NEWER_DOCKER"' EXIT
    # shellcheck disable=SC2086  # a list of words, on purpose
    docker save -o "$TALLY_NEWER_DOCKER/images.tar" $images
    status=0
    unshare --mount --net "$0" "$suite" "$@" || status=$?
    exit "$status"
fi

folder=$TALLY_NEWER_DOCKER
PATH=$programs/bin:$PATH
export PATH
# shellcheck disable=SC2317 # called by the trap
stop() {
    end_engine "$folder"
    umount /var/run/docker.sock 2>/dev/null || true
    unmount_below "$folder"
}
trap stop EXIT
ip link set lo up
# Hide the machine's own containerd, whose sockets are here: dockerd would use it.
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
echo '{}' >"$folder/daemon.json"
setsid dockerd --config-file "$folder/daemon.json" --data-root "$folder/data" --exec-root "$folder/exec" --pidfile "$folder/pid" \
    -H "unix://$folder/sock" >"$folder/log" 2>&1 </dev/null &
await_engine "engine of $suite" "$folder"
mount --bind "$folder/sock" /var/run/docker.sock
timeout 120 docker load -q -i "$folder/images.tar" >/dev/null
say "$(docker version --format 'Docker {{.Server.Version}}, API {{.Server.MinAPIVersion}} to {{.Server.APIVersion}}'), images in $(docker info --format '{{.Driver}}')"
status=0
"$@" || status=$?
[ "$status" -eq 0 ] || [ -z "${TALLY_DOCKER_LOG:-}" ] || cp "$folder/log" "$TALLY_DOCKER_LOG"
exit "$status"
