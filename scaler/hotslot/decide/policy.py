"""What a policy sees, and how its law is asked about one worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hotslot.decide.demand import demand_cores, steady
from hotslot.decide.law import Choice, Numbers, Seen, State
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
    """Turns a worker's recent samples into a wish: the same views give the same wishes."""

    def wish(self, view: View) -> Wish: ...


class Lawful(Protocol):
    """A policy as a law: what entry points of ``hotslot.policies`` give."""

    @staticmethod
    def law(numbers: Numbers, state: State, seen: Seen) -> Choice:
        """Take in one sample and choose; see ``hotslot.decide.law``."""
        ...

    def numbers(self) -> Numbers:
        """Return the parameters, as the law takes them."""
        ...

    def room(self, request: int) -> int:
        """Return how many floats the law's state needs for a job with this request."""
        ...

    @property
    def kept(self) -> int:
        """So many floats at the state's begin pass from one job of a worker to the next."""
        ...

    def words(self, seen: Seen, choice: Choice) -> str:
        """Say in one sentence why."""
        ...

    def wish(self, view: View) -> Wish: ...


def seen_of(sample: Sample, request: int, granted: int) -> Seen:
    """Return a sample as laws see it; ``granted`` are the vCPUs of now."""
    return Seen(
        sample.interval_s,
        demand_cores(sample),
        sample.held_cores,
        float(sample.granted_vcpus),
        float(granted),
        float(request),
        1.0 if steady(sample) else 0.0,
    )


class Course:
    """A law's way through the samples of one job: each is shown to it once, in order."""

    def __init__(self, policy: Lawful) -> None:
        self._policy = policy
        self._state: list[float] = []
        self._request = 0
        self._last: Sample | None = None
        self._choice = Choice(0, 0, 0.0, 0.0, 0.0)

    def follow(self, view: View) -> tuple[Seen, Choice]:
        """Show the law the samples that it has not seen yet; start anew when those are a new job's.

        A view with no new sample repeats the last choice.
        """
        numbers = self._policy.numbers()
        last = view.samples[-1]
        for sample in self._fresh(view):
            granted = view.granted if sample is last else sample.granted_vcpus
            seen = seen_of(sample, view.request, granted)
            self._choice = self._policy.law(numbers, self._state, seen)
        self._last = last
        return seen_of(last, view.request, view.granted), self._choice

    def _fresh(self, view: View) -> Sequence[Sample]:
        fresh: list[Sample] = []
        for sample in reversed(view.samples):
            if sample is self._last and view.request == self._request:
                return fresh[::-1]
            fresh.append(sample)
        kept = self._state[: self._policy.kept]
        self._state = kept + [0.0] * (self._policy.room(view.request) - len(kept))
        self._request = view.request
        return view.samples


class Ruled:
    """What all policies with a law share."""

    kept = 0

    def wish(self: Lawful, view: View) -> Wish:
        """Return the wish after all samples of this view, whatever was asked before."""
        seen, choice = Course(self).follow(view)
        return Wish(choice.vcpus, self.words(seen, choice))


SETTLED, YOUNG, ESCAPED = 0, 1, 2
"""Why a periodic law chose: what it computed; not seen for a period yet; saturated."""


class Periodic(Ruled):
    """What policies share that compute their wish every ``every_s``; all fields are numbers."""

    every_s: float

    def numbers(self) -> Numbers:
        """Return the fields in their order, as the law takes them."""
        return tuple(float(value) for value in vars(self).values())

    def unsettled(self, seen: Seen, choice: Choice) -> str:
        """Say why the choice is not yet, or not now, what the law computes; '' if it is."""
        cores = f"{seen.granted:.0f} cores"
        if choice.why == YOUNG:
            return f"{seen.demand:.1f} of {cores} wanted; not seen for {self.every_s:g} s yet"
        if choice.why == ESCAPED:
            return f"saturated: {seen.demand:.1f} of {cores} wanted; back to the request"
        return ""
