"""What a host's ledger says, in sentences: who has what, who lends, who waits for what; pure."""

from __future__ import annotations

from collections.abc import Iterator

from hotslot.accounts import Foretold, HostAccount, Queued
from hotslot.report.ledger import part_of
from hotslot.report.status import Status
from hotslot.report.words import duration, few, many, percent, short

MOST_LOANS = 10
"""So many borrowers are told of, each in a sentence."""

LONGEST_REASON = 400
"""Characters of a reason or a problem that are shown: some come from other programs."""


def host_sentences(status: Status) -> Iterator[str]:
    """Yield the host's ledger, what is lent, kept and offered, who waits, and what stands still."""
    name = f"Host {short(status.host, 64)} has {many(status.cores, 'core')}"
    if status.ledger is None:
        yield f"{name}; the agent is of a version that keeps no ledger."
    else:
        yield from _ledger(name, status.ledger)
        yield from _lent(status)
        yield from _kept(status.ledger)
    yield from _offered(status)
    yield from offers_sentences(status)
    for one in status.schedulers:
        if one.silent_since is not None:
            silent = duration(status.at - one.silent_since)
            yield f"{short(one.name)} gives no answer for {silent}; running jobs go on."


def offers_sentences(status: Status, whose: str = "") -> Iterator[str]:
    """Yield who waits and for what, and why offers do not move; ``whose``: ``other `` jobs."""
    one, more = f"{whose}job waits", f"{whose}jobs wait"
    waiting = sum(status.waiting_jobs.values())
    if status.queue:
        first = status.queue[0]
        waiting = max(waiting, len(status.queue))
        next_ = f"job {short(first.job, 32)} ({many(first.cpus * first.workers, 'CPU')})"
        yield (
            f"{many(waiting, one, more)} for CPUs; the next, {next_}, can start {lacking(first)}."
        )
    elif waiting:
        yield f"{many(waiting, one, more)} for CPUs."
    else:
        yield f"No {one} for CPUs."
    if status.offers_problem:
        yield f"Offers stay as they are: {said(status.offers_problem)}."


def said(words: str) -> str:
    """Return others' words to stand at a sentence's end."""
    return short(words, LONGEST_REASON).rstrip(".")


def lacking(one: Queued) -> str:
    """Return when a job can start, to stand behind ``can start``."""
    wants = []
    if one.missing_cpus:
        wants.append(many(one.missing_cpus, "more CPU is free", "more CPUs are free"))
    if one.missing_workers:
        size = many(one.cpus, "vCPU")
        wants.append(
            f"a worker that can have {size} has no job"
            if one.missing_workers == 1
            else f"{one.missing_workers} workers that can have {size} have no job"
        )
    return (
        f"when {' and '.join(wants)}"
        if wants
        else "as soon as its scheduler has been told and looks"
    )


def _ledger(name: str, ledger: HostAccount) -> Iterator[str]:
    more = ledger.capacity_vcpus - ledger.cores
    beyond = f", {more} more than cores: that many were idle within grants" if more > 0 else ""
    yield f"{name}; {many(ledger.capacity_vcpus, 'vCPU')} may be granted{beyond}."
    has = [f"owners have {part_of(ledger.owners_vcpus, ledger.returned_vcpus)} that they asked for"]
    if ledger.borrowers_vcpus + ledger.unfilled_vcpus:
        has.append(f"borrowers {part_of(ledger.borrowers_vcpus, ledger.unfilled_vcpus)}")
    if ledger.grown_vcpus:
        has.append(f"jobs have {ledger.grown_vcpus} beyond requests")
    if ledger.idle_vcpus:
        has.append(f"workers without a job have {ledger.idle_vcpus}")
    used = f"{ledger.used_cores:.2f} cores are used"
    yield f"Granted are {ledger.granted_vcpus}: {', '.join(has)}; {used}."
    if ledger.over_vcpus:
        yield (
            f"{many(ledger.over_vcpus, 'vCPU is', 'vCPUs are')} granted beyond what may be: "
            "floors, or what is being unplugged."
        )


def _lent(status: Status) -> Iterator[str]:
    ledger = status.ledger
    if ledger is None:
        return
    for loan in ledger.loans[:MOST_LOANS]:
        job = f"Job {short(loan.job, 32)} ({short(loan.worker, 64)})"
        whom = f"the job{'s' * (len(loan.lenders) > 1)} on {few(loan.lenders, longest=64)}"
        yield f"{job} runs {many(loan.vcpus, 'vCPU')} on cores lent by {whom}."
    left = ledger.loans[MOST_LOANS:]
    if left:
        vcpus = sum(loan.vcpus for loan in left)
        others = many(len(left), "other job runs", "other jobs run")
        yield f"{others} {many(vcpus, 'vCPU')} on lent cores."


def _kept(ledger: HostAccount) -> Iterator[str]:
    if not ledger.lending:
        yield "Cores that jobs do not use are not lent: lending.enabled is false."
        return
    ahead = ledger.forecast
    free = ledger.reserved_vcpus + ledger.headroom_vcpus
    yield (
        f"Free are {many(free, 'vCPU')}: {ledger.headroom_vcpus} can be lent, "
        f"{ledger.reserved_vcpus} are kept for jobs."
    )
    yield (
        f"Jobs may want back {many(ahead.kept_vcpus, 'vCPU')} within {duration(ahead.horizon_s)}; "
        f"{_was_wrong(ahead)}."
    )


def _was_wrong(ahead: Foretold) -> str:
    meant = f"at most {percent(ahead.risk)} is meant"
    if not ahead.spans:
        return f"no such forecast is over yet, {meant} to be exceeded"
    part = percent(ahead.exceeded_spans / ahead.spans)
    times = f"{ahead.exceeded_spans:,} of {ahead.spans:,} times"
    return f"it was more than foreseen in {times} ({part}; {meant})"


def _offered(status: Status) -> Iterator[str]:
    for name in dict.fromkeys(one.scheduler for one in status.offers):
        mine = [one for one in status.offers if one.scheduler == name]
        used = sum(one.used_cpus for one in mine)
        open_ = sum(one.promised_cpus for one in mine) - used
        more = f"may start jobs on {many(open_, 'more CPU')}" if open_ else "may start no more jobs"
        yield f"{short(name)} uses {many(used, 'CPU')} and {more}."
