"""The agent stays small: it loads nothing heavy that only others need."""

from __future__ import annotations

import subprocess
import sys

REPLAY = ("numpy", "numba", "pyarrow")
COMMANDS = ("rich", "jinja2", "plotext", "hotslot.client", "hotslot.report.html")


def run(code: str) -> str:
    """Run a program in a fresh interpreter, and return what it prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_agent_loads_nothing_that_only_others_need() -> None:
    heavy = REPLAY + COMMANDS
    code = f"import sys, hotslot.agent; print([m for m in {heavy!r} if sys.modules.get(m)])"
    assert run(code) == "[]"


def test_numpy_can_be_loaded_after_the_record() -> None:
    code = "import hotslot.record.database, numpy; print(numpy.zeros(1)[0])"
    assert run(code) == "0.0"
