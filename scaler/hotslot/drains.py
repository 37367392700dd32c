"""Which drained nodes are hotslot's own doing, and so hotslot's to resume: pure.

A prolog that cannot reach the agent fails after ``agent_wait_s``, and Slurm then drains the node
with its own words. The guest is not asked whose fault that was: the agent knows when it was away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hotslot.model import NodeCondition

PROLOG_REASONS = ("prolog error",)
"""How Slurm words a drain after a failed prolog (24.11: ``Prolog error``), in lower case."""

SLACK_S = 15.0
"""Between the prolog's last try and the controller's time stamp: two clocks, one slow guest."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which the agent did not answer, UTC epoch s."""

    start: float
    end: float


def to_resume(
    conditions: Iterable[NodeCondition],
    away: Sequence[Span],
    unanswered: Iterable[tuple[str, float]],
    agent_wait_s: float,
) -> list[NodeCondition]:
    """Return the nodes that were drained because a prolog could not get hotslot's answer.

    That is: by a failed prolog, and the agent was away, or had to tell this worker's prolog to
    ask later, at some time while that prolog tried.
    Worked: agent away from 100 to 130, a wait of 60 s, node drained at 165: the prolog tried
    from 105 on, so the drain is hotslot's. Drained at 400: it is not.
    """
    told = list(unanswered)
    return [c for c in conditions if _ours(c, away, told, agent_wait_s)]


def _ours(
    condition: NodeCondition,
    away: Sequence[Span],
    unanswered: Sequence[tuple[str, float]],
    agent_wait_s: float,
) -> bool:
    if not condition.drained or condition.reason_at is None:
        return False
    if not condition.reason.strip().lower().startswith(PROLOG_REASONS):
        return False
    tried = Span(condition.reason_at - agent_wait_s - SLACK_S, condition.reason_at + SLACK_S)
    if any(span.start <= tried.end and span.end >= tried.start for span in away):
        return True
    return any(
        worker == condition.worker and tried.start <= at <= tried.end for worker, at in unanswered
    )
