"""Collect what a campaign left: from sacct, condor_history, sinfo and the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hotslot.model import Event, EventResult
from hotslot.record.history import History
from hotslot.verify import verify
from live.campaign_clock import in_true_time
from live.campaign_cluster import CampaignCluster
from live.campaign_plan import Plan
from live.campaign_story import Injected, JobEnd, NodeEnd, Run, Story, Submitted
from live.condor_cluster import COMPLETED, REMOVED

MOST_LEASES = 100_000

_IDLE_EVENTS = (
    "SELECT worker, at, from_vcpus, to_vcpus, got_vcpus, reason, result, detail, detected_at, "
    "command_s, online_s, took_s FROM idle_event_log ORDER BY at"
)


def gather(
    cluster: CampaignCluster,
    plan: Plan,
    began: float,
    submitted: Sequence[Submitted],
    faults: Sequence[Injected],
    left: Sequence[str],
) -> Story:
    """Return the story, once all is idle."""
    cores = int(cluster.json("status")["ledger"]["cores"])
    left = [*left, *_unwritten(cluster)]
    audited = cluster.hotslot("audit", "verify", check=False)
    broken = [f"hotslot audit verify: {audited.stdout}"] if audited.returncode else []
    nodes = tuple(_nodes(cluster))
    jobs = (*_slurm_jobs(cluster.slurm_runs()), *_condor_jobs(cluster))
    with History(cluster.copy_record()) as history:
        leases = (*history.closed_leases(MOST_LEASES), *history.open_leases())
        samples = {lease.id: tuple(history.samples(lease.id)) for lease in leases}
        events = [event for lease in leases for event in history.events(lease.id)]
        events += [_idle_event(row) for row in history.select(_IDLE_EVENTS)]
        ledger = tuple(history.ledger(0, 1e12))
        findings = tuple(verify(history))
    ends = [lease.closed_at for lease in leases if lease.closed_at]
    told = Story(
        plan=plan,
        cores=cores,
        began=began,
        ended=max([began + plan.seconds, *ends]),
        submitted=tuple(submitted),
        jobs=jobs,
        faults=tuple(faults),
        leases=leases,
        samples=samples,
        events=tuple(sorted(events, key=lambda event: event.at)),
        ledger=ledger,
        findings=findings,
        nodes=nodes,
        left=(*left, *broken),
    )
    return in_true_time(told)


def _unwritten(cluster: CampaignCluster) -> Iterable[str]:
    """Say what the agent's record lacks, once all is mended."""
    state = cluster.record_state()
    if state.get("condition") != "ok" or state["refused_records"]:
        yield f"the agent says of its record: {state}"


def _nodes(cluster: CampaignCluster) -> Iterable[NodeEnd]:
    said = cluster.bed.run(["sinfo", "-h", "-N", "-o", "%N|%T|%E"], user="root").stdout
    for line in said.splitlines():
        yield NodeEnd(*line.split("|", 2))


def _slurm_jobs(rows: Iterable[dict[str, str]]) -> Iterable[JobEnd]:
    by_job: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        by_job[row["JobIDRaw"]].append(row)
    for job_id, runs in by_job.items():
        last = runs[-1]
        ran = [
            _run(row)
            for row in runs
            if row["Start"].isdigit() and row["NodeList"] != "None assigned"
        ]
        code = last["ExitCode"].split(":")[0]
        yield JobEnd(
            name=last["JobName"],
            scheduler="slurm",
            job_id=job_id,
            cpus=int(last["AllocCPUS"]),
            submitted_at=min(float(row["Submit"]) for row in runs),
            first_start=min((run.started_at for run in ran), default=None),
            ended_at=_epoch(last["End"]),
            state=last["State"].split()[0],
            exit_code=int(code) if code.isdigit() else None,
            runs=tuple(ran),
        )


def _run(row: dict[str, str]) -> Run:
    return Run(row["NodeList"], float(row["Start"]), _epoch(row["End"]), row["State"].split()[0])


def _epoch(text: str) -> float | None:
    return float(text) if text.isdigit() else None


def _condor_jobs(cluster: CampaignCluster) -> Iterable[JobEnd]:
    schedd = cluster.schedd
    for ad in (*cluster.condor_ended(), *cluster.condor_queue()):
        if ad.get("JobBatchName"):
            yield _condor_job(ad, schedd)


def _condor_job(ad: dict[str, Any], schedd: str) -> JobEnd:
    state = {REMOVED: "CANCELLED", COMPLETED: "COMPLETED"}.get(int(ad["JobStatus"]), "")
    code = ad.get("ExitCode")
    if state == "COMPLETED" and code != 0:
        state = "FAILED"
    ended = ad.get("CompletionDate") or ad.get("EnteredCurrentStatus")
    started = ad.get("JobStartDate")
    return JobEnd(
        name=str(ad["JobBatchName"]),
        scheduler="htcondor",
        job_id=f"{ad['ClusterId']}.{ad['ProcId']}@{schedd}",
        cpus=int(ad["RequestCpus"]),
        submitted_at=float(ad["QDate"]),
        first_start=float(started) if started else None,
        ended_at=float(ended) if ended and state else None,
        state=state,
        exit_code=int(code) if code is not None else None,
        starts=int(ad.get("NumJobStarts", 0)),
        held_by_system=int(ad.get("NumSystemHolds", 0)),
    )


def _idle_event(row: Sequence[Any]) -> Event:
    worker, at, from_vcpus, to_vcpus, got, reason, result, detail, detected, *times = row
    command_s, online_s, took_s = times
    return Event(
        worker=worker,
        lease_id=None,
        at=at,
        from_vcpus=from_vcpus,
        to_vcpus=to_vcpus,
        got_vcpus=got,
        reason=reason,
        result=EventResult(result),
        detail=detail,
        detected_at=detected,
        command_s=command_s,
        online_s=online_s,
        took_s=took_s,
    )
