"""What is old goes in small steps, sums stay, and whoever is killed goes on later."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hotslot.errors import StoreError
from hotslot.model import Level
from hotslot.prune import Keep, Pruned, prune, would_go
from hotslot.record.batch import Batch
from hotslot.record.history import History
from hotslot.record.store import Store
from hotslot.verify import verify
from record.lives import DAY, Life, a_life, live
from record.recorded import event

NOW = 500.0 * DAY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hotslot.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path, host="n1") as store:
        live(store, [a_life(str(day), day * float(DAY)) for day in range(0, 500, 20)])
        yield store


def is_right(path: Path) -> bool:
    with History(path) as history:
        return all(one.level is Level.OK for one in verify(history))


def count(path: Path, table: str) -> int:
    with History(path) as history:
        return int(next(history.select(f"SELECT count(*) FROM {table}"))[0])


KEEP = Keep.of(NOW, 30 * DAY, 400 * DAY)


def test_whole_days_are_kept() -> None:
    assert Keep.of(500.5 * DAY, 30 * DAY, 400 * DAY) == Keep(470, 100)
    assert Keep.of(500.5 * DAY, 900 * DAY, 400 * DAY) == Keep(100, 100), "samples not longer"


def test_samples_go_first_then_leases_and_sums_never(store: Store, path: Path) -> None:
    sums = store.summed("cluster")
    ledger = store.ledger(0, NOW)
    assert would_go(path, KEEP) == Pruned(samples=24 * 5, decisions=24, events=10, leases=5)
    gone = prune(path, KEEP, pause=lambda _: None)
    assert (gone.samples, gone.decisions, gone.events, gone.leases) == (24 * 5, 24, 10, 5)
    assert (count(path, "leases"), count(path, "samples"), count(path, "events")) == (20, 5, 40)
    assert store.summed("cluster") == sums
    assert store.ledger(0, NOW) == ledger
    assert store.alike("alice", "train")[0].lease.id == 6
    assert is_right(path)


def test_pruning_again_changes_nothing(store: Store, path: Path) -> None:
    prune(path, KEEP, pause=lambda _: None)
    again = prune(path, KEEP, pause=lambda _: None)
    assert again == Pruned()
    assert would_go(path, KEEP) == Pruned()


def test_open_leases_stay_whatever_their_age(store: Store, path: Path) -> None:
    live(store, [Life(a_life("9", 5.0).of, 5.0, reason=None)], first_id=90)
    prune(path, KEEP, pause=lambda _: None)
    assert store.lease(90) is not None
    assert len(store.samples(90)) == 5
    assert is_right(path)


def test_the_file_gets_smaller(path: Path) -> None:
    with Store(path) as store:
        live(store, [Life(a_life("1", 10.0).of, 10.0, granted=(4,) * 30_000, events=0)])
    before = path.stat().st_size
    gone = prune(path, KEEP, pause=lambda _: None)
    assert gone.freed_bytes > 500_000
    Store(path).close()
    assert path.stat().st_size < before / 2


def test_a_record_that_is_not_there_is_an_error(path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        prune(path, KEEP)


def test_the_agent_writes_on_meanwhile(path: Path) -> None:
    """Its longest write waits for a step or two, not for the pruning to end."""
    with Store(path) as store:
        lives = [
            Life(a_life(str(n), 10.0 + n).of, 10.0 + n, (4,) * 300, events=0) for n in range(60)
        ]
        live(store, lives)
        pruning = threading.Thread(target=prune, args=(path, KEEP))
        pruning.start()
        longest_s, writes = 0.0, 0
        while pruning.is_alive():
            began = time.monotonic()
            store.close_lease(live(store, [a_life(f"n{writes}", NOW)], first_id=1000 + writes)[0])
            longest_s, writes = max(longest_s, time.monotonic() - began), writes + 1
        pruning.join()
        assert writes >= 3
        assert longest_s < 2.0
    assert is_right(path)


def test_a_prune_that_is_killed_leaves_a_record_that_is_right(path: Path) -> None:
    with Store(path) as store:
        lives = [
            Life(a_life(str(n), n * 60.0).of, n * 60.0, (4,) * 50, events=3) for n in range(300)
        ]
        live(store, lives)
        store.append(Batch(events=(event(None, at=5.0),)))
        sums = store.summed("cluster")
    code = (
        "import sys, pathlib; from hotslot.prune import Keep, prune; print('go', flush=True);"
        "prune(pathlib.Path(sys.argv[1]), Keep(470, 100))"
    )
    for wait_s in (0.02, 0.05, 0.08):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(wait_s)
            process.send_signal(signal.SIGKILL)
        assert is_right(path)
        with closing(History(path)) as history:
            assert history.summed("cluster") == sums
    prune(path, KEEP, pause=lambda _: None)
    assert (count(path, "leases"), count(path, "events"), count(path, "idle_events")) == (0, 0, 0)
    assert is_right(path)
