"""Why a job, a worker or the host has what it has now, in sentences: ``hotslot explain``; pure.

All is of one moment: the agent's answer to ``GET /v1/status``. Reasons are the policy's and the
arbiter's own words, as they stand in the log and the record.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Group, RenderableType
from rich.text import Text

from hotslot.accounts import HostAccount, Loan
from hotslot.model import Lease
from hotslot.report.called import runs_as, waits_as
from hotslot.report.explain_host import host_sentences, lacking, offers_sentences, said
from hotslot.report.status import Status, WorkerStatus
from hotslot.report.words import duration, few, many, short

Kind = Literal["job", "worker", "waiting", "host", "over"]


@dataclass(frozen=True, slots=True)
class Explanation:
    """What was asked about, and the answer; ``about`` is a job's id or the name of the rest.
    ``worker``: where it is, None for the host and for who waits."""

    kind: Kind
    about: str
    worker: str | None
    sentences: tuple[str, ...]


def explain(status: Status, about: str = "") -> list[Explanation]:
    """Explain what is called so: the host (also ''), a worker or its VM, a job; [] if nothing is.

    Jobs are named as ``hotslot job`` takes them: the id, an array's (all tasks), one task's, or the
    part of an id before ``@``. A job has an answer for each of its workers.
    """
    if about in ("", status.host):
        return [Explanation("host", status.host, None, tuple(host_sentences(status)))]
    if here := [one for one in status.workers if about in (one.worker, one.vm)]:
        return [_of_worker(status, one) for one in here]
    running = runs_as(status.workers, about)
    first = {one.job: n for n, one in reversed([*enumerate(status.queue)])}
    waiting = sorted(n for job, n in first.items() if waits_as(job, about))
    return [
        *(_of_worker(status, one) for one in running),
        *(
            Explanation("waiting", status.queue[n].job, None, tuple(_waiting(status, n)))
            for n in waiting
        ),
    ]


def _of_worker(status: Status, one: WorkerStatus) -> Explanation:
    if one.job is None:
        return Explanation("worker", one.worker, one.worker, tuple(_idle(one)))
    return Explanation("job", one.job, one.worker, tuple(_job(status, one)))


def _idle(one: WorkerStatus) -> Iterator[str]:
    name = f"Worker {short(one.worker, 64)}"
    if not one.up:
        yield f"{name} has no job, and its VM is not measured: it takes none."
    else:
        yield f"{name} has no job and holds {many(one.granted_vcpus or 0, 'vCPU')}."
        yield from _why(one)
    yield from _troubles(one)


def _job(status: Status, one: WorkerStatus) -> Iterator[str]:
    """Yield what a job has, why, whose cores it runs on, and who waits beside it."""
    yield _holds(status.at, one)
    yield from _why(one)
    yield from _changed(status.at, one)
    yield from (_asked(words) for words in one.asked or ())
    if one.target_vcpus is not None:
        yield from _entitled(status, one)
    yield from _troubles(one)
    yield from offers_sentences(status, "other ")


def _holds(now: float, one: WorkerStatus) -> str:
    asked, has = one.requested_vcpus or 0, one.granted_vcpus or 0
    entitled = asked if one.entitled_vcpus is None else one.entitled_vcpus
    whose = f"job {short(one.job, 32)} of {short(one.user, 32)} ({short(one.job_name, 40)})"
    built = "" if entitled == asked else f" (its worker is built for {entitled} of them)"
    holds = f"has {has} of them"
    if has == entitled:
        holds = "has them all" if has > 1 else "has it"
    elif has > entitled:
        holds = f"has {has}, {has - entitled} more"
    used = "" if one.used_cores is None else f" and uses {one.used_cores:.2f} cores"
    age = "" if one.opened_at is None else f"; it runs for {duration(now - one.opened_at)}"
    words = f"{whose} on {short(one.worker, 64)} asked for {many(asked, 'CPU')}{built}"
    return f"{words[:1].upper()}{words[1:]}, {holds}{used}{age}."


def _why(one: WorkerStatus) -> Iterator[str]:
    if not one.decision:
        return
    if one.decided_vcpus is None or one.decided_vcpus == one.granted_vcpus:
        yield f"Why: {said(one.decision)}."
    else:
        yield f"It is to have {one.decided_vcpus}: {said(one.decision)}."


def _changed(now: float, one: WorkerStatus) -> Iterator[str]:
    """Say what its last change was, if that was in this job's time."""
    then, has = one.changed_from_vcpus, one.granted_vcpus
    if then is None or has is None or one.changed_at is None or then == has:
        return
    if one.opened_at is not None and one.changed_at < one.opened_at:
        return
    what = "plugged" if has > then else "taken back" if _is_short(one) else "given back"
    amount = many(abs(has - then), "vCPU")
    was = "was" if abs(has - then) == 1 else "were"
    yield f"{amount} {was} {what} {duration(now - one.changed_at)} ago."


def _asked(words: str) -> str:
    who = "What its owner asked" if words.startswith("does not hold") else "It"
    return f"{who} {said(words)}."


