# tally.local/redis:7: the real redis of this system's own package (7.0 on Debian 12), the shared
# libraries that its loader lists, and busybox as a shell. Nothing is installed on the machine:
# the packages are only unpacked, so no redis is started on it.
# shellcheck shell=sh disable=SC2034  # COMMAND and PORT are read by images.sh

redis_root() {
    busybox_root
    # shellcheck disable=SC2046  # a list of words, on purpose
    unpack redis-server redis-tools $(libraries_of redis-tools)
    mkdir -p "$IMAGE/data" "$IMAGE/usr/bin" "$IMAGE/lib"
    for program in redis-server redis-cli; do
        cp -L "$DEBS/usr/bin/$program" "$IMAGE/usr/bin/$program"
        copy_libraries "$IMAGE/usr/bin/$program"
    done
    # Three programs of Debian's package are one file under three names; the image needs it once.
    COMMAND='["redis-server","--protected-mode","no","--dir","/data"]'
    PORT=6379
}
