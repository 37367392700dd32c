"""The agent stays small: it loads none of what only the replay needs."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "numba", "pyarrow")


def test_the_agent_loads_no_numpy_numba_or_pyarrow() -> None:
    code = f"import sys, hotslot.agent; print([m for m in {HEAVY!r} if sys.modules.get(m)])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_numpy_can_be_loaded_after_the_record() -> None:
    code = "import hotslot.record.database, numpy; print(numpy.zeros(1)[0])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0.0"
