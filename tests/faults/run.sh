#!/usr/bin/env bash
# Breaks links and processes around the real binary and looks what becomes of the pairs.
#
#   tests/faults/run.sh [--runs N] [--table] [case...]
#
# Needs root: it makes network namespaces of its own, and nothing outside them is touched. LUBDUB names
# the binary if it is not target/debug/lubdub. Logs are in target/faults.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ "$(id -u)" != 0 ]; then
    echo "faults: network namespaces need root" >&2
    exit 1
fi
declare -A packages=(
    [ip]=iproute2 [tc]=iproute2 [ss]=iproute2 [nft]=nftables [setpriv]=util-linux [mount]=mount [sysctl]=procps
    [python3]=python3
)
lacking() {
    for tool in "${!packages[@]}"; do
        command -v "$tool" >/dev/null || echo "${packages[$tool]}"
    done | sort -u
}
# What reaches for the network may fail once.
twice() { "$@" || { echo "failed, and is tried once more: $*" >&2; sleep 5; "$@"; }; }

mapfile -t missing < <(lacking)
if [ "${#missing[@]}" != 0 ]; then
    command -v apt-get >/dev/null || { echo "faults: there is no apt-get to install ${missing[*]} with" >&2; exit 1; }
    twice apt-get update -qq >&2
    twice env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
    mapfile -t missing < <(lacking)
    [ "${#missing[@]}" = 0 ] || { echo "faults: still missing: ${missing[*]}" >&2; exit 1; }
fi

python3 -B "$here/faults.py" "$@" &
faults=$!

# Processes in the namespaces die with their parent; the namespaces themselves would stay.
clean_up() {
    kill "$faults" 2>/dev/null || true
    wait "$faults" 2>/dev/null || true
    ip netns list | awk '{ print $1 }' | { grep "^lubdub-faults-$faults-" || true; } | while read -r name; do
        ip netns delete "$name"
    done
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
wait "$faults"
