#!/usr/bin/env bash
# Is what is in deploy/ true to the program? Without building an image or starting a service:
#
#   tests/deploy/check.sh [--strict]
#
# LUBDUB names the binary if it is not target/debug/lubdub. A check whose tool is missing is skipped and
# says so; with --strict that is a failure, if Debian has the tool.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

strict=
case ${1-} in
"") ;;
--strict) strict=yes ;;
*) echo "usage: $0 [--strict]" >&2; exit 64 ;;
esac
lubdub=${LUBDUB:-target/debug/lubdub}
[ -x "$lubdub" ] || { echo "there is no $lubdub: make build" >&2; exit 1; }
lubdub=$(realpath "$lubdub")
# Nothing of the caller's own configuration.
while read -r variable; do unset "$variable"; done < <(compgen -e | grep '^LUBDUB_' || true)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0 missed=0

pass() { passed=$((passed + 1)); printf 'ok       %s\n' "$1"; }
fail() { failed=$((failed + 1)); printf 'FAILED   %s\n' "$1"; }
leave() { skipped=$((skipped + 1)); printf 'SKIPPED  %s: %s\n' "$1" "$2"; }
skip() { missed=$((missed + 1)); leave "$@"; }

# TITLE COMMAND...: what it says is shown if it fails.
try() {
    local title=$1
    shift
    if "$@" >"$work/said" 2>&1; then pass "$title"; else fail "$title"; sed 's/^/         /' "$work/said"; fi
}

has() { command -v "$1" >/dev/null 2>&1; }

# What ends with success and says something on the way has found something (systemd-analyze).
silent() { "$@" >"$work/noise" 2>&1 && ! grep . "$work/noise"; }

# --- configuration ---------------------------------------------------------------------------------

# FILE [NAME]...: no mistakes, and exactly these warnings (docs/topics/checks.md).
configuration() {
    local file=$1
    shift
    "$lubdub" check --config "$file" 2>"$work/warnings" || { cat "$work/warnings"; return 1; }
    sed -n 's|.*see: lubdub explain ||p' "$work/warnings" | sort >"$work/found"
    diff <(printf '%s\n' "$@" | grep . | sort) "$work/found"
}

declare -A accepted=([deploy/compose/lubdub.toml]=admin-open)
while read -r file; do
    # shellcheck disable=SC2086 # one name a word
    try "lubdub check $file" configuration "$file" ${accepted[$file]-}
done < <(find deploy -name '*.toml' | sort)

# The variables of a drop-in, with a directory of ours in place of the credentials' and the certificates'.
drop_in() {
    local file=$1 settings
    mapfile -t settings < <(sed -n "s|^Environment=||p" "$file" | sed "s#%d#$work/credentials#; s#/etc/lubdub/tls#$work/credentials#")
    [ "${#settings[@]}" -gt 0 ] && env "${settings[@]}" "$lubdub" check --config deploy/systemd/lubdub.toml
}

