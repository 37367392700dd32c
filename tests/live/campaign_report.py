"""A campaign in figures and in words; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

from live.campaign_judge import Problem, causes, longest_first, unplanned
from live.campaign_plan import ALL_KINDS
from live.campaign_sizes import open_at
from live.campaign_story import Injected, Story

BLAMED_S = 30.0
"""A problem within this time after a fault counts as that fault's loss."""

AROUND_S = 25.0
"""What is shown before and after a problem."""

MOST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class FaultRow:
    """Faults of one kind: how many there were, survived, not; jobs that they ended by nature."""

    kind: str
    injected: int
    survived: int
    lost: int
    jobs_ended: int


@dataclass(frozen=True, slots=True)
class Waits:
    """How long jobs waited for their first start, in s."""

    jobs: int
    median_s: float
    p95_s: float
    max_s: float


def fault_rows(story: Story, problems: list[Problem]) -> list[FaultRow]:
    """Return a row for each kind of fault that was injected."""
    ended: Counter[Injected] = Counter()
    for job in story.jobs:
        if unplanned(story, job):
            ended.update(causes(story, job)[:1])
    rows = []
    for kind, by_itself in sorted({(fault.kind, fault.by_itself) for fault in story.faults}):
        called = f"{kind}: by itself" if by_itself else str(kind)
        mine = [
            fault for fault in story.faults if (fault.kind, fault.by_itself) == (kind, by_itself)
        ]
        lost = sum(any(_blamed(fault, problem) for problem in problems) for fault in mine)
        jobs = sum(ended[fault] for fault in mine)
        rows.append(FaultRow(called, len(mine), len(mine) - lost, lost, jobs))
    return rows


def _blamed(fault: Injected, problem: Problem) -> bool:
    return problem.at is not None and fault.began <= problem.at <= fault.ended + BLAMED_S


def waits(story: Story) -> dict[str, Waits]:
    """Return the waits of each scheduler's jobs."""
    found = {}
    for scheduler in ("slurm", "htcondor"):
        spans = sorted(
            job.first_start - job.submitted_at
            for job in story.jobs
            if job.scheduler == scheduler and job.first_start is not None
        )
        if spans:
            p95 = spans[min(len(spans) - 1, int(0.95 * len(spans)))]
            found[scheduler] = Waits(len(spans), median(spans), p95, spans[-1])
    return found


def lent_core_s(story: Story) -> float:
    """Return what running jobs had asked for beyond the cores, added up by seconds."""
    return float(
        sum(
            max(0, sum(lease.request for lease in open_at(story, at)) - story.cores)
            for at in range(int(story.began), int(story.ended) + 1)
        )
    )


def figures(story: Story, problems: list[Problem]) -> dict[str, Any]:
    """Return everything as JSON takes it."""
    jobs = Counter((job.scheduler, job.state or "queued") for job in story.jobs)
    events = Counter(event.result.value for event in story.events)
    return {
        "seed": story.plan.seed,
        "minutes": story.plan.seconds / 60,
        "cores": story.cores,
        "took_s": round(story.ended - story.began, 1),
        "faults": [
            {
                "kind": row.kind,
                "injected": row.injected,
                "survived": row.survived,
                "lost": row.lost,
                "jobs_ended": row.jobs_ended,
            }
            for row in fault_rows(story, problems)
        ],
        "jobs": {f"{scheduler} {state}": n for (scheduler, state), n in sorted(jobs.items())},
        "leases": len(story.leases),
        "events": dict(sorted(events.items())),
        "longest_event_s": round(max((e.took_s for e in story.events), default=0.0), 1),
        "waits": {
            name: {
                "jobs": wait.jobs,
                "median_s": round(wait.median_s, 1),
                "p95_s": round(wait.p95_s, 1),
                "max_s": round(wait.max_s, 1),
            }
            for name, wait in waits(story).items()
        },
        "longest_first_in_queue_s": round(max(longest_first(story).values(), default=0.0), 1),
        "lent_core_s": lent_core_s(story),
        "problems": [
            {"claim": one.claim, "at_s": _after(story, one.at), "words": one.words}
            for one in problems
        ],
    }


