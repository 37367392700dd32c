"""``hotslot status`` and ``hotslot workers``: what the agent says of itself, as tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from math import fsum
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.text import Text

from hotslot.accounts import HostAccount, Queued
from hotslot.report.ledger import ledger_lines
from hotslot.report.table import Column, Columns
from hotslot.report.words import NOTHING, cores, count, duration, many, plain, short


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker now; None where there is nothing to say (no job, not measured yet).

    ``entitled_vcpus``: the request as far as the worker was built for it. ``wish`` is its
    policy's, ``target`` and ``grant`` (words) what the arbiter makes of it, ``decision`` what it
    is to have at once. ``borrows``: its job would not run without lending; ``clawback``: why
    ``clawback_vcpus`` are being taken back from it. ``asked``: what its job's owner asked for, in
    words; ``to_be_requeued``: if those that it borrows from stay short.
    """

    worker: str
    vm: str = ""
    up: bool = True
    busy: bool = False
    floor_vcpus: int | None = None
    ceiling_vcpus: int | None = None
    granted_vcpus: int | None = None
    used_cores: float | None = None
    waited_cores: float | None = None
    scheduler: str | None = None
    job: str | None = None
    array_job: str | None = None
    array_task: str | None = None
    het_job: str | None = None
    job_name: str | None = None
    user: str | None = None
    phase: str | None = None
    requested_vcpus: int | None = None
    entitled_vcpus: int | None = None
    opened_at: float | None = None
    wish_vcpus: int | None = None
    wish: str | None = None
    target_vcpus: int | None = None
    borrows: bool = False
    grant: str | None = None
    clawback_vcpus: int = 0
    clawback: str | None = None
    weight: float | None = None
    to_be_requeued: bool = False
    asked: tuple[str, ...] = ()
    changed_from_vcpus: int | None = None
    changed_at: float | None = None
    decision: str | None = None
    decided_vcpus: int | None = None
    decided_at: float | None = None
    problem: str | None = None

    @property
    def condition(self) -> str:
        """``down``, ``changing``, ``running`` (a job) or ``idle``."""
        if not self.up:
            return "down"
        if self.busy:
            return "changing"
        return "running" if self.job is not None else "idle"

    @property
    def words(self) -> str:
        """The worker's problem, or its last decision with its reason."""
        if self.problem:
            return self.problem
        aim = self.decided_vcpus if self.decided_vcpus != self.granted_vcpus else None
        if self.decision is None or aim is None:
            return self.decision or NOTHING
        return f"to {aim}: {self.decision}"


@dataclass(frozen=True, slots=True)
class RecordStatus:
    """How the record is doing."""

    condition: str = "ok"
    behind_s: float = 0.0
    waiting_records: int = 0
    lost_samples: int = 0
    refused_records: int = 0
    last_error: str = ""
    set_aside: str = ""


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """How the audit log is doing; ``last_error`` is '' while all is well."""

    waiting: int = 0
    lost: int = 0
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class SchedulerStatus:
    """When a scheduler was last compared with, and what came of it."""

    name: str = "scheduler"
    silent_since: float | None = None
    compared_at: float | None = None
    compared: str | None = None


@dataclass(frozen=True, slots=True)
class OfferStatus:
    """What a scheduler may use of the host, in CPUs: a group of workers with one limit."""

    scheduler: str
    group: str
    used_cpus: int = 0
    limit_cpus: int = 0
    promised_cpus: int = 0
    answers: bool = True


