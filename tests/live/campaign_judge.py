"""Was anything lost? Each claim is a function from the story to the problems found; pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from hotslot.model import Lease, Level
from live.campaign_plan import SUFFERS, Act, FaultKind, Suffers
from live.campaign_sizes import (
    SLACK_CORE_S,
    sizes_disagree,
    too_many_granted,
    unbalanced_minutes,
    unmeasured_core_s,
)
from live.campaign_story import Injected, JobEnd, Story

BEFORE_S = 6.0
"""A fault may have ended a job that ended so long before: slurmctld had not saved that."""

AFTER_S = 45.0
"""Or so long after it was mended: schedulers notice late."""

FINAL_WITHIN_S = 15.5
"""Each attempt has its result: the deadline, and what it takes to read back."""

OVERTAKEN_S = 120.0
"""A job starts within this time after a later one of its scheduler, no smaller, has started."""

FIRST_S = 600.0
"""Whoever came first of its scheduler's waiting jobs starts within this time.

Long, since Slurm lets jobs that ask for less pass one that waits for its QOS's limit.
"""

SHORT_S = 5.0
"""A run that was ended by others within this time may have ended before its hook was heard."""

SHARED_S = 0.25
"""Of samples one after the other: what two clocks may differ by in one look at a worker."""

MATCHED_S = 8.0
"""HTCondor counts a start from the match on: so long it may take until its hook was answered."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that hotslot lost, broke or left; ``at`` in epoch s, None: at no one moment."""

    claim: str
    words: str
    at: float | None = None


Claim = Callable[[Story], Iterator[Problem]]


def judge(story: Story) -> list[Problem]:
    """Return what is wrong, in order of time."""
    found = [problem for claim in CLAIMS for problem in claim(story)]
    return sorted(found, key=lambda problem: problem.at or 0.0)


# --- jobs -------------------------------------------------------------------------------------


def all_is_over(story: Story) -> Iterator[Problem]:
    """The queues were empty and all was idle in the end."""
    for words in story.left:
        yield Problem("all ends", words, story.ended)


def no_job_vanishes(story: Story) -> Iterator[Problem]:
    """Each job that a scheduler took is in its accounting, and over."""
    there = {(job.scheduler, job.job_id.partition("@")[0]) for job in story.jobs}
    for one in story.submitted:
        unsaved = any(
            fault.kind is FaultKind.SLURMCTLD_KILLED
            and fault.began <= one.taken_at + 10
            and one.asked_at <= fault.ended
            for fault in story.faults
        )
        if (one.job.scheduler, one.job_id) not in there and not unsaved:
            yield Problem("no job vanishes", f"{one.job.name} ({one.job_id})", one.taken_at)
    for job in story.jobs:
        if not job.state:
            yield Problem("no job vanishes", f"{job.name} has no end", job.submitted_at)
        if job.held_by_system:
            words = f"{job.name} was held by the system {job.held_by_system} times"
            yield Problem("no job is held", words, job.ended_at)


def jobs_end_as_planned(story: Story) -> Iterator[Problem]:
    """A job that ends otherwise has met a fault which ends jobs by its nature."""
    for job in story.jobs:
        if unplanned(story, job) and not causes(story, job):
            words = f"{job.name} ({job.job_id}) is {job.state}, exit code {job.exit_code}"
            yield Problem("jobs end as planned", words, job.ended_at)


def unplanned(story: Story, job: JobEnd) -> bool:
    """Return whether a job that is over ended otherwise than planned."""
    planned = {one.name: one for one in story.plan.jobs}[job.name]
    if not job.state:
        return False
    if job.state == "CANCELLED":
        return planned.act not in (Act.CANCEL, Act.CANCEL_WAITING)
    if planned.exit_code:
        return (job.state, job.exit_code) != ("FAILED", planned.exit_code)
    return job.state != "COMPLETED"


def causes(story: Story, job: JobEnd) -> list[Injected]:
    """Return the faults that may have ended a job by their nature."""
    return [fault for fault in story.faults if _may_end(story, fault, job)]


def _may_end(story: Story, fault: Injected, job: JobEnd) -> bool:
    suffers = SUFFERS.get(fault.kind, Suffers.NOBODY)
    if suffers is Suffers.NOBODY:
        return False
    until = job.ended_at or story.ended
    if until < fault.began - BEFORE_S or job.submitted_at > fault.ended + AFTER_S:
        return False
    if suffers is Suffers.SLURM:
        return job.scheduler == "slurm"
    if not fault.worker:  # a shadow: one of HTCondor's
        return job.scheduler == "htcondor"
    places = {run.worker for run in job.runs if _near(fault, run.started_at, run.ended_at)}
    places |= {
        lease.placement.worker
        for lease in leases_of(story, job)
        if _near(fault, lease.opened_at, lease.closed_at)
    }
    return fault.worker in places


