#!/usr/bin/env bash
# Real clients, real backends and the Autobahn test suite through lubdub: README.md says how and why.
#
#   run.sh [--fast] [--cases PATTERNS] [autobahn|clients|socketio|plain_http|prometheus]...
#
# Installs what it needs under target/interop, by pip, npm and, where a program is missing and the user
# is root, apt-get. LUBDUB names the lubdub to test, PYTHON27 a Python 2.7.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

here=$PWD/tests/interop
work=$PWD/target/interop
# The longest that all of it may take.
limit=3h

export LUBDUB=${LUBDUB:-$PWD/target/debug/lubdub}
[ -x "$LUBDUB" ] || { echo "there is no $LUBDUB: make build" >&2; exit 1; }
mkdir -p "$work"

debian() { # PROGRAM PACKAGE: the package where the program is missing
    command -v "$1" >/dev/null && return
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { echo "$1 is missing (Debian: $2)" >&2; exit 1; }
    [ -n "${updated:-}" ] || { apt-get update --quiet >&2; updated=yes; }
    DEBIAN_FRONTEND=noninteractive apt-get install --quiet --yes --no-install-recommends "$2" >&2
}

# Was the directory made from this list? `keep` notes that it was.
kept() { cmp --silent "$1" "$2/.interop"; }
keep() { cp "$1" "$2/.interop"; }

debian curl curl
debian npm npm
debian chromium chromium
debian prometheus prometheus

if ! kept "$here/requirements.txt" "$work/venv"; then
    rm -rf "$work/venv"
    python3 -m venv "$work/venv" || { debian python3-venv python3-venv; python3 -m venv "$work/venv"; }
    "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    keep "$here/requirements.txt" "$work/venv"
fi

if ! kept "$here/package-lock.json" "$work/npm"; then
    rm -rf "$work/npm"
    mkdir "$work/npm"
    cp "$here/package.json" "$here/package-lock.json" "$work/npm"
    npm ci --prefix "$work/npm" --no-audit --no-fund --loglevel=error >&2
    keep "$here/package-lock.json" "$work/npm"
fi
# Node looks for modules upward from the script.
cp -R "$here"/{backends,clients,socketio,plain_http} "$work/npm"

if [ -z "${PYTHON27:-}" ]; then
    for candidate in "$(command -v python2.7)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        # A shim may be there without what it stands for.
        if "$candidate" -c 'pass' 2>/dev/null; then PYTHON27=$candidate; fi
    done
fi
export PYTHON27=${PYTHON27:-}
autobahn=$here/autobahn_cases/requirements.txt
if [ -n "$PYTHON27" ] && ! kept "$autobahn" "$work/py27"; then
    rm -rf "$work/py27"
    PYTHONUSERBASE=$work/py27 "$PYTHON27" -m pip install --user --quiet --disable-pip-version-check \
        --no-warn-script-location --requirement "$autobahn" >&2
    keep "$autobahn" "$work/py27"
fi

exec timeout --kill-after=60 "$limit" "$work/venv/bin/python" "$here/main.py" "$@"