@dataclass(frozen=True, slots=True)
class Status:
    """One host's agent at one moment."""

    host: str
    at: float
    cores: int
    version: str
    policy: str
    started_at: float
    workers: tuple[WorkerStatus, ...]
    record: RecordStatus
    audit: AuditStatus | None = None
    schedulers: tuple[SchedulerStatus, ...] = ()
    offers: tuple[OfferStatus, ...] = ()
    waiting_jobs: Mapping[str, int] = field(default_factory=dict)
    queue: tuple[Queued, ...] = ()
    offers_problem: str | None = None
    ledger: HostAccount | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Read the agent's answer; keys that this version does not know are left aside.

        Raises ValueError when it is not such an answer.
        """
        try:
            agent = answer["agent"]
            offers = answer.get("offers") or {}
            return cls(
                host=str(answer["host"]),
                at=float(answer["at"]),
                cores=int(answer["cores"]),
                version=str(answer["version"]),
                policy=str(answer["policy"]),
                started_at=float(agent["started_at"]),
                workers=tuple(WorkerStatus(**_known(WorkerStatus, w)) for w in answer["workers"]),
                record=RecordStatus(**_known(RecordStatus, agent["record"])),
                audit=AuditStatus(**_known(AuditStatus, kept))
                if (kept := agent.get("audit"))
                else None,
                schedulers=tuple(
                    SchedulerStatus(**_known(SchedulerStatus, s)) for s in agent["schedulers"]
                ),
                offers=tuple(
                    OfferStatus(**_known(OfferStatus, group)) for group in offers.get("groups", ())
                ),
                waiting_jobs=dict(offers.get("waiting_jobs", {})),
                queue=tuple(Queued(**_known(Queued, one)) for one in offers.get("queue", ())),
                offers_problem=offers.get("problem"),
                ledger=HostAccount.read(ledger) if (ledger := answer.get("ledger")) else None,
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"the agent's answer is not a status: {error!r}") from error


def status_page(status: Status) -> RenderableType:
    """Return what ``hotslot status`` shows: the host, then its workers, then the agent."""
    return Group(
        _host_line(status),
        *(ledger_lines(status.ledger) if status.ledger else ()),
        Text(),
        _workers_now(status),
        Text(),
        *_agent_lines(status),
    )


def workers_table(status: Status) -> RenderableType:
    """Return what ``hotslot workers`` shows: each worker's bounds and condition."""
    workers = status.workers
    if not workers:
        return Text("no workers are configured")
    return Columns(
        [
            Column("worker", [w.worker for w in workers]),
            Column("VM", [w.vm for w in workers], spare=3),
            Column("state", [_coloured(w) for w in workers]),
            Column("floor", [count(w.floor_vcpus) for w in workers], right=True, spare=2),
            Column("granted", [count(w.granted_vcpus) for w in workers], right=True),
            Column("ceiling", [count(w.ceiling_vcpus) for w in workers], right=True, spare=2),
            Column("job", [short(w.job) for w in workers]),
            Column("for", [_age(status.at, w.opened_at) for w in workers], right=True, spare=4),
            Column("problem", [w.problem or NOTHING for w in workers], folds=True),
        ]
    )


def _workers_now(status: Status) -> RenderableType:
    workers = status.workers
    if not workers:
        return Text("no workers are configured")
    return Columns(
        [
            Column("worker", [w.worker for w in workers]),
            Column("state", [_coloured(w) for w in workers], spare=2),
            Column("job", [short(w.job) for w in workers]),
            Column("name", [short(w.job_name) for w in workers], spare=4),
            Column("user", [short(w.user) for w in workers], spare=1),
            Column("asked", [_asked(w) for w in workers], right=True),
            Column("granted", [count(w.granted_vcpus) for w in workers], right=True),
            Column("used", [cores(w.used_cores) for w in workers], right=True),
            Column("waited", [cores(w.waited_cores) for w in workers], right=True, spare=3),
            Column("last decision", [_decision(w) for w in workers], folds=True),
            Column("ago", [_age(status.at, w.decided_at) for w in workers], right=True, spare=1),
        ]
    )


def _host_line(status: Status) -> Text:
    granted = sum(worker.granted_vcpus or 0 for worker in status.workers)
    requested = sum(
        worker.entitled_vcpus or worker.requested_vcpus or 0 for worker in status.workers
    )
    used = fsum(worker.used_cores or 0.0 for worker in status.workers)
    parts = (
        f"host {plain(status.host)}: {many(status.cores, 'core')}",
        f"requested {requested}",
        f"granted {granted}",
        f"used {used:.2f}",
    )
    return Text(", ".join(parts), style="bold")


