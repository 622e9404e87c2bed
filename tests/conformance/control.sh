#!/usr/bin/env bash
# Plays the conformance cases once against nginx and once against HAProxy, writes what came of it to
# control/*.txt, and puts that into docs/topics/transparency.md.
#
# Both are Debian's packages: apt-get install nginx haproxy. They run on loopback, on PORT, without
# privileges, and only while this does.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

PORT=${PORT:-18710}
directory=$(mktemp -d)
proxy=
trap 'stop; rm -rf "$directory"' EXIT

stop() {
    if [ -n "$proxy" ]; then
        kill "$proxy" 2>/dev/null || true
        wait "$proxy" 2>/dev/null || true
        proxy=
    fi
}

# Waits until something listens.
ready() {
    for _ in $(seq 100); do
        kill -0 "$proxy"
        if (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null; then
            return
        fi
        sleep 0.05
    done
    echo "nothing listens on $PORT" >&2
    return 1
}

# $1: the report; $2: what the proxy calls itself; the rest starts it.
control() {
    local report=control/$1.txt name=$2
    shift 2
    "$@" &
    proxy=$!
    ready
    LUBDUB_CONFORMANCE_PROXY=127.0.0.1:$PORT \
        LUBDUB_CONFORMANCE_NAME=$name \
        LUBDUB_CONFORMANCE_REPORT=$PWD/$report \
        cargo test --quiet --package lubdub-tests --test conformance -- --exact --ignored control::control
    stop
    printf '%s\n' "$report" && grep -c pass "$report"
}

# $1: a configuration; prints where it is, filled in.
configuration() {
    sed -e "s|PORT|$PORT|" -e "s|DIRECTORY|$directory|" "control/$1" >"$directory/$1"
    printf '%s' "$directory/$1"
}

control nginx "$(nginx -v 2>&1 | sed 's|.*: nginx/|nginx |')" \
    nginx -p "$directory" -e "$directory/error.log" -c "$(configuration nginx.conf)"
control haproxy "$(haproxy -v | sed -n '1s|HAProxy version \([0-9.]*\).*|HAProxy \1|p')" \
    haproxy -db -f "$(configuration haproxy.cfg)"

LUBDUB_BLESS=1 cargo test --quiet --package lubdub-tests --test conformance page
