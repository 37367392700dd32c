"""A whole host: a saturated first-come queue of jobs, sized by one policy.

A job starts when its full request fits beside what is granted to others. What owners want back may
then be more than there is: cores that are short are shared in proportion to what runs. Waiting for
a core counts as demand, as it does when vCPU threads are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from hotslot.decide.law import Law, Numbers, Seen, State
from hotslot.decide.limits import Limits, within
from hotslot.decide.policy import Lawful
from hotslot.replay.columns import Floats
from hotslot.replay.compiled import compiled_engine, compiled_law
from hotslot.replay.engine import STANDARD, Rules
from hotslot.replay.replay import DEFAULT, Setting
from hotslot.replay.traces import Jobs

PART_DONE = 0.95
"""Throughput is measured until this part of the core-hours is done: the last jobs leave cores idle
under any policy."""

ARGUMENTS = (
    "law floats rows int limits rules int ints floats floats ints ints rows rows int returned"
)
"""Of ``run_host``, and what it returns."""

MOST_S = 400 * 86_400
"""A host that takes longer is given up."""


@dataclass(frozen=True, slots=True)
class HostFigures:
    """One policy on one host.

    throughput: requested core-hours of the first 95 % done, for each hour and core of the host;
    gain: against ``static``; wait: mean time until a job starts, in h; slow-down: run time added to
    jobs by throttling, by events and by cores that were short, in % of core-hours.

    With an arbiter (else each job owns all the time): ``slowdown_owners_pct`` is what jobs lost
    while they owned, of what they ran then, ``owners_throttled_pct`` the part that is not stalls
    of changes; ``stretch_p99``: run time from start to end beside that with the whole request;
    ``latest_pct``: of all jobs, how much later the worst one ended than under ``static``, in % of
    the time until then; ``exceeded_pct``: horizons in which a job wanted more than was reserved.
    """

    policy: str
    jobs: int
    host_cores: int
    makespan_h: float
    throughput: float
    gain_pct: float
    wait_mean_h: float
    slowdown_short_pct: float
    slowdown_total_pct: float
    slowdown_p99_pct: float
    events_per_job_hour: float
    slowdown_owners_pct: float
    owners_throttled_pct: float
    stretch_p99: float
    latest_pct: float
    exceeded_pct: float
    ended_s: tuple[float, ...] = field(repr=False)

    def as_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        named = asdict(self)
        del named["ended_s"]
        return {k: round(v, 6) if isinstance(v, float) else v for k, v in named.items()}


def run_host(
    law: Law,
    numbers: Numbers,
    states: Sequence[State],
    kept: int,
    limits: Limits,
    rules: Rules,
    host_cores: int,
    caps: Sequence[int],
    dts: Sequence[float],
    cores: Sequence[float],
    firsts: Sequence[int],
    ns: Sequence[int],
    slots: Sequence[State],
    out: Sequence[State],
    most_s: int,
) -> int:
    """Run the queue; rows of ``out``: started s, ended s, events, seconds short of cores.

    ``slots`` are the workers, one row each: job or -1, position, granted, due, aim, stall,
    changed at, demand, progress. Returns the seconds that it took.
    """
    jobs, free_slots = len(caps), len(slots)
    queued, done, tick, promised = 0, 0, 0, 0
    for worker in range(free_slots):
        slots[worker][0] = -1.0
    while done < jobs and tick < most_s:
        for worker in range(free_slots):
            if queued >= jobs or host_cores - promised < caps[queued]:
                break
            slot = slots[worker]
            if slot[0] >= 0:
                continue
            slot[0], slot[1], slot[2] = float(queued), 0.0, float(caps[queued])
            slot[3], slot[4], slot[5], slot[6] = -1.0, 0.0, 0.0, -1e18
            promised += caps[queued]
            out[queued][0] = float(tick)
            for one in range(kept, len(states[worker])):
                states[worker][one] = 0.0
            queued += 1
        running = 0.0
        for worker in range(free_slots):
            slot = slots[worker]
            if slot[0] < 0:
                continue
            job = int(slot[0])
            if slot[3] == tick:
                promised += int(slot[4]) - int(slot[2])
                slot[2], slot[3], slot[5], slot[6] = slot[4], -1.0, rules.event_s, float(tick)
                out[job][2] += 1.0
            demand = min(cores[firsts[job] + int(slot[1] / dts[job])], float(caps[job]))
            slot[7] = demand
            running += min(demand, slot[2])
        share = 1.0 if running <= host_cores else host_cores / running
        tick += 1
        for worker in range(free_slots):
            slot = slots[worker]
            if slot[0] < 0:
                continue
            job, granted, demand = int(slot[0]), slot[2], slot[7]
            speed = 1.0 if demand <= granted else granted / demand
            if share < 1.0:
                out[job][3] += (speed - speed * share) * (1.0 - slot[5])
                speed *= share
            slot[1] += speed * (1.0 - slot[5])
            slot[5] = 0.0
            if slot[1] >= ns[job] * dts[job] - 1e-9:
                out[job][1] = float(tick)
                promised -= int(granted)
                slot[0] = -1.0
                done += 1
                continue
            size = float(granted)
            used = min(demand, size)
            seen = Seen(1.0, used, size, size, size, float(caps[job]), 1.0)
            choice = law(numbers, states[worker], seen)
            bounds = Limits(limits.floor, float(caps[job]), limits.cooldown_s, limits.max_step_down)
            wish = within(bounds, choice.vcpus, int(granted), caps[job], tick - slot[6])
            if wish != int(granted) and slot[3] < 0:
                slot[4], slot[3] = float(wish), float(tick + rules.latency_s)
    return tick


def queue_of(jobs: Jobs, host_cores: int) -> Jobs:
    """Return the jobs that fit the host, in the order of their starts."""
    fitting = np.flatnonzero(jobs.cap <= host_cores)
    return jobs.taken(fitting[np.argsort(jobs.start[fitting], kind="stable")])


def on_host(
    name: str, policy: Lawful, jobs: Jobs, host_cores: int, setting: Setting = DEFAULT
) -> HostFigures:
    """Run a queue of all jobs that fit the host, in the order of their starts."""
    jobs = queue_of(jobs, host_cores)
    workers = host_cores
    states = np.zeros((workers, policy.room(int(jobs.cap.max()))))
    slots, out = np.zeros((workers, 9)), np.zeros((len(jobs), 4))
    law: Any = type(policy).law
    run: Any = run_host
    numbers: Any = policy.numbers()
    if setting.compiles(float(jobs.life_s.sum())):
        law, run = compiled_law(law), compiled_engine(run, ARGUMENTS)
        numbers = np.array(numbers)
    columns = (jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n)
    fixed = (law, numbers, states, policy.kept, setting.limits, STANDARD, host_cores)
    run(*fixed, *columns, slots, out, MOST_S)
    work = jobs.cap * jobs.life_s
    short_pct = 100 * float((out[:, 3] * jobs.cap).sum() / work.sum())
    events = float(out[:, 2].sum())
    return host_figures(name, jobs, out[:, 0], out[:, 1], events, host_cores, short_pct=short_pct)


def gains(rows: list[HostFigures]) -> list[HostFigures]:
    """Fill in what is compared with the row of ``static``, which must be there."""
    base = next(row for row in rows if row.policy == "static")
    return [_compared(row, base) for row in rows]


def _compared(row: HostFigures, base: HostFigures) -> HostFigures:
    later = [100 * (end / then - 1) for end, then in zip(row.ended_s, base.ended_s, strict=True)]
    gain_pct = 100 * (row.throughput / base.throughput - 1)
    return replace(row, gain_pct=gain_pct, latest_pct=max(later))


def host_figures(
    name: str,
    jobs: Jobs,
    started: Floats,
    ended: Floats,
    events: float,
    host_cores: int,
    *,
    short_pct: float,
    owners_pct: float | None = None,
    owners_throttled_pct: float | None = None,
    exceeded_pct: float = 0.0,
) -> HostFigures:
    """Return the figures of a run; s since the queue was opened, a number a job."""
    work = jobs.cap * jobs.life_s
    order = np.argsort(ended, kind="stable")
    sums = np.cumsum(work[order])
    at = int(np.searchsorted(sums, PART_DONE * work.sum()))
    until_s = float(ended[order][at])
    ran = ended - started
    added = ran - jobs.life_s
    total_pct = 100 * float((added * jobs.cap).sum() / work.sum())
    stalled_pct = 50 * events / len(jobs) / float(jobs.life_s.mean())
    return HostFigures(
        policy=name,
        jobs=len(jobs),
        host_cores=host_cores,
        makespan_h=until_s / 3600,
        throughput=float(sums[at]) / (until_s * host_cores),
        gain_pct=0.0,
        wait_mean_h=float(started.mean()) / 3600,
        slowdown_short_pct=short_pct,
        slowdown_total_pct=total_pct,
        slowdown_p99_pct=float(np.percentile(100 * added / jobs.life_s, 99)),
        events_per_job_hour=events / float(jobs.life_s.sum() / 3600),
        slowdown_owners_pct=total_pct if owners_pct is None else owners_pct,
        owners_throttled_pct=(
            max(0.0, total_pct - stalled_pct)
            if owners_throttled_pct is None
            else owners_throttled_pct
        ),
        stretch_p99=float(np.percentile(ran / jobs.life_s, 99)),
        latest_pct=0.0,
        exceeded_pct=exceeded_pct,
        ended_s=tuple(map(float, ended)),
    )
