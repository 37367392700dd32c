"""Only drains of hotslot's own making are undone."""

from __future__ import annotations

import pytest

from hotslot.drains import Span, to_resume
from hotslot.model import NodeCondition

AWAY = [Span(100, 130)]


def drained(
    reason: str = "Prolog error", at: float | None = 165, worker: str = "w1"
) -> NodeCondition:
    return NodeCondition(worker, "IDLE+DRAIN", True, False, reason, "root", at)


def resumed(condition: NodeCondition, told: list[tuple[str, float]] | None = None) -> bool:
    return bool(to_resume([condition], AWAY, told or [], agent_wait_s=60))


def test_a_node_drained_while_the_agent_was_away_is_resumed() -> None:
    assert resumed(drained(at=165))


@pytest.mark.parametrize(
    "condition",
    [
        drained(at=400),
        drained(at=20),
        drained(at=None),
        drained("disk broken"),
        drained("Epilog error"),
        drained("maintenance: Prolog error last week"),
        NodeCondition("w1", "IDLE", False, False, "Prolog error", "root", 165),
    ],
)
def test_every_other_drain_is_left_alone(condition: NodeCondition) -> None:
    assert not resumed(condition)


def test_a_node_whose_prolog_was_told_to_ask_later_is_resumed() -> None:
    assert resumed(drained(at=400), [("w1", 380)])
    assert not resumed(drained(at=400), [("w2", 380), ("w1", 200)])
