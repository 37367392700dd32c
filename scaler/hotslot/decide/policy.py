"""What a policy sees and says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hotslot.model import Sample, Wish


@dataclass(frozen=True, slots=True)
class View:
    """All that a policy may know of a worker with a job.

    ``samples`` are those since the lease began, oldest first, at most the agent's history
    (never empty); ``now`` is the time of the last one. ``changed_at``: when ``granted`` was last
    changed, None if it never was.
    """

    request: int
    granted: int
    samples: Sequence[Sample]
    changed_at: float | None = None

    @property
    def now(self) -> float:
        return self.samples[-1].at


class Policy(Protocol):
    """Turns a worker's recent samples into a wish; pure: the same view gives the same wish."""

    def wish(self, view: View) -> Wish: ...
