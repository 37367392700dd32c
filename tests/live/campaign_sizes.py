"""The workers' sizes over time, rebuilt from events and samples, second by second; pure.

An attempt says from what size to what size, when it began and how long it took: in between the size
is one of the two, or between them. A sample says what was plugged at its end, and the mean over
its interval. That is all the precision there is: the size at a moment is known to within what the
attempts that were under way then changed, and within a sample where the agent was killed, since
an attempt that dies with the agent leaves no event.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator

from hotslot.model import Lease
from live.campaign_clock import offsets_of
from live.campaign_plan import FaultKind
from live.campaign_story import Story

WIDE_S = 2.0
"""Looks at workers are a second apart, and not at the same moment for all."""

BOOT_VCPUS = 1
AGENT_FAULTS = {FaultKind.AGENT_KILLED, FaultKind.AGENT_STOPPED, FaultKind.AGENT_HANGS}

UNSEEN_S = 5.0
"""Around a time without an agent, sizes are known from what the next one finds."""

UNMEASURED_S = 2.0
MOST_VCPUS = 4

SLACK_CORE_S = 1.5
"""A minute's amounts differ by less than this, or by what attempts under way changed."""


class Sizes:
    """All that was seen of one worker's size, by time."""

    def __init__(self, seen: list[tuple[float, int]]) -> None:
        seen = sorted(seen)
        self._at = [at for at, _ in seen]
        self._vcpus = [vcpus for _, vcpus in seen]

    def within(self, begin: float, end: float) -> list[int]:
        """Return every size that the worker may have had from ``begin`` to ``end``.

        What was seen last before counts, and what was seen first after: it may have come
        about at any moment since.
        """
        first = max(0, bisect_left(self._at, begin) - 1)
        last = bisect_right(self._at, end) + 1
        return self._vcpus[first:last]


def sizes_of(story: Story) -> dict[str, Sizes]:
    """Return the workers' sizes by name."""
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for event in story.events:
        seen[event.worker].append((event.at, event.from_vcpus))
        seen[event.worker].append((event.at + event.took_s, event.got_vcpus))
    for lease in story.leases:
        for sample in story.samples.get(lease.id, ()):
            seen[lease.placement.worker].append((sample.at, sample.granted_vcpus))
    for fault in story.faults:
        if fault.kind is FaultKind.VM_KILLED:
            seen[fault.worker].append((fault.ended, BOOT_VCPUS))
    return {worker: Sizes(looks) for worker, looks in seen.items()}


def without_agent(story: Story, begin: float, end: float) -> bool:
    """Return whether no agent may have looked at some time from ``begin`` to ``end``."""
    return any(
        fault.began - UNSEEN_S <= end and begin <= fault.ended + UNSEEN_S
        for fault in story.faults
        if fault.kind in AGENT_FAULTS
    )


def sizes_disagree(story: Story) -> Iterator[tuple[float, str]]:
    """Yield samples whose mean is outside the sizes that were seen around their interval."""
    sizes = sizes_of(story)
    for lease in story.leases:
        worker = lease.placement.worker
        for sample in story.samples.get(lease.id, ()):
            begin = sample.at - sample.interval_s
            may = sizes[worker].within(begin - 0.1, sample.at + 0.1)
            apart = not min(may) - 0.01 <= sample.held_cores <= max(may) + 0.01
            if apart and not without_agent(story, begin, sample.at):
                words = f"{worker}: held {sample.held_cores:.2f}, sizes seen {sorted(set(may))}"
                yield sample.at, words


def too_many_granted(story: Story) -> Iterator[tuple[float, str]]:
    """Yield seconds in which workers with jobs had more than the cores, each at its least.

    The least within WIDE_S, so that what was being unplugged, or not looked at yet, is no
    false alarm; and as many as there are workers with a job are always right: their floors.
    """
    sizes = sizes_of(story)
    for second in range(int(story.began), int(story.ended) + 1):
        least = {
            lease.placement.worker: min(
                sizes[lease.placement.worker].within(second - WIDE_S, second + WIDE_S)
            )
            for lease in open_at(story, second)
            if lease.placement.worker in sizes
        }
        total = sum(least.values())
        if total > max(story.cores, len(least)) and not without_agent(
            story, second - WIDE_S, second + WIDE_S
        ):
            yield second, f"{least} is {total} of {story.cores}"


def open_at(story: Story, at: float) -> list[Lease]:
    """Return the leases that were open at a moment."""
    return [
        lease
        for lease in story.leases
        if lease.opened_at <= at and (lease.closed_at is None or at < lease.closed_at)
    ]


def unbalanced_minutes(story: Story) -> Iterator[tuple[float, str]]:
    """Yield minutes whose ledger has another sum held than the samples of the leases.

    Both are as they are written: the ledger follows a clock that is set as the leases do.
    """
    written = story.as_written or story
    sampled: dict[int, float] = defaultdict(float)
    for samples in written.samples.values():
        for sample in samples:
            begin = sample.at - sample.interval_s
            for minute in range(int(begin // 60) * 60, int(sample.at) + 1, 60):
                part = min(sample.at, minute + 60) - max(begin, minute)
                sampled[minute] += sample.held_cores * max(0.0, part)
    lost = {int(at // 60) * 60 for lease in written.leases for at in _lost_at(written, lease)}
    for entry in story.ledger:
        held = sampled.get(entry.minute_at, 0.0)
        at = entry.minute_at
        slack = SLACK_CORE_S + max(
            unmeasured_core_s(story, at - UNMEASURED_S - step, at + 60 - step)
            for step in offsets_of(story)
        )
        if abs(held - entry.held_core_s) > max(slack, 0.001 * held):
            if entry.minute_at in lost:
                continue
            words = f"the leases held {held:.1f} core-s, the ledger says {entry.held_core_s:.1f}"
            yield entry.minute_at, words


def unmeasured_core_s(story: Story, begin: float = 0.0, end: float = float("inf")) -> float:
    """Return what VMs killed from ``begin`` to ``end`` may have held after their last sample.

    Nobody can measure a process that is gone: the host's ledger has that second alone.
    """
    kills = [
        fault
        for fault in story.faults
        if fault.kind is FaultKind.VM_KILLED and begin <= fault.began <= end
    ]
    return len(kills) * UNMEASURED_S * MOST_VCPUS


def _lost_at(story: Story, lease: Lease) -> Iterator[float]:
    """Yield the minutes of a lease whose samples were dropped: the disk was full for too long."""
    samples = story.samples.get(lease.id, ())
    measured = sum(sample.interval_s for sample in samples)
    if measured < lease.totals.life_s - 1.0:
        end = lease.closed_at or story.ended
        at = lease.opened_at
        while at < end + 60:
            yield at
            at += 60
