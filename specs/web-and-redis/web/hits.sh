#!/bin/sh
# Counts one visit in the counter that all replicas share, and prints which replica served it.
printf 'Content-Type: text/plain\r\n\r\n'
echo "$GREETING from $(hostname), visit $(redis-cli -h "$REDIS_HOST" incr hits)"
