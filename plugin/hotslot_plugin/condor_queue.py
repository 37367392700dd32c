"""Who waits in schedds' queues for this host's workers, first come first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hotslot.model import Waiting
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad
from hotslot_plugin.condor_job import CPUS_MAX, VANILLA

WAITING_MAX = 100
"""More waiting jobs than this make no difference to what a host offers."""

LOOKED_AT = 400
"""Jobs of one schedd that are looked at, in the order of their numbers."""

WHERE = f"JobStatus == 1 && JobUniverse == {VANILLA} && Requirements =!= false"
"""Jobs that wait for a machine. Requirements that are false whatever the machine are seen; what
they ask of a machine is not looked at, nor are memory, disk, concurrency limits, quotas and
priorities of users. Of a factory (max_materialize) those are counted that the schedd has made."""

NAMES = (
    "ClusterId",
    "ProcId",
    "Owner",
    "JobPrio",
    "QDate",
    "EnteredCurrentStatus",
    "RequestCpus",
    "RequestMemory",
)


def waiting(found: Mapping[str, Sequence[Ad]], cpus_max: int) -> tuple[Waiting, ...]:
    """Return the jobs that wait, of all schedds; those that no worker is large enough for are not
    counted. A user's own are in the order of JobPrio, in the places that the user's jobs have."""
    jobs = [(schedd, ad) for schedd, ads in found.items() for ad in ads]
    jobs = [(schedd, ad) for schedd, ad in jobs if _cpus(ad) <= cpus_max]
    first_come = sorted(jobs, key=lambda job: _since(job[1]))
    by_user: dict[tuple[str, str], list[tuple[str, Ad]]] = {}
    for schedd, ad in first_come:
        by_user.setdefault((schedd, condor_ad.text(ad, "Owner")), []).append((schedd, ad))
    for own in by_user.values():
        own.sort(key=lambda job: (-_priority(job[1]), _since(job[1])))
    turns = [by_user[s, condor_ad.text(ad, "Owner")].pop(0) for s, ad in first_come]
    return tuple(told for s, ad in turns if (told := _waiting(s, ad)))[:WAITING_MAX]


def _waiting(schedd: str, ad: Ad) -> Waiting | None:
    cluster, proc = condor_ad.whole(ad, "ClusterId"), condor_ad.whole(ad, "ProcId")
    job_id = f"{cluster}.{proc}@{schedd}"
    if not condor_ad.JOB_ID.fullmatch(job_id):
        return None
    return Waiting(job_id, _cpus(ad), _since(ad))


def _cpus(ad: Ad) -> int:
    return min(CPUS_MAX, max(1, condor_ad.whole(ad, "RequestCpus") or 1))


def _since(ad: Ad) -> float:
    """Since the job is idle: a job that was released waits anew."""
    since = condor_ad.number(ad, "EnteredCurrentStatus") or condor_ad.number(ad, "QDate")
    return since or 0.0


def _priority(ad: Ad) -> int:
    value = ad.get("JobPrio")
    return value if isinstance(value, int) and abs(value) < 2**31 else 0
