"""Run policies over trace sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hotslot.decide.limits import Limits
from hotslot.decide.policy import Lawful
from hotslot.replay import engine
from hotslot.replay.columns import Floats
from hotslot.replay.compiled import WORTH, compiled, compiled_engine, compiled_law, numba_there
from hotslot.replay.engine import NO_FAULTS, STANDARD, Faults, Rules
from hotslot.replay.figures import Figures, Sums, figures, perfect, sums
from hotslot.replay.traces import Jobs

Tell = Callable[[float], None]
"""Takes seconds of job time that are done."""

ARGUMENTS = (
    "law floats floats limits rules faults ints floats floats ints ints int int int int rows"
)
"""Of ``engine.run_jobs``."""

STEP = 64
"""Jobs between two words on progress."""


UNLIMITED = Limits(1.0, 1024.0, 0.0, 1024.0)
"""What the policies of the trace sets' table ran with; each job's ceiling is its request."""


@dataclass(frozen=True)
class Setting:
    """All but the policy: limits, the model's rules, faults, and whether to compile."""

    limits: Limits = UNLIMITED
    rules: Rules = STANDARD
    faults: Faults = NO_FAULTS
    seed: int = 1
    compile: bool | None = None

    def compiles(self, job_s: float) -> bool:
        """Tell whether this much job time is worth compiling for."""
        wanted = job_s >= WORTH if self.compile is None else self.compile
        return wanted and numba_there()


DEFAULT = Setting()


def outcomes(
    policy: Lawful, jobs: Jobs, setting: Setting = DEFAULT, tell: Tell | None = None
) -> Floats:
    """Run each job under a policy; a row for each: held core-s, throttled s, events, run s."""
    order = np.argsort(jobs.start, kind="stable")
    found = np.zeros((len(jobs), 4))
    if len(jobs):
        found[order] = _in_order(policy, jobs.taken(order), setting, tell)
    return found


def _in_order(policy: Lawful, jobs: Jobs, setting: Setting, tell: Tell | None) -> Floats:
    out = np.zeros((len(jobs), 4))
    room = policy.room(int(jobs.cap.max()))
    law: Any = type(policy).law
    run: Any = engine.run_jobs
    state: Any = np.zeros(room)
    columns: tuple[Any, ...] = (jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n)
    numbers: Any = policy.numbers()
    faults = Faults._make([*map(float, setting.faults[:-1]), setting.faults.slow_s])
    if setting.compiles(float(jobs.life_s.sum())):
        law, run = compiled_law(law), compiled_engine(run, ARGUMENTS)
        numbers = np.array(numbers)
    else:
        state = [0.0] * room
        columns = tuple(column.tolist() for column in columns)
    fixed = (law, numbers, state, setting.limits, setting.rules, faults)
    for begin in range(0, len(jobs), STEP):
        end = min(len(jobs), begin + STEP)
        run(*fixed, *columns, policy.kept, begin, end, setting.seed, out)
        if tell:
            tell(float(jobs.life_s[begin:end].sum()))
    return out


def foreseen(jobs: Jobs, hold_s: float, rules: Rules = STANDARD) -> Floats:
    """Run each job under an oracle with the model's latency that holds a size for ``hold_s``."""
    out = np.zeros((len(jobs), 4))
    run: Any = engine.foresee
    if numba_there() and float(jobs.life_s.sum()) >= WORTH:
        run = compiled(run)
    run(float(hold_s), rules, jobs.cap, jobs.dt, jobs.cores, jobs.first, jobs.n, out)
    return out


def perfectly(jobs: Jobs) -> Floats:
    """Return the outcomes of the perfect, instant, free oracle."""
    out = np.zeros((len(jobs), 4))
    for job in range(len(jobs)):
        out[job, 0] = perfect(jobs.taken(np.array([job])))
    out[:, 3] = jobs.life_s
    return out


ORACLES: dict[str, Callable[[Jobs], Floats]] = {
    "oracle:perfect": perfectly,
    "oracle:latency": lambda jobs: foreseen(jobs, 0.0),
    "oracle:hold-60s": lambda jobs: foreseen(jobs, 60.0),
}


def row(name: str, policy: Lawful, parts: Sequence[Jobs], setting: Setting = DEFAULT) -> Figures:
    """Return a policy's figures over the parts of a set."""
    done: list[Sums] = [sums(jobs, outcomes(policy, jobs, setting)) for jobs in parts]
    return figures(name, done)
