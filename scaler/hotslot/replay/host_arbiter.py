"""A whole host with the agent's arbiter: freed cores start queued jobs, owners get theirs back.

As in ``replay.host``, but the job at the head of the queue starts as soon as the headroom fits its
request, and what each is granted is what the arbiter says: the same laws that the agent interprets.
What is plugged never adds up to more than may be granted; a vCPU goes to another worker only when
it was unplugged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hotslot.decide.arbiter import Lending
from hotslot.decide.arbiter_law import ROWS
from hotslot.decide.forecast import Foresight
from hotslot.decide.forecast_law import ACCOUNT, EXCEEDED, IDLE_ROOM, ROOM, TABLE, TOLD
from hotslot.decide.policy import Lawful
from hotslot.replay.compiled import compiled_engine, compiled_law
from hotslot.replay.engine import STANDARD
from hotslot.replay.host import MOST_S, HostFigures, host_figures, queue_of
from hotslot.replay.host_arbiter_engine import (
    ARGUMENTS,
    ENDED,
    EVENTS,
    OUT,
    OWN_LOST_S,
    OWN_RUN_S,
    OWN_STALLED_S,
    SHORT_S,
    SLOT,
    STARTED,
    run_arbitrated,
)
from hotslot.replay.replay import DEFAULT, Setting
from hotslot.replay.traces import Jobs


@dataclass(frozen=True, slots=True)
class Arbiter:
    """How a host is shared: the site's rules, and how far the forecast looks."""

    lending: Lending = field(default_factory=Lending)
    foresight: Foresight = field(default_factory=Foresight)

    def numbers(self, host_cores: int) -> list[float]:
        """Return what the engine takes."""
        lending, ahead = self.lending, self.foresight
        shares = (lending.overcommit, lending.tolerated_pct, lending.lent_part, lending.start_part)
        return [float(host_cores), *shares, ahead.horizon_s, ahead.risk, ahead.idle_s]


def arbitrated(
    name: str,
    policy: Lawful,
    jobs: Jobs,
    host_cores: int,
    arbiter: Arbiter = Arbiter(),
    setting: Setting = DEFAULT,
) -> HostFigures:
    """Run a queue of all jobs that fit the host, in the order of their starts."""
    jobs = queue_of(jobs, host_cores)
    workers = 2 * host_cores
    apps = {app: at for at, app in enumerate(sorted(set(jobs.app)), start=1)}
    families = np.array([apps[app] for app in jobs.app] or [1] * len(jobs), dtype=np.int64)
    states = np.zeros((workers, policy.room(int(jobs.cap.max()))))
    seen_before, out = np.zeros((len(apps) + 2, TABLE)), np.zeros((len(jobs), OUT))
    law: Any = type(policy).law
    run: Any = run_arbitrated
    numbers: Any = policy.numbers()
    if setting.compiles(float(jobs.life_s.sum())):
        law, run = compiled_law(law), compiled_engine(run, ARGUMENTS)
        numbers = np.array(numbers)
    fixed = (law, numbers, states, policy.kept, setting.limits, STANDARD)
    columns = (jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n, families)
    scratch = (np.zeros((workers, SLOT)), np.zeros((ROWS, workers)), np.zeros((workers, ROOM)))
    account = np.zeros(ACCOUNT)
    rest = (seen_before, np.zeros(workers), account, np.zeros(IDLE_ROOM), out, MOST_S)
    run(*fixed, np.array(arbiter.numbers(host_cores)), *columns, *scratch, *rest)
    work = jobs.cap * jobs.life_s
    owned = float((out[:, OWN_RUN_S] * jobs.cap).sum())
    lost = float((out[:, OWN_LOST_S] * jobs.cap).sum())
    stalled = float((out[:, OWN_STALLED_S] * jobs.cap).sum())
    told = float(account[TOLD])
    return host_figures(
        name,
        jobs,
        out[:, STARTED],
        out[:, ENDED],
        float(out[:, EVENTS].sum()),
        host_cores,
        short_pct=100 * float((out[:, SHORT_S] * jobs.cap).sum() / work.sum()),
        owners_pct=100 * lost / owned,
        owners_throttled_pct=100 * (lost - stalled) / owned,
        exceeded_pct=100 * float(account[EXCEEDED]) / told if told else 0.0,
    )
