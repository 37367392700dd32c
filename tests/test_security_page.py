"""The attacks of docs/security.md name tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]
PAGE = (REPO / "docs/security.md").read_text().partition("## Attacks\n")[2].partition("\n## ")[0]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
LIVE = REPO / "tests/live/test_attacks.py"


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[name for _, name in NAMED])
def test_each_test_that_is_named_exists(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}\(", (REPO / path).read_text(), re.MULTILINE)


def test_each_attack_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]
    told = [row for row in rows if not row.startswith(("| attack", "| **"))]
    assert len(told) > 15
    for row in told:
        assert row.count("|") == 5, row
        assert "::" in row.split("|")[4], row


def test_each_live_attack_has_its_row() -> None:
    tried = re.findall(r"^def (test_\w+)\(", LIVE.read_text(), re.MULTILINE)
    assert {name for path, name in NAMED if path.endswith(LIVE.name)} >= set(tried)
