"""Builders of samples and views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hotslot.decide.policy import View
from hotslot.model import Sample, Wish

NOON = 1_700_000_000.0


def sample(
    used: float,
    granted: int,
    *,
    waited: float = 0.0,
    held: float | None = None,
    interval_s: float = 1.0,
    at: float = NOON,
) -> Sample:
    """A sample in which nothing changed, unless ``held`` says otherwise."""
    return Sample(at, interval_s, granted, float(granted) if held is None else held, used, waited)


def steady(used: float, granted: int, seconds: int, *, interval_s: float = 1.0) -> list[Sample]:
    """A constant load for so many samples, the last at NOON."""
    return in_order([sample(used, granted, interval_s=interval_s) for _ in range(seconds)])


def in_order(samples: Sequence[Sample]) -> list[Sample]:
    """The same samples, one after the other, the last ending at NOON."""
    ordered: list[Sample] = []
    end = NOON
    for one in reversed(samples):
        times = (one.interval_s, one.granted_vcpus, one.held_cores, one.used_cores)
        ordered.append(Sample(end, *times, one.waited_cores))
        end -= one.interval_s
    return ordered[::-1]


def view(
    samples: Iterable[Sample],
    *,
    request: int = 4,
    granted: int | None = None,
    changed_s_ago: float | None = None,
) -> View:
    """What a policy sees; ``granted`` is what the last sample had unless told."""
    ordered = in_order(list(samples))
    return View(
        request=request,
        granted=ordered[-1].granted_vcpus if granted is None else granted,
        samples=ordered,
        changed_at=None if changed_s_ago is None else NOON - changed_s_ago,
    )


class Fixed:
    """A policy that always wishes the same."""

    def __init__(self, vcpus: int) -> None:
        self.vcpus = vcpus

    def wish(self, view: View) -> Wish:
        return Wish(self.vcpus, f"always {self.vcpus}")