def _asked(worker: WorkerStatus) -> str:
    """Return what its job asked for, * for one that borrows."""
    return f"{'* ' if worker.borrows else ''}{count(worker.requested_vcpus)}"


def _agent_lines(status: Status) -> Iterable[Text]:
    age = duration(status.at - status.started_at)
    yield Text(f"hotslotd {plain(status.version)}, policy {plain(status.policy)}, up {age}")
    yield _record_line(status.record)
    if status.audit is not None and (status.audit.last_error or status.audit.lost):
        yield _audit_line(status.audit)
    yield from _offer_lines(status)
    for scheduler in status.schedulers:
        yield _scheduler_line(status.at, scheduler)


def _offer_lines(status: Status) -> Iterable[Text]:
    """Say what each scheduler may use, HTCondor's workers together."""
    for name in dict.fromkeys(offer.scheduler for offer in status.offers):
        mine = [offer for offer in status.offers if offer.scheduler == name]
        used = sum(offer.used_cpus for offer in mine)
        promised = sum(offer.promised_cpus for offer in mine)
        waiting = status.waiting_jobs.get(name, 0)
        yield Text(
            f"{plain(name)}: may use {many(promised, 'core')}, uses {used}; "
            f"{many(waiting, 'job')} waiting for cores"
        )
    if status.offers_problem:
        yield Text(f"offers stay as they are: {plain(status.offers_problem)}", style="yellow")


def _record_line(record: RecordStatus) -> Text:
    line = Text(f"record: {plain(record.condition)}", style=_STYLES.get(record.condition, "red"))
    if record.condition != "ok":
        line.append(f", {many(record.waiting_records, 'record')} not written")
        line.append(f", the oldest for {duration(record.behind_s)}")
    if record.lost_samples:
        line.append(f", {many(record.lost_samples, 'sample')} lost")
    if record.refused_records:
        line.append(f", {many(record.refused_records, 'record')} refused")
    if record.last_error:
        line.append(f": {plain(record.last_error)}")
    if record.set_aside:
        line.append(f"; begun anew, the damaged file is {plain(record.set_aside)}", style="red")
    return line


def _audit_line(audit: AuditStatus) -> Text:
    """Say what is wrong with the audit log; while nothing is, no line is needed."""
    line = Text("audit log: ", style="red")
    line.append("failing" if audit.last_error else "ok")
    if audit.waiting:
        line.append(f", {many(audit.waiting, 'entry', 'entries')} not written")
    if audit.lost:
        line.append(f", {many(audit.lost, 'entry', 'entries')} lost")
    if audit.last_error:
        line.append(f": {plain(audit.last_error)}")
    return line


def _scheduler_line(now: float, scheduler: SchedulerStatus) -> Text:
    name = plain(scheduler.name)
    if scheduler.silent_since is not None:
        silent = duration(now - scheduler.silent_since)
        return Text(f"{name}: no answer for {silent}; running leases go on", style="red")
    if scheduler.compared_at is None:
        return Text(f"{name}: not compared yet", style="yellow")
    ago = duration(now - scheduler.compared_at)
    return Text(f"{name}: compared {ago} ago: {plain(scheduler.compared or '') or 'nothing to do'}")


_STYLES = {"ok": "", "behind": "yellow", "down": "red", "changing": "yellow", "running": "green"}


def _coloured(worker: WorkerStatus) -> Text:
    return Text(worker.condition, style=_STYLES.get(worker.condition, ""))


def _decision(worker: WorkerStatus) -> Text:
    return Text(plain(worker.words), style="red" if worker.problem else "")


def _age(now: float, since: float | None) -> str:
    return NOTHING if since is None else duration(max(0.0, now - since))


def _known(
    kind: type[WorkerStatus | RecordStatus | AuditStatus | SchedulerStatus | OfferStatus | Queued],
    values: Mapping[str, Any],
) -> dict[str, Any]:
    return {one.name: values[one.name] for one in fields(kind) if one.name in values}
