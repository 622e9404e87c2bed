#!/usr/bin/env bash
# slowhttptest in its four modes against the real binary, while a real WebSocket client (the package
# websockets for Python) goes on connecting and one that is there goes on talking. Loopback only, about 90 s.
# Prints the table that is in docs/topics/threat-model.md, and ends with 1 if any client failed or the attack
# did not come to be.
#
#   make abuse
#   tests/abuse/slowhttptest.sh [headers|body|range|read]...
#
# LUBDUB names the binary if it is not target/debug/lubdub, CONNECTIONS (1000) and SECONDS_EACH (20) how
# hard and how long. What slowhttptest (Debian: slowhttptest) itself says is in target/slowhttptest, where the
# client is installed, too, by pip.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/../.."

lubdub=${LUBDUB:-target/debug/lubdub}
connections=${CONNECTIONS:-1000}
seconds=${SECONDS_EACH:-20}
[ -x "$lubdub" ] || { echo "there is no $lubdub: make build" >&2; exit 1; }
logs=$PWD/target/slowhttptest
mkdir -p "$logs"

package() { # PACKAGE: of Debian
    [ "$(id -u)" = 0 ] || { echo "$1 is missing (Debian: $1)" >&2; return 1; }
    [ -n "${updated:-}" ] || { apt-get update --quiet >&2; updated=yes; }
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$1" >&2
}
command -v slowhttptest >/dev/null || package slowhttptest
command -v slowhttptest >/dev/null || { echo "slowhttptest is still missing" >&2; exit 1; }

# The client is the one of tests/interop, in the same version.
client=$(grep '^websockets==' tests/interop/requirements.txt)
venv=$logs/venv
if [ "$(cat "$venv/.installed" 2>/dev/null)" != "$client" ]; then
    rm -rf "$venv"
    # Debian keeps a part of it in a package of its own.
    python3 -m venv "$venv" >/dev/null 2>&1 || { package python3-venv; python3 -m venv "$venv"; }
    "$venv/bin/pip" install --quiet --disable-pip-version-check "$client" >&2
    printf '%s' "$client" >"$venv/.installed"
fi

# It holds all connections in one process.
ulimit -n "$(ulimit -Hn)"
# The frames of the backend are those of the faults' endpoints.
export PYTHONPATH=$here/../faults PYTHONDONTWRITEBYTECODE=1

work=$(mktemp -d)
jobs=()
clean_up() {
    for job in "${jobs[@]}"; do kill "$job" 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# FILE PATTERN: what the pattern's group is in the first line that matches, once there is one.
await() {
    local found
    for _ in $(seq 100); do
        found=$(sed -nE "s/$2/\\1/p" "$1" 2>/dev/null | head -n 1)
        [ -z "$found" ] || { printf '%s' "$found"; return; }
        sleep 0.1
    done
    echo "no line like $2 in $1:" >&2
    cat "$1" >&2
    return 1
}

"$venv/bin/python" "$here/slow.py" backend >"$work/backend" &
jobs+=($!)
backend=$(await "$work/backend" '^([0-9]+)$')
env -i "$lubdub" --listen 127.0.0.1:0 --upstream "ws://127.0.0.1:$backend" \
    --set admin.address=127.0.0.1:0 --log-format json >/dev/null 2>"$logs/lubdub.log" &
jobs+=($!)
port=$(await "$logs/lubdub.log" '.*"listening".*"address":"[^"]*:([0-9]+)".*|.*"address":"[^"]*:([0-9]+)".*"listening".*')

mode() {
    case $1 in
    headers) echo -H -x 24 ;;
    body) echo -B -s 8192 -x 10 ;;
    range) echo -R -a 5 -b 3000 ;;
    read) echo -X -w 512 -y 1024 -n 5 -z 32 -k 3 ;;
    *) echo "no mode $1" >&2; return 64 ;;
    esac
}

# As the page has it.
# shellcheck disable=SC2016 # the backquotes are Markdown's
label() {
    case $1 in
    headers) echo '`-H` slow headers' ;;
    body) echo '`-B` slow body' ;;
    range) echo '`-R` ranges' ;;
    read) echo '`-X` slow read' ;;
    esac
}

passed=0 failed=0
[ $# -gt 0 ] || set -- headers body range read
echo "| mode | its connections | at a time | new clients | failed | slowest, from connect to Close \
| exchanges on the old connection | failed | slowest |"
echo "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
for name in "$@"; do
    flags=$(mode "$name")
    # shellcheck disable=SC2086 # one flag a word
    timeout $((seconds + 20)) slowhttptest $flags -c "$connections" -r "$connections" -i 1 -l "$seconds" \
        -p 3 -g -o "$logs/$name" -u "http://127.0.0.1:$port/" >"$logs/$name.log" 2>&1 &
    attack=$!
    jobs+=("$attack")
    cells=$("$venv/bin/python" "$here/slow.py" client "$port" "$seconds") && verdict=ok || verdict=FAILED
    wait "$attack" || true
    # Its table: seconds, closed, pending, connected, available. A siege that did not come to be
    # was withstood by nobody.
    made=$(awk -F, 'NR > 1 && $2 + $4 > made { made = $2 + $4 } END { print made + 0 }' "$logs/$name.csv")
    open=$(awk -F, 'NR > 1 && $4 > open { open = $4 } END { print open + 0 }' "$logs/$name.csv")
    [ "$made" -ge $((connections / 2)) ] || verdict=FAILED
    printf '| %s | %d | %d | %s |\n' "$(label "$name")" "$made" "$open" "$cells"
    if [ "$verdict" = ok ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "$name: $verdict" >&2
    fi
done

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
