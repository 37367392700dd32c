"""Roll-ups are the sums over leases, samples and events, in whatever order jobs end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import placement
from hotslot.model import CloseReason, EventResult, Lease, Level, ResultKind
from hotslot.record.batch import Batch, LeaseSample
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.record.totals import totals_of
from hotslot.verify import verify
from record.lives import DAY, Life
from record.recorded import event, new_store

OUTCOMES = ["COMPLETED", "FAILED", "CANCELLED by 7", "TIMEOUT", "NODE_FAIL", "", "weird"]
CLASSES = {
    **{"COMPLETED": "completed", "FAILED": "failed", "CANCELLED by 7": "cancelled"},
    **{"TIMEOUT": "timed_out", "NODE_FAIL": "lost", "": "otherwise", "weird": "otherwise"},
}


@st.composite
def random_lives(draw: st.DrawFn) -> Life:
    """A run of one of four jobs on one of three workers, of 0 to 6 s, closed somehow, or open."""
    of = placement(
        draw(st.sampled_from(["10", "11", "12", "13"])),
        draw(st.sampled_from(["w1", "w2", "w3"])),
        run=draw(st.integers(0, 2)),
        cpus=draw(st.sampled_from([1, 4])),
        outcome=draw(st.sampled_from(OUTCOMES)),
    )
    of = replace(
        of,
        user=draw(st.sampled_from(["alice", "bob"])),
        account=draw(st.sampled_from(["", "physics"])),
        submitted_at=draw(st.none() | st.sampled_from([0.0, 5.0])),
        started_at=draw(st.none() | st.sampled_from([1e5, 2e5])),
    )
    return Life(
        of,
        draw(st.integers(0, 3 * DAY * 1000)) / 1000,
        granted=draw(st.lists(st.integers(0, 8), max_size=6)),
        used=draw(st.integers(0, 8000)) / 1000,
        reason=draw(st.none() | st.sampled_from(CloseReason)),
    )


def lease_of(lease_id: int, life: Life, clock_step_s: float) -> Lease:
    """The lease at its end; the wall clock was set meanwhile."""
    closed_at = None
    if life.reason is not None:
        closed_at = max(life.opened_at, round(life.closed_at + clock_step_s, 3))
    totals = totals_of(life.samples, life.of.cpus)
    return Lease(lease_id, life.of, life.opened_at, closed_at, life.reason, totals)


def outcome_class(lease: Lease) -> str:
    if lease.close_reason is CloseReason.REQUEUED:
        return "requeued"
    if lease.close_reason is CloseReason.LOST and not lease.placement.outcome:
        return "lost"
    return CLASSES[lease.placement.outcome]


def day_of(lease: Lease) -> str:
    return datetime.fromtimestamp(lease.closed_at or 0.0, UTC).strftime("%Y-%m-%d")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(random_lives(), max_size=8),
    st.lists(st.sampled_from([0.0, 0.0, -2.0, 3600.0, -90_000.0]), min_size=8, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from(EventResult)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_roll_ups_are_the_sums_in_any_order(
    lives: list[Life],
    steps: list[float],
    told: list[tuple[int, EventResult]],
    chance: random.Random,
) -> None:
    leases = [lease_of(n, life, steps[n - 1]) for n, life in enumerate(lives, start=1)]
    attempts = [
        event(1 + of % len(leases), at=leases[of % len(leases)].opened_at + n, result=result)
        for n, (of, result) in enumerate(told)
        if leases
    ]
    with new_store() as store:
        opened = [replace(one, closed_at=None, close_reason=None) for one in leases]
        store.append(Batch(leases=tuple(opened)))
        for lease, life in zip(leases, lives, strict=True):
            store.append(Batch(samples=tuple(LeaseSample(lease.id, s) for s in life.samples)))
        writes = [Batch(leases=(lease,)) for lease in leases for _ in range(2)]
        writes += [Batch(events=(attempt,)) for attempt in attempts for _ in range(2)]
        writes += [Batch(leases=(one,)) for one in opened]
        chance.shuffle(writes)
        for batch in writes:
            store.append(batch)
        ended = [lease for lease in leases if lease.closed_at is not None]
        _compare(store, ended, attempts)
        samples = {lease.id: store.totals_from_samples(lease.id) for lease in ended}
        for lease in ended:
            assert samples[lease.id].held_core_s == pytest.approx(lease.totals.held_core_s)
        wrong = [one for one in verify(store) if one.level is Level.WRONG]
        assert [one.subject for one in wrong if "ledger" not in one.subject] == []


def _compare(store: Store, ended: Sequence[Lease], attempts: Sequence[object]) -> None:
    for by in ("user", "account", "day", "cluster"):
        groups: dict[str, list[Lease]] = {}
        for lease in ended:
            key = {
                "user": lease.placement.user,
                "account": lease.placement.account,
                "day": day_of(lease),
                "cluster": "",
            }[by]
            groups.setdefault(key, []).append(lease)
        found = {one.key: one for one in store.summed(by)}  # type: ignore[arg-type]
        assert found.keys() == groups.keys()
        for key, leases in groups.items():
            one = found[key]
            assert one.leases == len(leases)
            for name in ("life_s", "requested_core_s", "held_core_s", "used_core_s"):
                wanted = sum(getattr(lease.totals, name) for lease in leases)
                assert getattr(one, name) == pytest.approx(wanted, abs=1e-3 * len(leases))
            classes = Counter(map(outcome_class, leases))
            names = ("completed", "failed", "cancelled", "timed_out", "lost", "requeued")
            assert [getattr(one, name) for name in names] == [classes[name] for name in names]
            assert one.otherwise == classes["otherwise"]
            returned = sum(
                max(0, t.requested_core_s - t.held_core_s + t.borrowed_core_s)
                for t in (lease.totals for lease in leases)
            )
            assert one.returned_core_s == pytest.approx(returned, abs=1e-3 * len(leases))
            counts = Counter(
                e.result.kind  # type: ignore[attr-defined]
                for e in attempts
                if e.lease_id in {lease.id for lease in leases}  # type: ignore[attr-defined]
            )
            assert [one.events_applied, one.events_refused, one.events_timed_out] == [
                *(counts[ResultKind.APPLIED], counts[ResultKind.REFUSED]),
                counts[ResultKind.TIMED_OUT],
            ]
            assert (one.events_failed, one.events_vm_gone) == (
                counts[ResultKind.FAILED],
                counts[ResultKind.VM_GONE],
            )


def test_a_writer_that_is_killed_while_leases_close_counts_each_once(tmp_path: Path) -> None:
    """Killed at random moments, started again with the same batches: nothing lost or double."""
    path = tmp_path / "hotslot.db"
    script = Path(__file__).with_name("endless_closer.py")
    chance = random.Random(5)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, script, path], stdout=subprocess.PIPE, text=True
        ) as closer:
            assert closer.stdout is not None
            closer.stdout.readline()
            time.sleep(chance.uniform(0.01, 0.15))
            os.kill(closer.pid, signal.SIGKILL)
            on_disk = max([0, *(int(line) for line in closer.stdout)])
        with History(path) as history:
            ((closed,),) = history.select("SELECT count(*) FROM leases WHERE closed_ms NOT NULL")
            sums = history.summed("cluster")
            assert closed >= on_disk
            assert sum(one.leases for one in sums) == closed
            assert [one.held_core_s for one in sums] == [8.0 * closed] * bool(closed)
            assert [one.events_applied for one in sums] == [2 * closed] * bool(closed)
            wrong = [one for one in verify(history) if one.level is Level.WRONG]
            assert wrong == []