def _near(fault: Injected, started: float, ended: float | None) -> bool:
    return started <= fault.ended + AFTER_S and (ended or fault.ended) >= fault.began - BEFORE_S


# --- leases -----------------------------------------------------------------------------------


def leases_of(story: Story, job: JobEnd) -> list[Lease]:
    """Return a job's leases, oldest first."""
    mine = [
        lease
        for lease in story.leases
        if (lease.placement.scheduler, lease.placement.job_id) == (job.scheduler, job.job_id)
    ]
    return sorted(mine, key=lambda lease: lease.opened_at)


def each_run_has_its_lease(story: Story) -> Iterator[Problem]:
    """A run that came to its own end has one lease, and no run has two."""
    for job in story.jobs:
        mine = leases_of(story, job)
        keys = [lease.placement.key for lease in mine]
        if len(set(keys)) < len(keys):
            words = f"{job.name} ({job.job_id}): a run has two leases"
            yield Problem("one lease a run", words, job.ended_at)
        lacking = _runs_without(job, mine)
        if lacking and not causes(story, job):
            words = f"{job.name} ({job.job_id}), {job.state}: {lacking}"
            yield Problem("one lease a run", words, job.ended_at)


def _runs_without(job: JobEnd, mine: list[Lease]) -> str:
    """Say which runs have no lease; '' when each has."""
    if job.scheduler == "htcondor":
        if job.state in ("COMPLETED", "FAILED") and not mine:
            return "it ran, and has no lease"
        if job.state == "CANCELLED" and job.starts == 1 and _was_brief(job):
            return ""
        return f"{job.starts} starts, {len(mine)} leases" if job.starts > len(mine) else ""
    for run in job.runs:
        ended = run.ended_at if run.ended_at is not None else run.started_at
        own_end = run.state in ("COMPLETED", "FAILED") or ended - run.started_at > SHORT_S
        there = any(
            lease.placement.worker == run.worker
            and lease.opened_at <= ended + 3
            and (lease.closed_at or ended) >= run.started_at - 3
            for lease in mine
        )
        if own_end and run.state != "NODE_FAIL" and not there:
            return f"its run on {run.worker} has no lease"
    return ""


def _was_brief(job: JobEnd) -> bool:
    """Whether a job of HTCondor may have been removed before its hook was answered: whoever is
    being removed then gets no lease.
    """
    if job.first_start is None or job.ended_at is None:
        return True
    return job.ended_at - job.first_start <= MATCHED_S


def leases_know_the_end(story: Story) -> Iterator[Problem]:
    """A job's last lease has its scheduler's word for how it ended."""
    for job in story.jobs:
        mine = leases_of(story, job)
        if not mine or not job.state:
            continue
        outcome = mine[-1].placement.outcome
        word = job.state
        if job.scheduler == "htcondor":
            word = "REMOVED" if job.state == "CANCELLED" else "COMPLETED"
        elif job.runs and job.runs[-1].worker != mine[-1].placement.worker:
            continue  # the last run ended before its hook was heard
        if (
            not outcome.startswith(word)
            and not _waited_when_removed(job)
            and not causes(story, job)
        ):
            words = f"{job.name} ({job.job_id}) is {job.state}, its lease says {outcome!r}"
            yield Problem("leases know the end", words, job.ended_at)


def _waited_when_removed(job: JobEnd) -> bool:
    """A job that was put back, and cancelled while it waited, has leases of earlier runs only."""
    return job.state == "CANCELLED"


def leases_are_closed_and_apart(story: Story) -> Iterator[Problem]:
    """None is open in the end; two of one worker never share a moment."""
    by_worker: dict[str, list[Lease]] = defaultdict(list)
    for lease in sorted(story.leases, key=lambda lease: lease.opened_at):
        by_worker[lease.placement.worker].append(lease)
        if lease.closed_at is None:
            words = f"lease {lease.id} of {lease.placement.job_id}"
            yield Problem("no lease is left open", words, lease.opened_at)
    for worker, there in by_worker.items():
        for one, other in pairwise(there):
            if one.closed_at is not None and one.closed_at > other.opened_at:
                words = f"leases {one.id} and {other.id} on {worker}"
                yield Problem("leases are apart", words, other.opened_at)


def lease_times_never_go_back(story: Story) -> Iterator[Problem]:
    """As it is written: no lease ends before it begins, and no sample reaches into another one.

    Whoever set the clock: each second of a lease is there once.
    """
    written = story.as_written or story
    for lease in written.leases:
        called = f"lease {lease.id} on {lease.placement.worker}"
        if lease.closed_at is not None and lease.closed_at < lease.opened_at:
            yield Problem("no lease's time goes back", f"{called} ends before it begins")
        for one, other in pairwise(written.samples.get(lease.id, ())):
            shared_s = one.at - (other.at - other.interval_s)
            if shared_s > SHARED_S:
                words = f"{called}: two samples share {shared_s:.2f} s at {other.at:.1f}"
                yield Problem("no lease's time goes back", words)


