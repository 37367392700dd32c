#!/bin/sh
# Make the virtual environment of a checkout: venv.sh DIRECTORY. Installs Python's venv module where it is missing.
set -eu
dir=${1:?usage: venv.sh DIRECTORY}
say() { printf '%s\n' "hotslot: $*" >&2; }
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "installing python3 (3.11 or newer is needed)"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3 >/dev/null
fi
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    say "installing python3-venv"
    apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
fi
[ -x "$dir/bin/python" ] || { say "making $dir"; python3 -m venv "$dir"; }
say "installing hotslot and its development tools into $dir (a minute on a bare machine)"
"$dir/bin/python" -m pip install --quiet --disable-pip-version-check -e '.[dev]' 2>&1 | grep -v '^WARNING: Location' >&2 || true
"$dir/bin/python" -c 'import hotslot, hotslot_plugin, pytest, mypy' || { say "the installation failed; see above"; exit 1; }
