#!/bin/sh
# The init container: waits for redis, then puts the site into the pod's volume.
set -eu

tries=0
until redis-cli -h "$REDIS_HOST" ping >/dev/null 2>&1; do
    tries=$((tries + 1))
    if [ "$tries" -ge 30 ]; then
        echo "redis does not answer at $REDIS_HOST after 30 tries" >&2
        exit 1
    fi
    sleep 1
done

mkdir -p "$SITE/cgi-bin"
cp /usr/local/share/hits "$SITE/cgi-bin/hits"
echo ok >"$SITE/index.html"
