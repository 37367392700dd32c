"""What goes wrong in a testbed."""

from __future__ import annotations

from pathlib import Path


class TestbedError(Exception):
    """A testbed could not be built, started or asked; the message says what and shows its log."""

    __test__ = False  # the name starts with "Test"; pytest must not collect it


def log_tail(path: Path, lines: int = 25) -> str:
    """Return the last lines of a log, indented, headed by its path."""
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        return f"  (no log: {error})"
    tail = text.splitlines()[-lines:]
    return "\n".join([f"  --- end of {path}", *(f"  {line}" for line in tail)])
