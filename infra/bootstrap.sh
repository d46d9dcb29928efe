#!/bin/sh
# Makes the virtual environments, and makes them again only when their requirements have changed.
#
#   infra/bootstrap.sh app               .venv: the application, its tests and its tools
#   infra/bootstrap.sh emulator          .venv-emulator: the emulator, whose pinned botocore must not meet the application's
#   infra/bootstrap.sh vulnerabilities   .venv-vulnerabilities: pip-audit, for `make vulnerabilities` only
#   infra/bootstrap.sh plain             .venv-plain: the application that `make bench` compares ours with
#
# Each package is installed only if it has one of the hashes in the lock file: uv itself as well. The command
# `strongroom` is this folder itself.
#
# PYTHON names the interpreter to use; without it the first of python3.11 to python3.14 and python3 that is new enough.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "strongroom: $*" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of version 3.11 or newer."
        echo "$PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3.14 python3 python; do
        if command -v "$candidate" >/dev/null 2>&1 && new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "Python 3.11 or newer is needed and none was found. Install one, or name it: make up PYTHON=/path/to/python3.12"
}

case "${1:-}" in
    app) venv=.venv requirements=requirements-dev.txt what="the application's environment" ;;
    emulator) venv=.venv-emulator requirements=requirements-emulator.txt what="the emulator's environment" ;;
    vulnerabilities) venv=.venv-vulnerabilities requirements=infra/requirements/vulnerabilities.txt what="the environment of pip-audit" ;;
    plain) venv=.venv-plain requirements=benchmarks/plain/requirements.txt what="the environment of the plain application" ;;
    *) fail "usage: infra/bootstrap.sh app|emulator|vulnerabilities|plain" ;;
esac

python=$(find_python) || exit 1
uv_requirements=infra/requirements/uv.txt
wanted=$(cat "$requirements" "$uv_requirements" infra/bootstrap.sh | cksum)
if [ -x "$venv/bin/python" ] && [ "$(cat "$venv/installed" 2>/dev/null)" = "$wanted" ] &&
    "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

echo "Installing $what into $venv ($("$python" --version 2>&1), $(grep -c '^[a-z]' "$requirements") packages) ..."
rm -rf "$venv"
"$python" -m venv "$venv" || fail "could not make $venv. On Debian and Ubuntu the package python3-venv is needed."
started=$(date +%s)
# uv installs ten times faster than pip. It does not read pip's configuration, so where that is what makes the
# registry reachable, pip does it all.
if [ -z "${STRONGROOM_PIP:-}" ] &&
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$uv_requirements" \
        2>"$venv/uv.log" &&
    VIRTUAL_ENV="$PWD/$venv" UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 "$venv/bin/uv" pip install --quiet --require-hashes \
        -r "$requirements" 2>>"$venv/uv.log"; then
    :
else
    echo "uv could not reach the package registry (see $venv/uv.log); pip goes on, which takes a minute or two ..."
    "$venv/bin/python" -m pip install --disable-pip-version-check --progress-bar off --require-hashes \
        -r "$requirements" |
        sed -n 's/^Collecting \([^ ]*\).*/  \1/p; s/^Installing collected.*/  installing .../p'
    "$venv/bin/python" -m pip check >/dev/null ||
        fail "the packages of $requirements could not be installed. Is the package registry reachable?"
fi
if [ "$1" = app ]; then
    # The command `strongroom`. Everything it needs is installed, so no registry is asked.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation \
        --editable . >"$venv/command.log" 2>&1 || fail "the command strongroom could not be installed; see $venv/command.log."
fi
echo "$wanted" >"$venv/installed"
echo "Installed $what in $(($(date +%s) - started)) s."
