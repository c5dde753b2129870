#!/bin/sh
# Rewrites the page every second. PID 1 gets SIGTERM only if it handles the signal, hence the trap.
trap 'exit 0' TERM

while :; do
    # The pod's network is shared: the web server of the other container answers at 127.0.0.1.
    if timeout 1 wget -q -O /dev/null http://127.0.0.1:8080/; then web=answers; else web="does not answer"; fi
    echo "written at $(date +%T) by writer; web $web" >"$PAGE.new"
    mv "$PAGE.new" "$PAGE"          # a reader never sees half a page
    sleep 1
done
