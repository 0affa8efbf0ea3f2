#!/bin/sh
# Brings a checkout to where every make target runs: uv, and .venv with the pinned, hashed requirements and
# all members editable. Does nothing when the lock and the members' metadata are unchanged.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "bootstrap: $*" >&2; }
die() { say "$*"; exit 4; }

python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "expected Python 3.11 or newer as '$python'; hint: set PYTHON=/path/to/python3.11"

find_uv() {
    if [ -x .tools/uv/bin/uv ]; then echo "$PWD/.tools/uv/bin/uv"; else command -v uv; fi
}

install_uv() {
    say "uv is missing: installing it into .tools/ with pip"
    if ! "$python" -m pip --version >/dev/null 2>&1; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            say "pip is missing: installing python3-pip"
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-pip; } >/dev/null ||
                die "apt-get could not install python3-pip"
        else
            die "'$python -m pip' does not work; hint: apt-get install python3-pip, or put uv on PATH"
        fi
    fi
    # --target: a distribution's own Python refuses other installs from pip (PEP 668).
    "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .tools/uv uv ||
        die "pip could not install uv"
}

uv=$(find_uv) || { install_uv; uv=$(find_uv); }

export UV_PYTHON_DOWNLOADS=never
stamp=.venv/.bootstrapped
want=$(cat requirements.lock packages/*/pyproject.toml services/*/pyproject.toml scripts/bootstrap.sh | cksum)
if [ -x .venv/bin/python ] && [ "$(cat $stamp 2>/dev/null)" = "$want" ]; then
    exit 0
fi

say "creating .venv"
[ -x .venv/bin/python ] || "$uv" venv --quiet --python "$python" .venv
editable=""
for member in packages/* services/*; do editable="$editable --editable $member"; done
VIRTUAL_ENV=$PWD/.venv
export VIRTUAL_ENV
"$uv" pip install --quiet --compile-bytecode --require-hashes --requirements requirements.lock
# shellcheck disable=SC2086  # the list of members is meant to split
"$uv" pip install --quiet --no-deps $editable
printf '%s' "$want" >$stamp
