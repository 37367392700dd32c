"""Files in few milliseconds.

pathlib and json take longer to import than all else that a call needs, so the command has neither:
what it keeps is marshalled, and a line of JSON without booleans is read as the Python that it is.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def read(path: str) -> str:
    """Return a text file's content, or "" if there is none."""
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def append(path: str, text: str) -> None:
    """Add to a file in one step, whoever else does."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, text.encode())
    os.close(file)


def load(path: str) -> Any:
    """Return what was kept, or None."""
    try:
        with open(path, "rb") as file:
            return marshal.load(file)
    except FileNotFoundError:
        return None


def keep(path: str, what: Any) -> None:
    """Keep plain values for ``load``; a reader finds the old or the new."""
    with open(f"{path}.new", "wb") as file:
        marshal.dump(what, file)
    os.replace(f"{path}.new", path)


def parse(line: str) -> Any:
    """Read a line that json.dumps has written from texts, numbers, lists and null."""
    return eval(line, {"null": None})  # our own file
