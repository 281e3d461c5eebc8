#!/bin/sh
# Make the virtual environment $1, with the requirements $2... pinned by constraints.txt, unless it is up to date.
set -eu
venv=$1
shift
stamp="$venv/.stamp-$(echo "$*" | tr -c 'a-z0-9\n' '-')"
cd "$(dirname "$0")/.."
wanted=$(cat constraints.txt setup.cfg pyproject.toml | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/python" ]; then
    exit 0
fi
python=${PYTHON:-}
if [ -z "$python" ]; then
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            python=$candidate
            break
        fi
    done
fi
if [ -z "$python" ]; then
    echo "codesign needs Python 3.10 to 3.13; found $(python3 --version 2>&1 || true). Name one with: make PYTHON=/path/to/python" >&2
    exit 1
fi
if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python cannot make virtual environments: apt-get install python3-venv, or name another with: make PYTHON=..." >&2
        exit 1
    fi
    rm -rf "$venv"
    echo "making $venv with $("$python" --version)"
    "$python" -m venv "$venv"
fi
echo "installing $* into $venv (some minutes the first time)"
PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install -q -c constraints.txt "$@" ||
    { echo "the installation of $* failed: see pip's message above; 'make clean' removes $venv" >&2; exit 1; }
echo "$wanted" >"$stamp"
