"""A loop as the agent runs it, with the arbiter's and the forecast's own interface.

Each job ends in the very second in which the replay ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter

import numpy as np
import pytest

from hotslot.decide.arbiter import Claim, Lending, shared_out
from hotslot.decide.forecast import Forecast, Foresight, Outlook
from hotslot.decide.law import Seen
from hotslot.decide.window import Window
from hotslot.replay.host_arbiter import Arbiter, arbitrated
from hotslot.replay.replay import Setting
from hotslot.replay.traces import Jobs
from synthetic_sets import jobs_of

POLICY = Window(window_s=10)
STALL_S = 0.5


@dataclass
class Worker:
    """A job on a worker: what it has, what is on its way, how far it is."""

    job: int
    place: int
    started_at: float
    request: int
    granted: int
    wish: int
    aim: int | None = None
    due: int = 0
    at: float = 0.0
    stall: float = 0.0
    state: list[float] = field(default_factory=lambda: [0.0] * POLICY.room(64))

    @property
    def held(self) -> int:
        return max(self.granted, self.aim or 0)

    def claim(self) -> Claim:
        return Claim(
            f"w{self.job:03}", 1, self.request, self.held, self.wish, self.request,
            started_at=self.started_at + self.job / 1e6,
        )  # fmt: skip

    def change(self, tick: int) -> None:
        if self.aim is not None and self.due == tick:
            self.granted, self.aim, self.stall = self.aim, None, STALL_S

    def work(self, demand: float, share: float) -> None:
        speed = min(1.0, self.granted / demand) if demand else 1.0
        self.at += speed * share * (1 - self.stall)
        self.stall = 0.0

    def decide(self, demand: float) -> None:
        size = float(self.granted)
        seen = Seen(1.0, min(demand, size), size, size, size, float(self.request), 1.0)
        choice = POLICY.law(POLICY.numbers(), self.state, seen)
        self.wish = min(self.request, max(1, choice.vcpus))


def as_the_agent(jobs: Jobs, cores: int, arbiter: Arbiter) -> list[float]:
    """Return when each job ends."""
    lending, forecast = arbiter.lending, Forecast(arbiter.foresight)
    workers: list[Worker] = []
    ended, queued, tick, keep, idle = [0.0] * len(jobs), 0, 0, 0, 0.0
    while not all(ended):
        for one in workers:
            one.change(tick)
        while queued < len(jobs):
            claims = [one.claim() for one in workers]
            free = shared_out(cores, claims, lending, keep=keep, idle=idle)
            cap = int(jobs.cap[queued])
            if free.promise - sum(one.request for one in workers) < cap:
                break
            size = min(cap, free.capacity - sum(one.held for one in workers))
            place = min(set(range(99)) - {one.place for one in workers})
            workers.append(Worker(queued, place, float(tick), cap, size, cap))
            workers.sort(key=attrgetter("place"))
            queued += 1
        spots = [jobs.first[w.job] + int(w.at / jobs.dt[w.job]) for w in workers]
        demands = [float(jobs.cores[spot]) for spot in spots]
        busy = sum(min(d, w.granted) for d, w in zip(demands, workers, strict=True))
        tick += 1
        for one, demand in zip(workers, demands, strict=True):
            one.work(demand, min(1.0, cores / busy) if busy else 1.0)
            if one.at >= jobs.life_s[one.job] - 1e-9:
                ended[one.job] = float(tick)
        left = [(w, d) for w, d in zip(workers, demands, strict=True) if not ended[w.job]]
        workers = [one for one, _ in left]
        for one, demand in left:
            one.decide(demand)
        idle = forecast.idle(1.0, sum(one.granted for one in workers), busy)
        grants = shared_out(cores, [one.claim() for one in workers], lending, idle=idle).grants
        outlooks = [
            Outlook(f"j{w.job}", "", w.wish, w.request, grants[f"w{w.job:03}"].target >= w.wish)
            for w in workers
        ]
        keep = forecast.see(1.0, outlooks)
        for one in workers:
            now = grants[f"w{one.job:03}"].now
            if one.aim is None and now != one.granted:
                one.aim, one.due = now, tick + 1
    return ended


@pytest.mark.parametrize(
    "arbiter",
    [
        Arbiter(Lending(), Foresight(risk=1)),
        Arbiter(Lending(), Foresight(horizon_s=20, risk=0.1)),
        Arbiter(Lending(overcommit=1.5), Foresight(risk=1, idle_s=20)),
    ],
)
def test_the_replay_is_what_the_agent_does(arbiter: Arbiter) -> None:
    dice = np.random.default_rng(11)
    courses = [np.repeat(dice.integers(0, 17, 5) / 2, 40) for _ in range(16)]
    jobs = jobs_of(courses, cap=8)
    replayed = arbitrated("window", POLICY, jobs, 20, arbiter, Setting(compile=False)).ended_s
    assert as_the_agent(jobs, 20, arbiter) == list(replayed)
