"""Limits: policies round a policy. Each may change the wish, and then adds why to its reason.

Outer limits win. ``limited`` nests them in this order, from the outside:

1. floor and ceiling of the worker, always;
2. cool-down: no shrinking soon after a change, growing at any time;
3. step: not too many down at once;
4. the request: no more than the job asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, TypeGuard

from hotslot.decide.parameters import refuse_fractions, refuse_outside
from hotslot.decide.policy import Course, Lawful, Policy, View
from hotslot.model import Wish


@dataclass(frozen=True, slots=True)
class Bounded:
    """Keep the wish from ``floor`` to ``ceiling``, in vCPUs."""

    policy: Policy
    floor: int
    ceiling: int

    def __post_init__(self) -> None:
        refuse_fractions(floor=self.floor, ceiling=self.ceiling)
        if not 1 <= self.floor <= self.ceiling:
            raise ValueError(f"not 1 <= floor ({self.floor}) <= ceiling ({self.ceiling})")

    def wish(self, view: View) -> Wish:
        wish = self.policy.wish(view)
        if wish.vcpus < self.floor:
            return _but(wish, self.floor, f"held at the floor of {self.floor}")
        if wish.vcpus > self.ceiling:
            return _but(wish, self.ceiling, f"held at the ceiling of {self.ceiling}")
        return wish


@dataclass(frozen=True, slots=True)
class CoolDown:
    """Do not shrink within ``cooldown_s`` of the last change; growing never waits."""

    policy: Policy
    cooldown_s: float

    def __post_init__(self) -> None:
        refuse_outside(cooldown_s=(self.cooldown_s, 0, 86_400))

    def wish(self, view: View) -> Wish:
        wish = self.policy.wish(view)
        if wish.vcpus >= view.granted or not self._cooling(view):
            return wish
        words = f"held at {view.granted} until {self.cooldown_s:g} s after the last change"
        return _but(wish, view.granted, words)

    def _cooling(self, view: View) -> bool:
        """Tell whether the last change is near, on either side: a change may be younger than the
        last sample, and one that is far ahead was made before the clock was set back."""
        return view.changed_at is not None and abs(view.now - view.changed_at) < self.cooldown_s


@dataclass(frozen=True, slots=True)
class Stepped:
    """Take away at most ``max_step_down`` vCPUs at once."""

    policy: Policy
    max_step_down: int

    def __post_init__(self) -> None:
        refuse_fractions(max_step_down=self.max_step_down)
        refuse_outside(max_step_down=(self.max_step_down, 1, 1024))

    def wish(self, view: View) -> Wish:
        wish = self.policy.wish(view)
        least = view.granted - self.max_step_down
        if wish.vcpus >= least:
            return wish
        return _but(wish, least, f"at most {self.max_step_down} down at once, so {least}")


@dataclass(frozen=True, slots=True)
class UpToRequest:
    """Give no more than the job asked for."""

    policy: Policy

    def wish(self, view: View) -> Wish:
        wish = self.policy.wish(view)
        if wish.vcpus <= view.request:
            return wish
        return _but(wish, view.request, f"limited to the request of {view.request}")


class Limits(NamedTuple):
    """All limits as numbers, for laws; ``limited`` and ``within`` apply them in the same order."""

    floor: float
    ceiling: float
    cooldown_s: float
    max_step_down: float


def within(limits: Limits, vcpus: int, granted: int, request: int, since_change_s: float) -> int:
    """Return what all limits leave of a wish; ``since_change_s`` may be infinite."""
    size = min(vcpus, request)
    size = max(size, granted - int(limits.max_step_down))
    if size < granted and abs(since_change_s) < limits.cooldown_s:
        size = granted
    return max(int(limits.floor), min(int(limits.ceiling), size))


class OneWorker:
    """A policy with a law on its way through one worker's jobs."""

    def __init__(self, policy: Lawful) -> None:
        self._policy = policy
        self._course = Course(policy)

    def wish(self, view: View) -> Wish:
        seen, choice = self._course.follow(view)
        return Wish(choice.vcpus, self._policy.words(seen, choice))


def limited(
    policy: Policy | Lawful, *, floor: int, ceiling: int, cooldown_s: float, max_step_down: int
) -> Policy:
    """Put all limits round a policy, in the order that this module's docstring gives.

    What is returned remembers what its law knows of one worker: make one for each.
    Raises ValueError for a limit that makes no sense.
    """
    inner: Policy = OneWorker(policy) if is_lawful(policy) else policy
    slow = CoolDown(Stepped(UpToRequest(inner), max_step_down), cooldown_s)
    return Bounded(slow, floor, ceiling)


def is_lawful(policy: Policy | Lawful) -> TypeGuard[Lawful]:
    """Tell a policy that has a law from one that only answers ``wish``."""
    return hasattr(policy, "law")


def _but(wish: Wish, vcpus: int, words: str) -> Wish:
    return Wish(vcpus, f"{wish.reason}; {words}")
