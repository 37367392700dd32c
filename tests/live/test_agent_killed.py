"""The agent is killed with SIGKILL at random moments; jobs and history do not suffer."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from hotslot.record.history import History
from live.cluster import Cluster, eventually
from live.scenarios import ALL, Scenario, check_history

SEED = 20260101


class Killer:
    """Kills and restarts the agent at random moments, the same for the same seed."""

    def __init__(self, cluster: Cluster, seed: int) -> None:
        self._cluster = cluster
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.failure: BaseException | None = None
        self.kills = 0

    def __enter__(self) -> Killer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._chance.uniform(0.5, 8.0)):
                self._cluster.signal_agent(signal.SIGKILL)
                self.kills += 1
                self._stop.wait(self._chance.uniform(0.0, 2.0))
                self._cluster.start_agent()
        except BaseException as error:  # noqa: BLE001 - told to the test that waits
            self.failure = error


@pytest.fixture(scope="module")
def kills(note: Callable[[str], None]) -> Iterator[list[int]]:
    counts: list[int] = []
    yield counts
    note(f"the agent was killed {sum(counts)} times during {len(counts)} scenarios (seed {SEED})")


@pytest.mark.parametrize("scenario", ALL, ids=[scenario.__name__ for scenario in ALL])
def test_a_killed_agent_loses_nothing(
    cluster: Cluster, scenario: Scenario, kills: list[int]
) -> None:
    with Killer(cluster, SEED + len(kills)) as killer:
        ended = scenario(cluster)
    kills.append(killer.kills)
    check_history(cluster, ended)


@pytest.mark.timeout(300)
def test_the_time_without_an_agent_is_measured_too(cluster: Cluster) -> None:
    burn = "timeout 14 sh -c 'while :; do :; done'; sleep 2"
    job = cluster.sbatch("-c1", wrap=f"touch ~/started-$SLURM_JOB_ID; {burn}")
    started = cluster.bed.home / "alice" / f"started-{job}"
    eventually(started.exists, 90, "the job runs", cluster.explain)
    cluster.signal_agent(signal.SIGKILL)
    threading.Event().wait(6)
    cluster.start_agent()
    cluster.wait_gone(job)
    cluster.wait_settled()
    (row,) = cluster.leases(job)
    with History(cluster.database) as history:
        gaps = [s.interval_s for s in history.samples(row.lease.id) if s.interval_s > 4]
        samples = history.samples(row.lease.id)
    assert len(gaps) == 1, f"one sample spans the time without an agent: {samples}"
    life_s = (row.lease.closed_at or 0) - row.lease.opened_at
    assert row.lease.totals.life_s == pytest.approx(life_s, abs=1.5)
    assert row.lease.totals.used_core_s > 8
