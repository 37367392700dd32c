"""What the loop remembers of one worker from cycle to cycle."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from hotslot.act.actuator import Actuator
from hotslot.config import Worker
from hotslot.decide.policy import Policy, View
from hotslot.errors import MeterError
from hotslot.measure.intervals import sample
from hotslot.measure.past import Samples
from hotslot.measure.procfs import born_s
from hotslot.model import Decision, JobPhase, Lease, Reading, Sample

log = logging.getLogger(__name__)

HISTORY_S = 600.0
"""How long samples are kept for a policy that has nothing else to go by."""

START_S = 60.0
"""How long a job that starts is owed its request, whatever it uses, if a plug fails at first."""


SUSPENDED_CORES = 0.5
"""Who wants more than this is not suspended any more, whatever the scheduler said last."""


class Clock(Protocol):
    """Reads the vCPU threads of one process; raises MeterError."""

    def read(self, monotonic_s: float) -> Reading: ...

    def mark(self, vcpus: Collection[int]) -> None: ...

    def ran(self, vcpus: Collection[int]) -> frozenset[int]: ...

    def close(self) -> None: ...


ClockFor = Callable[[int, float], Clock]
"""Makes the clock of a process, named by its pid and its birth in s since boot."""


class Held:
    """The integral of plugged vCPUs over time, exact between two looks.

    Worked: 2 vCPUs, a third after 0.4 s, taken after 1 s: 2 x 0.4 + 3 x 0.6 = 2.6 vCPU-seconds.
    """

    def __init__(self) -> None:
        self.vcpus = 0
        self._since: float | None = None
        self._sum = 0.0

    def change(self, now: float, vcpus: int) -> None:
        """From ``now`` (monotonic s) on, this many are plugged."""
        self._sum += self._until(now)
        self._since = now
        self.vcpus = vcpus

    def take(self, now: float) -> float:
        """Return vCPU-seconds since the last take."""
        total = self._sum + self._until(now)
        self._sum, self._since = 0.0, now
        return total

    def _until(self, now: float) -> float:
        return 0.0 if self._since is None else self.vcpus * max(0.0, now - self._since)


@dataclass(slots=True)
class Track:
    """One worker: its settings, its hand (actuator), its clock, its recent past.

    ``wished`` is what its policy would give it, ``decision`` what it is to have after all workers
    of the host were looked at. ``held_back``: samples from after its job's processes had ended,
    at ``leaving_since``. That and ``starting_until`` are of the monotonic clock.
    ``history_s`` bounds the samples that a policy sees. At ``changed_at`` (UTC) it was last seen to
    have another number of vCPUs than before: ``changed_from``.
    """

    settings: Worker
    policy: Policy
    actuator: Actuator
    clock_for: ClockFor
    born_of: Callable[[int], float] = born_s
    history_s: float = HISTORY_S
    clock: Clock | None = None
    process: tuple[int, float] | None = None
    reading: Reading | None = None
    samples: Samples = field(default_factory=Samples)
    held: Held = field(default_factory=Held)
    changed_at: float | None = None
    changed_from: int | None = None
    wished: Decision | None = None
    decision: Decision | None = None
    decided_at: float | None = None
    starting_until: float | None = None
    last: Sample | None = None
    plugged: frozenset[int] = frozenset()
    problem: str = ""
    leaving_since: float | None = None
    held_back: list[Sample] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.settings.name

    @property
    def granted(self) -> int:
        """VCPUs that were plugged when last looked at."""
        return self.held.vcpus

    @property
    def held_vcpus(self) -> int:
        """VCPUs that are plugged, or are being plugged."""
        if self.decision is None or not self.actuator.busy:
            return self.granted
        return max(self.granted, self.decision.to_vcpus)

    def request_of(self, lease: Lease) -> int:
        """Return the request as far as this worker was built for it."""
        return min(max(lease.request, self.settings.floor), self.settings.ceiling)

    def bind(self, pid: int) -> bool:
        """Watch this process; True when another one was watched before: the VM was restarted.

        Raises MeterError when there is no such process.
        """
        born = self.born_of(pid)
        if self.process == (pid, born) and self.clock is not None:
            return False
        was_another = self.process is not None and self.process != (pid, born)
        if self.clock is not None:
            self.clock.close()
        if was_another:
            self.reading = None
        self.clock, self.process = self.clock_for(pid, born), (pid, born)
        return was_another

    def alive(self) -> bool:
        """Whether the watched process still runs."""
        try:
            return self.process is not None and self.born_of(self.process[0]) == self.process[1]
        except MeterError:
            return False

    def release(self) -> None:
        """Let go of the process and of what was read from it."""
        if self.clock is not None:
            self.clock.close()
        self.clock = self.reading = self.process = None

    def mark(self, pid: int, vcpus: frozenset[int]) -> None:
        """Let ``ran`` count from now on for these vCPUs of the watched process."""
        if self.clock is not None and self._watches(pid):
            self.clock.mark(vcpus)

    def ran(self, pid: int, vcpus: frozenset[int]) -> frozenset[int]:
        """Return those of these vCPUs that are online in the guest; none if it cannot be read."""
        if self.clock is None or not self._watches(pid):
            return frozenset()
        try:
            return self.clock.ran(vcpus)
        except MeterError:
            return frozenset()

    def _watches(self, pid: int) -> bool:
        return self.process is not None and self.process[0] == pid

    def note_granted(self, mono: float, wall: float) -> None:
        """Take over what the actuator has read back."""
        attached = self.actuator.granted
        if attached is None or (attached == self.held.vcpus and self.changed_at is not None):
            return
        self.changed_from = None if self.changed_at is None else self.held.vcpus
        self.held.change(mono, attached)
        self.changed_at = wall

    def measure(self, mono: float, wall: float) -> Sample | None:
        """Read the vCPUs; None when there is nothing to compare with, or nothing to read.

        A problem is logged when it changes, as old and new.
        """
        if self.clock is None:
            return None
        try:
            reading = self.clock.read(mono)
        except MeterError as error:
            self._problem(str(error))
            self.reading = None
            return None
        self._problem("")
        before, self.reading = self.reading, reading
        plugged = self.actuator.attached or frozenset()
        counted, self.plugged = self.plugged | plugged, plugged
        held = self.held.take(mono)
        if before is None or mono <= before.monotonic_s:
            return None
        self.last = sample(
            before,
            reading,
            at=wall,
            granted_vcpus=self.granted,
            held_cores=held / (mono - before.monotonic_s),
            plugged=counted,
        )
        return self.last

    def remember(self, taken: Sample) -> None:
        """Keep a sample for the policy, and let go of those that are too old."""
        self.samples.append(taken)
        self.samples.forget_before(taken.at - self.history_s)

    def forget_samples(self) -> None:
        """Let go of another lease's samples, and of those whose counting was put off."""
        self.samples.clear()
        self.held_back, self.leaving_since = [], None

    def decide(self, lease: Lease | None, mono: float, wall: float) -> Decision:
        """Say what this worker should have now, and why.

        A job that starts gets its request, tried for up to ``START_S``; one that was adopted
        keeps what it has until there is a sample to judge by.
        """
        if lease is None:
            return self._to(self.settings.floor, "no job; the idle size", wall, wall)
        if self.starting_until is not None:
            request = self.request_of(lease)
            if self.granted < request and mono < self.starting_until:
                words = f"job {lease.placement.job_id} starts; its request"
                return self._to(request, words, wall, wall)
            self.starting_until = None
        if not self.samples:
            return self._to(self.granted, "no sample yet; as it is", wall, wall)
        last = self.samples[-1]
        if lease.placement.phase is JobPhase.SUSPENDED and last.wanted_cores < SUSPENDED_CORES:
            return self._to(self.settings.floor, "its job is suspended", wall, wall)
        view = View(self.request_of(lease), self.granted, self.samples, self.changed_at)
        wish = self.policy.wish(view)
        return self._to(wish.vcpus, wish.reason, wall, last.at - last.interval_s)

    def _to(self, vcpus: int, reason: str, wall: float, detected_at: float) -> Decision:
        return Decision(self.name, wall, self.granted, vcpus, reason, detected_at)

    def _problem(self, words: str) -> None:
        if words != self.problem:
            log.warning("%s: %s -> %s", self.name, self.problem or "measured", words or "measured")
            self.problem = words
