#!/bin/sh
# Install the system packages named as PROGRAM:PACKAGE (or /FILE:PACKAGE, or venv:PACKAGE) if their program or file is missing.
# Without the rights to install, say in one line what is missing and what works without it; never fail for that.
set -u
missing=""
lost=""
for pair in "$@"; do
    probe=${pair%%:*}
    package=${pair#*:}
    case $probe in
        /*) [ -e "$probe" ] && continue ;;
        venv) python3 -c 'import venv, ensurepip' 2>/dev/null && continue ;;
        *) command -v "$probe" >/dev/null 2>&1 && continue ;;
    esac
    missing="$missing $package"
    case $package in
        g++) lost="$lost; no C simulation" ;;
        verilator) lost="$lost; no RTL simulation, so no measured cycles" ;;
        dataset-fashion-mnist) lost="$lost; the built-in subset of 6,000 images stands in for Fashion-MNIST" ;;
        libxrt-dev) lost="$lost; host.cpp is not compiled in the tests" ;;
        shellcheck) lost="$lost; the scripts are not checked in the tests" ;;
    esac
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then
    as_root=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as_root="sudo -n"
else
    as_root=none
fi
if [ "$as_root" != none ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing system packages:$missing"
    log=$(mktemp)
    export DEBIAN_FRONTEND=noninteractive
    # One package at a time: a release that lacks one still gets the others.
    { $as_root apt-get update -q || true; } >"$log" 2>&1 </dev/null
    failed=""
    for package in $missing; do
        $as_root apt-get install -qy --no-install-recommends "$package" >>"$log" 2>&1 </dev/null || failed="$failed $package"
    done
    [ -z "$failed" ] && { rm -f "$log"; exit 0; }
    missing=$failed
    tail -n 3 "$log" >&2
fi
echo "missing system packages:$missing$lost. To have everything: apt-get install$missing" >&2
exit 0
