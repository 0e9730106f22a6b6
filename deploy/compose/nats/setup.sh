#!/bin/sh
# Makes what the gateway finds on NATS, from the files beside this one, and makes it anew when it is gone.
cd "$(dirname "$0")" || exit 1
while :; do
    for file in *.json; do
        nats --server "$NATS_URL" request "\$JS.API.STREAM.CREATE.${file%.json}" "$(cat "$file")" --raw --timeout 5s \
            >/tmp/answer 2>&1 || cat /tmp/answer >&2
        # An answer that is an error is said; what is there already, and the same, is none.
        if grep -q '"error"' /tmp/answer; then cat /tmp/answer >&2; fi
    done
    sleep 5
done
