#!/bin/sh
# Asks each replica in turn, so one page shows which of them answer.
printf 'Content-Type: text/plain\r\n\r\n'
for replica in $REPLICAS; do
    echo "$replica: $(timeout 1 wget -q -O - "http://$replica:8080/cgi-bin/hits" || echo 'no answer')"
done