# --- record, events, nodes --------------------------------------------------------------------


def record_adds_up(story: Story) -> Iterator[Problem]:
    """What ``hotslot verify`` finds, but for what killed VMs left in the ledger alone."""
    held = sum(lease.totals.held_core_s for lease in story.leases)
    ledger = sum(entry.held_core_s for entry in story.ledger)
    killed = bool(unmeasured_core_s(story)) and abs(held - ledger) <= (
        max(SLACK_CORE_S, 0.001 * held) + unmeasured_core_s(story)
    )
    for finding in story.findings:
        excused = killed and finding.subject.startswith("held by")
        if finding.level is not Level.OK and not excused:
            yield Problem("the record adds up", f"{finding.subject}: {finding.found}")


def sizes_balance(story: Story) -> Iterator[Problem]:
    """Samples, events and the host's ledger tell of the same sizes, at every second."""
    for at, words in (*sizes_disagree(story), *unbalanced_minutes(story)):
        yield Problem("held + idle = granted", words, at)


def cores_are_granted_once(story: Story) -> Iterator[Problem]:
    """Jobs' workers never have more vCPUs than the host has cores, floors apart."""
    for at, words in too_many_granted(story):
        yield Problem("granted within the cores", words, at)


def events_end_in_time(story: Story) -> Iterator[Problem]:
    """Each attempt has its result within 15 s; time in which the agent was stopped is not its."""
    for event in story.events:
        stopped = sum(
            max(0.0, min(event.at + event.took_s, fault.ended) - max(event.at, fault.began))
            for fault in story.faults
            if fault.kind is FaultKind.AGENT_HANGS
        )
        if event.took_s - stopped > FINAL_WITHIN_S:
            words = f"{event.worker} {event.from_vcpus} → {event.to_vcpus}: {event.result}"
            yield Problem("events end within 15 s", f"{words} in {event.took_s:.1f} s", event.at)


def nodes_take_jobs(story: Story) -> Iterator[Problem]:
    """No node of Slurm is drained, down or without answer in the end."""
    for node in story.nodes:
        if node.state != "idle":
            yield Problem("no node is drained", f"{node.worker} {node.state}: {node.reason}")


# --- waiting ----------------------------------------------------------------------------------


def nobody_starves(story: Story) -> Iterator[Problem]:
    """See OVERTAKEN_S and FIRST_S; a job counts until its first start, and only if none held it."""
    for job, waited_s in overtaken(story).items():
        if waited_s > OVERTAKEN_S:
            words = f"{job.name} ({job.cpus}) started {waited_s:.0f} s after a later one no smaller"
            yield Problem("nobody starves", words, job.first_start)
    for job, waited_s in longest_first(story).items():
        if waited_s > FIRST_S:
            words = f"{job.name} ({job.cpus}) was first in its queue for {waited_s:.0f} s"
            yield Problem("nobody starves", words, job.first_start)


def waiting_freely(story: Story) -> list[JobEnd]:
    """Return the jobs that started and that nobody held before, by when they were submitted."""
    held = {job.name for job in story.plan.jobs if job.act is Act.HOLD}
    jobs = [job for job in story.jobs if job.first_start is not None and job.name not in held]
    return sorted(jobs, key=lambda job: job.submitted_at)


def overtaken(story: Story) -> dict[JobEnd, float]:
    """Return for each job how long before it a later one of its kind, no smaller, started, in s."""
    jobs = waiting_freely(story)
    found = {}
    for n, job in enumerate(jobs):
        started = job.first_start or 0.0
        before = [
            started - (other.first_start or 0.0)
            for other in jobs[n + 1 :]
            if (other.scheduler, other.submitted_at > job.submitted_at) == (job.scheduler, True)
            and other.cpus >= job.cpus
            and (other.first_start or 0.0) < started
        ]
        if before:
            found[job] = max(before)
    return found


def longest_first(story: Story) -> dict[JobEnd, float]:
    """Return for each job how long it was first of its scheduler to have come, in s."""
    found = {}
    for scheduler in ("slurm", "htcondor"):
        jobs = [job for job in waiting_freely(story) if job.scheduler == scheduler]
        free_at = 0.0
        for job in jobs:
            started = job.first_start or 0.0
            found[job] = max(0.0, started - max(job.submitted_at, free_at))
            free_at = max(free_at, started)
    return found


CLAIMS: tuple[Claim, ...] = (
    all_is_over,
    no_job_vanishes,
    jobs_end_as_planned,
    each_run_has_its_lease,
    leases_know_the_end,
    leases_are_closed_and_apart,
    lease_times_never_go_back,
    record_adds_up,
    sizes_balance,
    cores_are_granted_once,
    events_end_in_time,
    nodes_take_jobs,
    nobody_starves,
)
