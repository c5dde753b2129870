#!/bin/sh
# One visit: adds one to the count that all replicas share, and says who counted.
printf 'Content-Type: text/plain\r\n\r\n'
echo "$GREETING from $(hostname), visit $(redis-cli -h "$REDIS_HOST" incr hits)"
