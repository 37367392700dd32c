"""Order: what the loop wants of an actuator, and the event that tells what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.act.judge import Outcome
from hotslot.model import Decision, Event


@dataclass(frozen=True, slots=True)
class Order:
    """What the loop wants, and for whose sake."""

    decision: Decision
    lease_id: int | None

    @property
    def target(self) -> int:
        """VCPUs that the worker should have."""
        return self.decision.to_vcpus

    def same_as(self, other: Order | None) -> bool:
        """Whether the other order asks for the same, however often it was repeated."""
        if other is None:
            return False
        return (self.target, self.lease_id) == (other.target, other.lease_id)

    def direction(self, held: int) -> int:
        """Return +1 to grow from ``held`` vCPUs, -1 to shrink, 0 to stay."""
        return (self.target > held) - (self.target < held)

    def event(self, outcome: Outcome, at: float, took_s: float) -> Event:
        """Tell what came of it."""
        return Event(
            worker=self.decision.worker,
            lease_id=self.lease_id,
            at=at,
            from_vcpus=outcome.from_vcpus,
            to_vcpus=self.target,
            got_vcpus=outcome.got_vcpus,
            reason=self.decision.reason,
            result=outcome.result,
            detail=outcome.detail,
            detected_at=self.decision.detected_at,
            command_s=outcome.command_s,
            online_s=outcome.online_s,
            took_s=took_s,
        )
