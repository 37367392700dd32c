"""HTCondor behind hotslot's ``Scheduler``; registered as ``htcondor``.

A worker is a VM with one startd, one partitionable slot and at most one job at a time. Its name in
hotslot.yaml is the startd's ``Machine``, or that name's first label; a job's is
``CLUSTER.PROC@SCHEDD``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

from hotslot.errors import SchedulerError
from hotslot.model import Finding, JobPhase, NodeCondition, Placement, Queue, RunSummary
from hotslot.schedulers import PartlyUnavailable
from hotslot_plugin import (
    condor_ad,
    condor_check,
    condor_queue,
    condor_seen,
    condor_settings,
    condor_shares,
    condor_slot,
    condor_writing,
)
from hotslot_plugin.condor_job import CPUS_MAX, CondorJob, placements
from hotslot_plugin.condor_look import Look
from hotslot_plugin.condor_pool import Pool, bindings
from hotslot_plugin.condor_slot import Startd
from hotslot_plugin.fair_shares import TIMEOUT_S, FairShares

P = ParamSpec("P")
T = TypeVar("T")


def _alone(
    method: Callable[Concatenate[HTCondor, P], T],
) -> Callable[Concatenate[HTCondor, P], T]:
    """Let one call at a time use the bindings: their time limit is a call's."""

    @functools.wraps(method)
    def alone(self: HTCondor, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lock:
            return method(self, *args, **kwargs)

    return alone


class HTCondor:
    """One HTCondor pool.

    Figures are written through ``writing``, where that is another way to the same pool: a job that
    ends waits for its figures only so long, and a worker that hangs may keep who looks at it for
    seconds.
    """

    name = "htcondor"

    def __init__(self, pool: Pool, writing: Pool | None = None) -> None:
        self._pool = pool
        self._writing = writing or pool
        self._look = Look(pool)
        self.lock = Lock()
        self._writing_lock = self.lock if writing is None else Lock()
        self._limits: dict[str, int] = {}
        self._kick_again = False
        self._crowded: set[str] = set()
        self._shares = FairShares(self._fair_shares, pool.monotonic)

    # --- who is where ---------------------------------------------------------------------------

    @_alone
    def placements(
        self, workers: Collection[str], job_ids: Collection[str] = ()
    ) -> Sequence[Placement]:
        """Return who is on these workers now; see Scheduler.

        Who is there is what each startd says when asked directly; of a startd that does not
        answer, what the schedds say of it (``condor_job``). The details are the schedds'.
        """
        names = condor_ad.named(workers)
        asked = sorted({job_id for job_id in job_ids if condor_ad.JOB_ID.fullmatch(job_id)})
        if (job_ids and not asked) or not (asked or names):
            return []
        self._pool.begin()
        startds = self._pool.startds(names) if names else {}
        schedds = self._pool.schedds()
        if job_ids:
            found, silence = self._look.by_id(asked, schedds)
            told = self._told(found, startds)
            if silence:
                raise PartlyUnavailable(str(next(iter(silence.values()))), silence, told)
            return told
        found = self._look.there(startds, schedds)
        self._shares.refresh()
        told = self._told(found, startds)
        here = [p for p in told if p.worker in startds]
        return [p for p in here if p.phase.occupies or p.phase is JobPhase.ENDING]

    @_alone
    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        """Return the state of these workers, by their startds' own words.

        Drained: by condor_drain or condor_off -peaceful, or offline. One that does not answer is
        down; one of which the pool has never heard is left out.
        """
        names = condor_ad.named(workers)
        if not names:
            return []
        self._pool.begin()
        found = self._pool.startds(names)
        return [
            startd.condition() if startd else condor_slot.silent(worker)
            for worker, startd in found.items()
            if startd or self._pool.heard_of(worker)
        ]

    def resume(self, worker: str) -> None:
        """Do nothing: a hook that fails does not drain an HTCondor worker, so that a drained one
        was drained by an administrator."""
        condor_ad.named([worker])

    @_alone
    def requeue(self, placement: Placement) -> None:
        """Have this run leave its worker and wait again, if it is still that run; see Scheduler.

        As condor_vacate_job: the job gets its time to end (``MachineMaxVacateTime``). The schedd
        itself compares the run, at the moment in which it acts.
        """
        [worker] = condor_ad.named([placement.worker])
        found = condor_ad.JOB_ID.fullmatch(placement.job_id)
        if found is None:
            raise SchedulerError(f"{placement.job_id!r} is not the id of an HTCondor job")
        self._pool.begin()
        if not self._runs(placement, worker):
            return
        run = f"NumJobMatches == {int(placement.run) + 1}"
        where = f"({condor_ad.these_jobs([f'{found[1]}.{found[2]}'])}) && {run}"
        wrong = self._pool.vacate(found[3], where)
        if wrong and self._runs(placement, worker):
            raise SchedulerError(
                f"schedd {found[3]} does not vacate {found[1]}.{found[2]} ({wrong}): is the agent "
                "in QUEUE_SUPER_USERS? see hotslot check"
            )

    def _runs(self, placement: Placement, worker: str) -> bool:
        """Ask whether this very run is under way; SchedulerError when it may not be put back."""
        startds, schedds = self._pool.startds([worker]), self._pool.schedds()
        found, silence = self._look.by_id([placement.job_id], schedds, ended=False)
        if silence:
            raise next(iter(silence.values()))
        there = [p for job in found for p in self._placed(job, startds)]
        running = [p for p in there if p.key == placement.key and p.phase.occupies]
        if running and not running[0].may_requeue:
            raise SchedulerError(f"job {placement.job_id} may not be requeued: it is not vanilla")
        return bool(running)

    # --- what may start -------------------------------------------------------------------------

    @_alone
    def queue(self, workers: Collection[str]) -> Queue:
        """Return each worker's CPUs in use and admitted, and the idle jobs; see Scheduler.

        Where a worker admits more than before and jobs wait, the schedds are told to negotiate,
        and once more at the next call: measured 0.1 s until a job runs, else up to
        NEGOTIATOR_INTERVAL (60 s). It must come after the startd's own update of the collector.
        A kick takes 2 ms here and a negotiation cycle of the pool, of which there is at most one
        each NEGOTIATOR_CYCLE_DELAY (20 s).
        """
        names = condor_ad.named(workers)
        if not names:
            return Queue(())
        self._pool.begin()
        startds = [startd for startd in self._pool.startds(names).values() if startd]
        groups = tuple(startd.group() for startd in startds)
        schedds = self._pool.schedds()
        where, fields, limit = condor_queue.WHERE, condor_queue.NAMES, condor_queue.LOOKED_AT
        found = {name: self._pool.jobs(name, where, fields, limit) for name in schedds}
        cpus_max = max((startd.total_cpus for startd in startds), default=CPUS_MAX)
        jobs = condor_queue.waiting(found, cpus_max)
        self._crowded = {name for name, ads in found.items() if ads}
        self._kick({group.name: group.limit for group in groups})
        return Queue(groups, jobs)

    @_alone
    def offer(self, limits: Mapping[str, int]) -> None:
        """Tell schedds with waiting jobs that it may be worth while to negotiate.

        The limits themselves are taken by the workers' gates from the agent.
        """
        condor_ad.named(limits)
        self._pool.begin()
        known = self._pool.schedds()
        for schedd in sorted(self._crowded & known.keys()):
            self._pool.reschedule(schedd)

    # --- figures --------------------------------------------------------------------------------

    def write_back(self, summaries: Sequence[RunSummary]) -> None:
        """Put figures into jobs' ads in the queue, from where the history has them.

        Two look-ups of all jobs of a schedd, and one edit (0.7 ms) of each attribute that is not
        as it should be: the bindings have no transaction over several. A user's own values are
        overwritten. What did not come about is told when all others are written.
        """
        with self._writing_lock:
            condor_writing.write(self._writing, summaries)

    # --- the rest -------------------------------------------------------------------------------

    @_alone
    def check(
        self,
        workers: Collection[str],
        agent_wait_s: float,  # noqa: ARG002 - HTCondor has no time limit on a hook
    ) -> Sequence[Finding]:
        """Look for settings that would hurt; changes nothing."""
        names = condor_ad.named(workers)
        self._pool.begin()
        startds = self._pool.startds(names)
        schedds = [condor_seen.seen_schedd(self._pool, name) for name in self._pool.schedds()]
        seen = [
            condor_seen.seen_worker(self._pool, worker, startd)
            for worker, startd in startds.items()
        ]
        return condor_check.findings(self._pool.bindings, schedds, seen)

    def close(self) -> None:
        """End the bindings' processes."""
        self._pool.close()
        self._writing.close()

    # --- parts ----------------------------------------------------------------------------------

    def _told(
        self, jobs: Iterable[CondorJob], startds: Mapping[str, Startd | None]
    ) -> list[Placement]:
        """Return where jobs are, with the fair share of those that have a claim on a worker."""
        return [
            dataclasses.replace(p, fair_share=self._shares.known.get(job.submitter))
            if p.phase.occupies
            else p
            for job in jobs
            for p in self._placed(job, startds)
        ]

    def _fair_shares(self) -> dict[str, float]:
        where, names = condor_shares.WHERE, condor_shares.NAMES
        return condor_shares.shares_in(self._pool.collector("Accounting", where, names, TIMEOUT_S))

    def _placed(self, job: CondorJob, startds: Mapping[str, Startd | None]) -> list[Placement]:
        silent_s = {worker: self._pool.silent_s(worker) for worker in startds}
        return placements(job, startds, silent_s)

    def _kick(self, limits: Mapping[str, int]) -> None:
        risen = any(limit > self._limits.get(name, 0) for name, limit in limits.items())
        if self._crowded and (risen or self._kick_again):
            for schedd in sorted(self._crowded):
                self._pool.reschedule(schedd)
        self._kick_again = risen
        self._limits.update(limits)


def connect(settings: Mapping[str, object]) -> HTCondor:
    """Return the adapter for these settings (``condor_settings``); ValueError when they are wrong.

    Asks nothing yet: HTCondor may start after the agent.
    """
    wanted = condor_settings.parse(settings)
    looking, writing = (Pool(bindings(wanted), wanted.schedds, wanted.timeout_s) for _ in range(2))
    return HTCondor(looking, writing)