if has openssl; then
    mkdir "$work/credentials"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost \
        -keyout "$work/credentials/key.pem" -out "$work/credentials/cert.pem" 2>/dev/null
    echo token >"$work/credentials/admin-token"
    # Those that set something of lubdub's.
    for file in $(grep -l '^Environment=LUBDUB_' deploy/systemd/lubdub.service.d/*.conf); do
        try "lubdub takes the variables of $file" drop_in "$file"
    done
else
    skip "the variables of deploy/systemd/lubdub.service.d" "openssl is missing"
fi

# --- schema of the configuration -------------------------------------------------------------------

# FILE: `lubdub config schema` takes it.
schema() { "$taplo" lint --schema "file://$PWD/docs/reference/lubdub.schema.json" "$1"; }

# LINE...: a file of these lines is refused.
not_in_schema() {
    printf '%s\n' "$@" >"$work/wrong.toml"
    ! schema "$work/wrong.toml"
}

taplo=$(command -v taplo || true)
if [ -z "$taplo" ] && python3 -m venv "$work/taplo" >/dev/null 2>&1 \
    && "$work/taplo/bin/pip" install --quiet --requirement tests/deploy/requirements.txt >/dev/null 2>&1; then
    taplo=$work/taplo/bin/taplo
fi
if [ -n "$taplo" ]; then
    try "lubdub config schema is docs/reference/lubdub.schema.json" \
        cmp <("$lubdub" config schema) docs/reference/lubdub.schema.json
    # By its own first line.
    try "taplo lint lubdub.example.toml" "$taplo" lint lubdub.example.toml
    "$lubdub" config example >"$work/lubdub.toml"
    "$lubdub" config schema >"$work/lubdub.schema.json"
    try "taplo lint with what the program prints, side by side" "$taplo" lint "$work/lubdub.toml"
    "$lubdub" config defaults >"$work/defaults.toml"
    while read -r file; do
        try "taplo lint $file" schema "$file"
    done < <(echo "$work/defaults.toml"; find deploy -name '*.toml' | sort)
    try "taplo refuses a key that is not known" not_in_schema '[timeouts]' 'conect = "5s"'
    try "taplo refuses a duration without a unit" not_in_schema '[timeouts]' 'connect = "5"'
    try "taplo refuses a name" not_in_schema '[route.none]' 'path_prefix = "/"'
else
    leave "the schema of the configuration" "taplo is missing (PyPI: taplo)"
fi

# --- systemd ---------------------------------------------------------------------------------------

if has systemd-analyze; then
    unit=$work/unit/lubdub.service
    mkdir "$work/unit"
    # The program need not be installed to be verified.
    sed "s|/usr/local/bin/lubdub|$lubdub|" deploy/systemd/lubdub.service >"$unit"
    try "systemd-analyze verify lubdub.service" silent systemd-analyze verify --man=no "$unit"
    cp deploy/systemd/lubdub.socket "$work/unit"
    try "systemd-analyze verify lubdub.socket" silent systemd-analyze verify --man=no "$work/unit/lubdub.socket"
    systemd=$(systemd-analyze --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    try "systemd-analyze security lubdub.service" \
        systemd-analyze security --no-pager --offline=true --threshold=20 "$unit"
    all=$work/all
    mkdir "$all"
    for file in deploy/systemd/lubdub.service.d/*.conf; do
        name=$(basename "$file")
        # What an older systemd does not know, a drop-in says in its first line.
        since=$(sed -n '1s/^# systemd \([0-9]*\) and later.*/\1/p' "$file")
        if [ "${since:-0}" -gt "${systemd:-0}" ]; then
            leave "systemd-analyze verify with $name" "systemd $systemd is older than $since"
            continue
        fi
        mkdir -p "$unit.d"
        cp "$file" "$unit.d"
        cp "$file" "$all"
        try "systemd-analyze verify with $name" silent systemd-analyze verify --man=no "$unit"
        rm -r "$unit.d"
    done
    cp -r "$all" "$unit.d"
    try "systemd-analyze verify with every drop-in" silent systemd-analyze verify --man=no "$unit"
    rm -r "$unit.d"
else
    skip "lubdub.service" "systemd-analyze is missing (Debian: systemd)"
fi

# --- Prometheus ------------------------------------------------------------------------------------

if has promtool; then
    try "promtool check config" promtool check config deploy/prometheus/prometheus.yml
    try "promtool check rules" promtool check rules deploy/prometheus/alerts.yml
    try "promtool test rules" promtool test rules deploy/prometheus/alerts.test.yml
else
    skip "configuration and rules of Prometheus" "promtool is missing (Debian: prometheus)"
fi

# --- across files ----------------------------------------------------------------------------------

# Another Python than Debian's may come first, without what Debian's has.
python=
for candidate in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$candidate" -c 'import yaml' 2>/dev/null; then python=$candidate; fi
done
if [ -z "$python" ]; then
    skip "facts across files" "there is no Python with yaml (Debian: python3-yaml)"
else
    while read -r fact; do
        try "$fact" "$python" -B tests/deploy/facts.py "$lubdub" "$fact"
    done < <("$python" -B tests/deploy/facts.py)
    if has promtool; then
        "$python" -B tests/deploy/facts.py --rules >"$work/dashboard.yml"
        try "promtool check rules with the queries of the dashboard" promtool check rules "$work/dashboard.yml"
    else
        skip "queries of the dashboard" "promtool is missing (Debian: prometheus)"
    fi
fi

# --- Kubernetes ------------------------------------------------------------------------------------

if has kubernetes-validate; then
    # podmonitor.yaml is of a kind that clusters do not have by themselves.
    try kubernetes-validate kubernetes-validate --strict deploy/kubernetes/{lubdub,sidecar}.yaml
else
    leave kubernetes-validate "it is missing (PyPI: kubernetes-validate)"
fi

# --- Docker ----------------------------------------------------------------------------------------

if has hadolint; then
    try hadolint hadolint deploy/docker/Dockerfile deploy/compose/echo/Dockerfile
else
    leave hadolint "it is missing"
fi
if has docker && docker compose version >/dev/null 2>&1; then
    try "docker compose config" docker compose -f deploy/compose/compose.yaml config --quiet
else
    leave "docker compose config" "docker compose is missing"
fi

printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && { [ -z "$strict" ] || [ "$missed" = 0 ]; }