def summary(story: Story, problems: list[Problem]) -> str:
    """Return the campaign in one line."""
    told = figures(story, problems)
    rows = told["faults"]
    injected, lost = sum(r["injected"] for r in rows), sum(r["lost"] for r in rows)
    ended = sum(r["jobs_ended"] for r in rows)
    return (
        f"campaign of {told['minutes']:g} min, seed {told['seed']}, {story.cores} cores: "
        f"{len(story.jobs)} jobs in {told['leases']} leases, {injected} faults of {len(rows)} "
        f"kinds, {injected - lost} survived, {lost} lost; {ended} jobs ended by a fault's nature; "
        f"{sum(told['events'].values())} events, the longest {told['longest_event_s']:g} s; "
        f"{told['lent_core_s']:.0f} core-s lent; {len(problems)} problems"
    )


def table(story: Story, problems: list[Problem]) -> str:
    """Return the campaign's figures as text."""
    told = figures(story, problems)
    lines = [f"{'fault':<28}{'injected':>9}{'survived':>9}{'lost':>6}{'jobs ended by nature':>22}"]
    lines += [
        f"{row.kind:<28}{row.injected:>9}{row.survived:>9}{row.lost:>6}{row.jobs_ended:>22}"
        for row in fault_rows(story, problems)
    ]
    lines.append("")
    lines += [f"{n:>6} jobs    {what}" for what, n in told["jobs"].items()]
    lines += [f"{n:>6} events  {what}" for what, n in told["events"].items()]
    lines += [
        f"{name}: {wait.jobs} jobs waited {wait.median_s:.1f} s (median), {wait.p95_s:.1f} s "
        f"(p95), {wait.max_s:.1f} s (max)"
        for name, wait in waits(story).items()
    ]
    lines.append(f"first in its queue for {told['longest_first_in_queue_s']:g} s at most")
    lines.append(f"{told['lent_core_s']:.0f} core-seconds were lent")
    lines.append(summary(story, problems))
    return "\n".join(lines)


def explain(story: Story, problems: list[Problem]) -> str:
    """Return the problems, each with what happened around it."""
    lines = [
        f"seed {story.plan.seed}: make soak SEED={story.plan.seed} "
        f"MINUTES={story.plan.seconds / 60:g}{_kinds(story)}"
    ]
    for one in problems[:MOST_SHOWN]:
        lines += ["", f"{_after(story, one.at)} s  {one.claim}: {one.words}"]
        if one.at is not None:
            lines += [f"    {line}" for line in _timeline(story, one.at)]
    more = len(problems) - MOST_SHOWN
    return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


def _kinds(story: Story) -> str:
    kinds = story.plan.kinds
    return "" if kinds == ALL_KINDS else f' KINDS="{",".join(kinds)}"'


def _after(story: Story, at: float | None) -> float | None:
    return None if at is None else round(at - story.began, 1)


def _timeline(story: Story, around: float) -> list[str]:
    told = [
        (at, words)
        for at, words in _happened(story)
        if around - AROUND_S <= at <= around + AROUND_S
    ]
    return [f"{at - story.began:8.1f}  {words}" for at, words in sorted(told)]


def _happened(story: Story) -> Iterator[tuple[float, str]]:
    for fault in story.faults:
        where = f" on {fault.worker}" if fault.worker else ""
        yield fault.began, f"FAULT {fault.name}{where}"
        yield fault.ended, f"fault {fault.name}{where} is mended"
    for job in story.jobs:
        called = f"{job.scheduler} job {job.name} ({job.job_id}, {job.cpus} CPUs)"
        yield job.submitted_at, f"{called} submitted"
        if job.first_start is not None:
            yield job.first_start, f"{called} starts"
        if job.ended_at is not None:
            yield job.ended_at, f"{called} ends: {job.state} {job.exit_code}"
        for run in job.runs:
            yield run.started_at, f"{called} runs on {run.worker}: {run.state}"
    for lease in story.leases:
        called = f"lease {lease.id} of {lease.placement.job_id} on {lease.placement.worker}"
        yield lease.opened_at, f"{called} opened: {lease.request} CPUs"
        if lease.closed_at is not None:
            yield lease.closed_at, f"{called} closed: {lease.close_reason}"
    for event in story.events:
        words = f"{event.worker} {event.from_vcpus} → {event.to_vcpus}, {event.took_s:.1f} s"
        yield event.at, f"{words}: {event.result} {event.detail}".rstrip()
