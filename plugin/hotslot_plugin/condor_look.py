"""Where jobs are told of: in queues, in histories, by the slots of startds."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

from hotslot.errors import SchedulerUnavailable
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_job import JOB, CondorJob, job_of
from hotslot_plugin.condor_pool import Pool
from hotslot_plugin.condor_slot import Startd

log = logging.getLogger(__name__)

HISTORY_S = 4 * 3600.0
"""How far back a schedd's history is read: of a job that ended earlier the outcome stays unknown. A
forged job id must not make it read a year."""

PER_QUESTION = 100
"""Jobs that are asked for at once."""


class Look:
    """Looks jobs up in a pool, within the time limit of the call that is under way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def there(
        self, startds: Mapping[str, Startd | None], schedds: Mapping[str, str]
    ) -> list[CondorJob]:
        """Return the jobs of these startds' slots, and those that schedds have on silent ones.

        Those of a schedd that does not answer are left out while another one does: whoever has a
        lease of theirs asks for them by name.
        """
        ids = {slot.job_id for startd in startds.values() if startd for slot in startd.slots}
        found, silence = self.by_id(sorted(filter(None, ids)), schedds, ended=False)
        if silence and not found:
            raise next(iter(silence.values()))
        silent = [worker for worker, startd in startds.items() if startd is None]
        if silent:
            where = condor_ad.machines(silent, "RemoteHost", before="@")
            for schedd in schedds:
                ads = self._pool.jobs(schedd, f"({where}) =?= true", JOB, 10 * len(silent))
                told = [job for ad in ads if (job := job_of(schedd, ad))]
                known = {job.job_id for job in found}
                found += [job for job in told if job.job_id not in known]
        return found

    def by_id(
        self, job_ids: Sequence[str], schedds: Mapping[str, str], *, ended: bool = True
    ) -> tuple[list[CondorJob], dict[str, SchedulerUnavailable]]:
        """Return these jobs from queues and, where they have left those, from histories; and those
        of schedds that do not answer, with why.

        A schedd that the collector does not know has no jobs, unless the collector is young.
        """
        by_schedd: dict[str, list[str]] = {}
        for job_id in job_ids:
            number, _, schedd = job_id.partition("@")
            by_schedd.setdefault(schedd, []).append(number)
        found: list[CondorJob] = []
        silence: dict[str, SchedulerUnavailable] = {}
        for schedd, numbers in by_schedd.items():
            try:
                jobs = self._of_schedd(schedd, numbers, known=schedd in schedds, ended=ended)
            except SchedulerUnavailable as error:
                silence |= {f"{number}@{schedd}": error for number in numbers}
                continue
            found += [job for job in jobs if job.job_id in job_ids]
        return found, silence

    def _of_schedd(
        self, schedd: str, numbers: Sequence[str], *, known: bool, ended: bool
    ) -> list[CondorJob]:
        if not known:
            self._pool.refuse_young_collector(f"the collector knows no schedd {schedd}")
            return []
        ads = self.in_queue(schedd, numbers, JOB)
        jobs = [job for ad in ads if (job := job_of(schedd, ad))]
        there = {job.job_id for job in jobs}
        gone = [number for number in numbers if f"{number}@{schedd}" not in there]
        return jobs + self._ended(schedd, gone) if gone and ended else jobs

    def in_queue(
        self, schedd: str, jobs: Iterable[str], names: Sequence[str]
    ) -> list[condor_ad.Ad]:
        numbers = sorted(jobs)
        return [
            ad
            for start in range(0, len(numbers), PER_QUESTION)
            for ad in self._pool.jobs(
                schedd,
                condor_ad.these_jobs(numbers[start : start + PER_QUESTION]),
                names,
                PER_QUESTION,
            )
        ]

    def _ended(self, schedd: str, numbers: Sequence[str]) -> list[CondorJob]:
        """Return jobs that have left the queue. They are over, whether the history says how or
        not: one that cannot be read must not keep leases open."""
        where, count = condor_ad.these_jobs(numbers[:PER_QUESTION]), len(numbers[:PER_QUESTION])
        try:
            ads = self._pool.history(schedd, where, JOB, count, HISTORY_S)
        except SchedulerUnavailable as error:
            log.warning("how jobs ended is not known: %s", error)
            return []
        return [job for ad in ads if (job := job_of(schedd, ad))]
