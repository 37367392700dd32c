"""Golden outputs: ``UPDATE_GOLDEN=1 pytest tests/report`` writes them anew; read the diff."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "golden" / "report"


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def golden() -> Callable[[str, object], None]:
    """Compare with a file in tests/golden/report; text as it is, anything else as JSON."""
    return _compare


def _compare(name: str, output: object) -> None:
    path = FOLDER / name
    text = output if isinstance(output, str) else json.dumps(output, indent=2) + "\n"
    text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert path.exists(), f"{path.name} is new: write it with UPDATE_GOLDEN=1"
    assert text == path.read_text(), "as meant? then write it anew with UPDATE_GOLDEN=1"
