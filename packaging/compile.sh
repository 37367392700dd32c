#!/bin/sh
# Compile the modules of hotslot's virtual environment for the Python that it uses now: the agent may
# not write beside them, and would compile all of them at each start.
set -eu
lib=/usr/lib/hotslot/venv/lib
python=/usr/lib/hotslot/venv/bin/python
minor=$("$python" -c 'import sys; print(f"{sys.version_info.major}.{sys.version_info.minor}")')
if [ ! -d "$lib/python$minor" ]; then
	echo "hotslot: this package has no modules for Python $minor; a newer one may" >&2
	exit 1
fi
"$python" -I -m compileall -q "$lib/python3" "$lib/python$minor" >/dev/null
