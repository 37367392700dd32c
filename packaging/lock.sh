#!/bin/sh
# Pin what the packages ship, with hashes: run after a change of pyproject.toml's dependencies, and
# for updates; `make lock`. Needs Python 3.11, the oldest that the packages run on.
#
# requirements.lock: what agent and commands need. requirements-replay.lock: the rest, which only
# `hotslot replay` needs, and which is ten times as large. build.lock: the tools that build.
set -eu
cd "$(dirname "$0")"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/pip" install --quiet --disable-pip-version-check pip-tools
"$tools/venv/bin/python" - "$tools" <<'END'
import re, sys, tomllib
from pathlib import Path

LARGE = {"numba", "numpy", "pyarrow"}
all_of_them = tomllib.loads(Path("../pyproject.toml").read_text())["project"]["dependencies"]
large = [one for one in all_of_them if re.match(r"[A-Za-z0-9._-]+", one)[0] in LARGE]
small = [one for one in all_of_them if one not in large]
into = Path(sys.argv[1])
(into / "requirements.in").write_text("\n".join(small) + "\n")
(into / "requirements-replay.in").write_text("\n".join(["-c requirements.txt", *large]) + "\n")
(into / "build.in").write_text("build\nhatchling\n")
END
pin() { # NAME
	"$tools/venv/bin/pip-compile" --quiet --upgrade --generate-hashes --strip-extras --no-header \
		--no-annotate --allow-unsafe --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --no-emit-options -o "$tools/$1.txt" "$tools/$1.in"
	{
		echo "# Made by lock.sh; do not edit."
		sed '/^#/d; /^$/d' "$tools/$1.txt"
	} >"$2"
}
pin requirements requirements.lock
pin requirements-replay requirements-replay.lock
pin build build.lock
