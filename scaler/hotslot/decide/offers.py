"""How a host's cores are shared out among schedulers, so that none is promised twice: pure.

A scheduler places jobs by itself as far as its groups' limits allow. So a limit is a promise as
much as a running job is, and moves in two steps: it is lowered first, and what that sets free is
given to another one only when the scheduler itself has said that it is lowered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import cycle

from hotslot.model import Waiting

PATIENCE_S = 300.0
"""A job that has waited so long for more CPUs than are free is not overtaken any more."""

Key = tuple[str, str]
"""A group: the scheduler's name and its own."""


@dataclass(frozen=True, slots=True)
class Share:
    """A group as it stands.

    ``used``: CPUs of the jobs there. ``stands``: CPUs that are promised to it, at least ``used``:
    its limit, or a higher one that it has been told of. ``room``: the ceilings of its workers
    that could take a job, in vCPUs.
    """

    key: Key
    used: int
    stands: int
    room: tuple[int, ...]


def targets(
    cores: int,
    shares: Sequence[Share],
    waiting: Mapping[str, Sequence[Waiting]],
    now: float,
    lent: int = 0,
) -> dict[Key, int]:
    """Return each group's limit as it should become: its use, who waits, and what is left over.

    Waiting jobs get theirs in the order in which they came, each scheduler's in its own order.
    What nobody waits for stays where it is as far as it can, so that jobs to come start at once;
    the rest goes a worker at a time to the schedulers in turn. ``lent`` are CPUs beyond the cores,
    whose owners do not need them now: those are for who waits, and nobody else.

    Worked: 8 cores, Slurm uses 4 and stands at 8, an HTCondor worker of 4 stands at 0 and a job
    of 2 waits for it: Slurm 4 + 2 left over = 6, the worker 2.
    """
    want = {share.key: share.used for share in shares}
    room = {share.key: sorted(share.room) for share in shares}
    free = max(0, cores + lent - sum(want.values()))
    for scheduler, job in first_come_first(waiting):
        takers = _takers(scheduler, job, room)
        need = job.cpus * job.workers
        if not takers:
            continue
        if need <= free:
            for key, ceiling in takers:
                room[key].remove(ceiling)
                want[key] += job.cpus
            free -= need
        elif now - job.since > PATIENCE_S:
            return want
    free = max(0, min(free, cores - sum(want.values())))
    over: dict[Key, int] = {}
    for share in shares:
        most = min(share.stands, share.used + sum(share.room))
        kept = max(0, min(free, most - want[share.key]))
        want[share.key] += kept
        free -= kept
        over[share.key] = sum(room[share.key]) - kept
    return _spread(want, over, room, free)


def step(cores: int, shares: Sequence[Share], want: Mapping[Key, int]) -> dict[Key, int]:
    """Return the limits to set now: all that sink, and those that may rise already.

    The sum of what stands never exceeds ``cores``, whatever the schedulers do meanwhile; where it
    does already, it does not grow. Worked: 8 cores, A stands at 8, B at 0, 6 and 2 are wanted:
    now A sinks to 6; when A stands at 6, B rises to 2.
    """
    free = cores - sum(share.stands for share in shares)
    changes: dict[Key, int] = {}
    for share in shares:
        aim = want.get(share.key, share.stands)
        if aim < share.stands:
            changes[share.key] = aim
        elif aim > share.stands and free > 0:
            rise = min(free, aim - share.stands)
            changes[share.key] = share.stands + rise
            free -= rise
    return changes


def first_come_first(
    waiting: Mapping[str, Iterable[Waiting]],
) -> Iterator[tuple[str, Waiting]]:
    """Merge the schedulers' queues by the time of their heads; each keeps its own order."""
    queues = ([(job.since, name, job) for job in jobs] for name, jobs in waiting.items())
    for _, name, job in merge(*queues, key=lambda entry: entry[:2]):
        yield name, job


def _takers(
    scheduler: str, job: Waiting, room: Mapping[Key, Sequence[int]]
) -> list[tuple[Key, int]]:
    """Return the free workers for a job, the smallest that do; none if there are not enough."""
    fitting = sorted(
        (ceiling, key)
        for key, ceilings in room.items()
        for ceiling in ceilings
        if key[0] == scheduler and ceiling >= job.cpus
    )
    if len(fitting) < job.workers:
        return []
    return [(key, ceiling) for ceiling, key in fitting[: job.workers]]


def _spread(
    want: dict[Key, int], over: dict[Key, int], room: Mapping[Key, Sequence[int]], free: int
) -> dict[Key, int]:
    """Give away what is left over: a worker at a time, the schedulers in turn.

    ``over``: what each group can use beyond what it has been given.
    """
    by_scheduler: dict[str, list[tuple[Key, int]]] = {}
    for key, ceilings in room.items():
        for ceiling in sorted(ceilings, reverse=True):
            by_scheduler.setdefault(key[0], []).append((key, ceiling))
    turns = cycle(sorted(by_scheduler))
    while free > 0 and any(by_scheduler.values()):
        left = by_scheduler[next(turns)]
        if left:
            key, ceiling = left.pop(0)
            more = max(0, min(free, ceiling, over[key]))
            want[key] += more
            over[key] -= more
            free -= more
    return want
