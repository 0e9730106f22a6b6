#!/bin/sh
# Makes what the gateway finds on NATS, from the files beside this one, and makes it anew when it is gone.
cd "$(dirname "$0")" || exit 1

# ask CREATE|UPDATE FILE: asks NATS for it. What is there already, and the same, is no error.
ask() {
    answer=$(nats --server "$NATS_URL" request "\$JS.API.STREAM.$1.${2%.json}" "$(cat "$2")" --raw --timeout 5s 2>&1) || return
    case $answer in *'"error"'*) return 1 ;; esac
}

while :; do
    for file in *.json; do
        # What is there with another configuration cannot be created, but changed.
        ask CREATE "$file" || ask UPDATE "$file" || echo "$file: $answer" >&2
    done
    sleep 5
done
