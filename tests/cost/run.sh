#!/usr/bin/env bash
# Counts what the real binary executes for a message and for a heartbeat, and compares with baseline.json. Then
# `flood`: how much more time of the processor an endpoint's control frames take than empty texts.
#
#   tests/cost/run.sh [--runs N] [figure...]
#
# LUBDUB names the binary if it is not target/release/lubdub; with LUBDUB_BLESS=1 the baseline is written
# anew. What callgrind wrote is in target/cost.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if ! command -v valgrind >/dev/null; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root="sudo -n"
    $as_root apt-get update -qq >&2
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends valgrind >&2
fi
exec python3 -B "$here/cost.py" "$@"
