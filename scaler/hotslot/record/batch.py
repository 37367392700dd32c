"""The values that go into the record and come out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from hotslot.model import Decision, Event, Lease, Reading, ResultKind, Sample


@dataclass(frozen=True, slots=True)
class LeaseSample:
    """A sample of the worker that holds this lease."""

    lease_id: int
    sample: Sample


@dataclass(frozen=True, slots=True)
class LeaseDecision:
    """A decision on a worker, and the lease that it served (None: an idle worker)."""

    lease_id: int | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The last that was seen of a worker, so that an agent that was killed can go on from there.

    ``reading`` holds cumulative counters: with the next reading of the same process they give
    the use of the whole time between, however long no agent ran. ``boot_id`` says whether the
    reading's monotonic clock is still the same one. ``read_at`` is
    the reading's time in the worker's records (steady.py).
    """

    worker: str
    vm: str
    granted_vcpus: int
    reading: Reading
    boot_id: str
    read_at: float


@dataclass(frozen=True, slots=True)
class LedgerMinute:
    """What the host's workers were granted and used within one minute, with or without a job.

    ``minute_at`` is its first second. ``held`` had a lease, ``idle`` had none, or one whose
    job's processes had ended; ``requested`` is what the leases asked for; ``used`` is that of all
    workers. Written, these are increments: entries of the same minute add up; what was idle and
    turns out to have been held comes as minus and plus. ``span_s`` is how much of the minute was
    looked at, summed over workers: three of them make up to 180 s.
    """

    minute_at: int
    span_s: float
    held_core_s: float
    used_core_s: float
    host_cores: int
    requested_core_s: float = 0.0
    idle_core_s: float = 0.0

    def plus(self, other: LedgerMinute) -> LedgerMinute:
        """Return the sum of two entries of the same minute."""
        return LedgerMinute(
            minute_at=self.minute_at,
            span_s=self.span_s + other.span_s,
            held_core_s=self.held_core_s + other.held_core_s,
            used_core_s=self.used_core_s + other.used_core_s,
            host_cores=max(self.host_cores, other.host_cores),
            requested_core_s=self.requested_core_s + other.requested_core_s,
            idle_core_s=self.idle_core_s + other.idle_core_s,
        )


@dataclass(frozen=True, slots=True)
class Beat:
    """A span in which the agent was alive and answering."""

    started_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class RollUp:
    """What the record adds up beside a lease's totals.

    Events are counted by the kind of their result; latencies are those of applied plugs (or
    unplugs), from the attempt's start to its end, None where there was none. ``lost_samples``
    were dropped because the database could not be written for too long: the totals have them,
    the samples do not.
    """

    lost_samples: int = 0
    applied: int = 0
    refused: int = 0
    timed_out: int = 0
    failed: int = 0
    vm_gone: int = 0
    plug_median_s: float | None = None
    plug_max_s: float | None = None
    unplug_median_s: float | None = None
    unplug_max_s: float | None = None

    def count(self, kind: ResultKind) -> int:
        """Return the number of events that ended so."""
        match kind:
            case ResultKind.APPLIED:
                return self.applied
            case ResultKind.REFUSED:
                return self.refused
            case ResultKind.TIMED_OUT:
                return self.timed_out
            case ResultKind.FAILED:
                return self.failed
            case ResultKind.VM_GONE:
                return self.vm_gone


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """A lease as the record has it."""

    lease: Lease
    roll_up: RollUp


@dataclass(frozen=True, slots=True)
class Batch:
    """What is written together or not at all: usually one cycle.

    ``leases`` are whole rows as they are now: opened, with their running totals, or closed;
    ``lost`` counts the samples of a lease that had to be dropped.
    """

    leases: tuple[Lease, ...] = ()
    samples: tuple[LeaseSample, ...] = ()
    events: tuple[Event, ...] = ()
    decisions: tuple[LeaseDecision, ...] = ()
    workers: tuple[WorkerState, ...] = ()
    ledger: tuple[LedgerMinute, ...] = ()
    beats: tuple[Beat, ...] = ()
    lost: Mapping[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        parts = (self.leases, self.samples, self.events, self.decisions)
        return sum(map(len, (*parts, self.workers, self.ledger, self.beats, self.lost)))

    def pieces(self) -> Iterator[Batch]:
        """Yield batches of one record each, in an order in which they can be written."""
        nothing = Batch()
        yield from (replace(nothing, leases=(one,)) for one in self.leases)
        yield from (replace(nothing, workers=(one,)) for one in self.workers)
        yield from (replace(nothing, ledger=(one,)) for one in self.ledger)
        yield from (replace(nothing, beats=(one,)) for one in self.beats)
        yield from (replace(nothing, lost={lease: n}) for lease, n in self.lost.items())
        yield from (replace(nothing, events=(one,)) for one in self.events)
        yield from (replace(nothing, decisions=(one,)) for one in self.decisions)
        yield from (replace(nothing, samples=(one,)) for one in self.samples)
