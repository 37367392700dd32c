"""The policy ``static``: what the job asked for, always."""

from __future__ import annotations

from dataclasses import dataclass

from hotslot.decide.law import Choice, Numbers, Seen, State
from hotslot.decide.policy import Ruled


def law(numbers: Numbers, state: State, seen: Seen) -> Choice:  # noqa: ARG001
    """Wish for the request."""
    return Choice(int(seen.request), 0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Static(Ruled):
    """Give every job its request: what there is without hotslot, and the measure of the others."""

    law = staticmethod(law)

    def numbers(self) -> Numbers:
        return (0.0,)

    def room(self, request: int) -> int:  # noqa: ARG002
        return 1

    def words(self, seen: Seen, choice: Choice) -> str:
        cores = f"{seen.granted:.0f} cores"
        return f"static: {choice.vcpus} as requested, {seen.demand:.1f} of {cores} wanted"