def _entitled(status: Status, one: WorkerStatus) -> Iterator[str]:
    """Say whether it owns or borrows, from or to whom, and what it is short of."""
    loans = status.ledger.loans if status.ledger else ()
    if one.borrows:
        yield (
            "It borrows: without lending it would still wait. It comes to own its request as older "
            "jobs end."
        )
        mine = [loan for loan in loans if loan.worker == one.worker]
        yield from (_borrowed(status, one, loan) for loan in mine)
        if not mine:
            yield "Nobody else wants the cores that it has now."
    else:
        yield "It owns its request: it would have started without lending, and gets it back first."
        takers = [loan for loan in loans if one.worker in loan.lenders]
        if takers:
            jobs = few([f"{loan.job} ({loan.worker})" for loan in takers], longest=64)
            lent = sum(loan.vcpus for loan in takers)
            alone = all(len(loan.lenders) == 1 for loan in takers)
            whose = "it" if alone else "it and other owners"
            yield f"What {whose} gave back serves job {jobs}: {many(lent, 'vCPU')}."
    if _is_short(one):
        yield f"It wants {one.wish_vcpus} and is due {one.target_vcpus} of them for now."
    if one.clawback:
        amount = many(one.clawback_vcpus, "vCPU is", "vCPUs are")
        why = "" if one.clawback in (one.decision or "") else f": {said(one.clawback)}"
        yield f"{amount} being taken back from it{why}."
    if one.to_be_requeued:
        yield "It goes back into its queue if the owners of these cores stay short."


def _is_short(one: WorkerStatus) -> bool:
    """Whether others keep it from what it wants of its request."""
    if one.wish_vcpus is None or one.target_vcpus is None:
        return False
    return one.target_vcpus < min(one.wish_vcpus, one.entitled_vcpus or one.wish_vcpus)


def _borrowed(status: Status, one: WorkerStatus, loan: Loan) -> str:
    """Return from whom a job borrows, and what it keeps when they want it back."""
    known = {worker.worker: worker for worker in status.workers}
    lenders = [known[name] for name in loan.lenders if name in known]
    if len(lenders) == 1:
        (lender,) = lenders
        used = "" if lender.used_cores is None else f", which uses {lender.used_cores:.2f}"
        asked = f" of the {lender.requested_vcpus} that it asked for" if used else ""
        whom = f"job {short(lender.job, 32)} ({short(lender.worker, 64)}){used}{asked}"
        back = "when that job wants them back"
    else:
        whom = f"the jobs on {few(loan.lenders, longest=64)}, which use less than they asked for"
        back = "when those jobs want them back"
    kept = many(one.floor_vcpus or 0, "vCPU")
    runs = many(loan.vcpus, "of its vCPUs is lent", "of its vCPUs are lent")
    return f"{runs} by {whom}; {back}, it keeps at least {kept}."


def _troubles(one: WorkerStatus) -> Iterator[str]:
    if one.job is not None and not one.up:
        yield "Its VM is not measured now: nothing is changed."
    if one.problem:
        yield f"Problem: {said(one.problem)}."


def _waiting(status: Status, at: int) -> Iterator[str]:
    """Yield what a job that waits lacks, and what stands before it."""
    one = status.queue[at]
    where = "" if one.workers == 1 else f" on each of {one.workers} workers"
    waits = duration(max(0.0, status.at - one.since_at))
    whose = f"Job {short(one.job, 32)} ({short(one.scheduler, 32)})"
    yield f"{whose} waits for {many(one.cpus, 'CPU')}{where}, for {waits} by now."
    tasks = sum(other.job == one.job for other in status.queue)
    if tasks > 1:
        yield f"{tasks} of its tasks wait; this is what the first lacks."
    if at:
        yield f"{many(at, 'job waits', 'jobs wait')} before it."
    yield f"It can start {lacking(one)}."
    yield from _not_lent(status.ledger)
    if status.offers_problem:
        yield f"Offers stay as they are: {said(status.offers_problem)}."


def _not_lent(ledger: HostAccount | None) -> Iterator[str]:
    if ledger is None:
        return
    if not ledger.lending:
        yield "Cores that jobs do not use are not lent: lending.enabled is false."
        return
    free = ledger.reserved_vcpus + ledger.headroom_vcpus
    kept = f"; {ledger.reserved_vcpus} are kept for who may want them back"
    yield f"Free are {many(free, 'vCPU')}{kept if ledger.reserved_vcpus else ''}."


def over(now: float, about: str, leases: Sequence[Lease]) -> Explanation:
    """Say of a job that the record knows, but no worker has, what is known; oldest lease first."""
    last = leases[-1]
    name = f"Job {short(about, 80)}"
    if last.closed_at is None:
        words = f"{name} is on no worker of this host now, though its end is not recorded yet."
    else:
        outcome = short(last.placement.outcome or (last.close_reason or "ended"), 40)
        ago = duration(max(0.0, now - last.closed_at))
        words = f"{name} is over: {outcome}, {ago} ago."
    shown = about if re.fullmatch(r"[\w.@-]{1,80}", about) else "ID"
    more = f"`hotslot job {shown}` shows what it asked for, held and used, with each change."
    return Explanation("over", about, None, (words, more))


def explain_page(found: Sequence[Explanation]) -> RenderableType:
    """Return what ``hotslot explain`` shows: a line a sentence, a blank line between answers."""
    lines: list[Text] = []
    for one in found:
        lines += [Text()] * bool(lines)
        first, *others = one.sentences
        lines += [Text(first, style="bold"), *map(Text, others)]
    return Group(*lines)


def as_json(status: Status, found: list[Explanation]) -> dict[str, object]:
    """Return answers for programs, with the moment that they are of."""
    return {
        "host": status.host,
        "at": status.at,
        "explanations": [
            {
                "kind": one.kind,
                "about": one.about,
                "worker": one.worker,
                "sentences": list(one.sentences),
            }
            for one in found
        ],
    }
