"""Putting runs' figures into jobs' ads, and reading back whether they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hotslot.errors import SchedulerError
from hotslot.model import RunSummary
from hotslot.schedulers import NotWritten
from hotslot_plugin import condor_ad, condor_runs
from hotslot_plugin.condor_look import Look
from hotslot_plugin.condor_pool import Pool

WRITE_TRIES = 3
"""Agents of other hosts may write at the same moment: what was lost is written again."""


def write(pool: Pool, summaries: Sequence[RunSummary]) -> None:
    """Write these runs' figures; raises as ``Scheduler.write_back``."""
    by_schedd: dict[str, dict[str, list[RunSummary]]] = {}
    for summary in summaries:
        found = condor_ad.JOB_ID.fullmatch(summary.placement.job_id)
        if found is None:
            raise SchedulerError(f"{summary.placement.job_id!r} is not the id of an HTCondor job")
        condor_ad.named([summary.placement.worker])
        job = f"{found[1]}.{found[2]}"
        by_schedd.setdefault(found[3], {}).setdefault(job, []).append(summary)
    if not by_schedd:
        return
    pool.begin()
    known, look = pool.schedds(), Look(pool)
    problems: dict[tuple[str, str, int, str], str] = {}
    for schedd, jobs in by_schedd.items():
        if schedd in known and (words := _write_to(pool, look, schedd, jobs)):
            problems |= {one.placement.key: words for many in jobs.values() for one in many}
    if problems:
        raise NotWritten(problems)


def _write_to(pool: Pool, look: Look, schedd: str, jobs: Mapping[str, Sequence[RunSummary]]) -> str:
    """Write what is not as it should be, look again, say what remains."""
    left: list[tuple[str, str, str]] = []
    for _ in range(WRITE_TRIES):
        left = []
        for ad in look.in_queue(schedd, jobs, ("ClusterId", "ProcId", *condor_runs.RESULTS)):
            job = f"{condor_ad.whole(ad, 'ClusterId')}.{condor_ad.whole(ad, 'ProcId')}"
            ours = [condor_runs.run_of(summary) for summary in jobs.get(job, ())]
            if ours:
                runs = condor_runs.merged(condor_runs.runs_in(ad), ours)
                wanted = condor_runs.attributes(runs)
                left += [(job, name, wanted[name]) for name in condor_runs.wrong(ad, runs)]
        if not left:
            return ""
        pool.edit(schedd, left)
    if look.in_queue(schedd, [job for job, _, _ in left], ("ClusterId", "ProcId")) == []:
        return ""
    refused = ", ".join(sorted({job for job, _, _ in left})[:8])
    return (
        f"schedd {schedd} does not keep hotslot's figures of {refused}: is the agent in "
        "QUEUE_SUPER_USERS, with its domain, and known to the schedd? see hotslot check"
    )
