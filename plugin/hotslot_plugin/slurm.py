"""Slurm behind hotslot's ``Scheduler``; registered as ``slurm``."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot.model import Finding, JobPhase, NodeCondition, Placement, Queue, RunSummary
from hotslot.schedulers import NotWritten
from hotslot_plugin import slurm_check, slurm_comment, slurm_json, slurm_settings
from hotslot_plugin.slurm_command import Command, failure
from hotslot_plugin.slurm_hostlist import NODE
from hotslot_plugin.slurm_job import placements
from hotslot_plugin.slurm_offers import Offers
from hotslot_plugin.slurm_pyslurm import installed
from hotslot_plugin.slurm_scontrol import ByCommand
from hotslot_plugin.slurm_shares import USER, Shares
from hotslot_plugin.slurm_source import Source, choose

JOB_ID = re.compile(r"[0-9]{1,10}")


class Slurm:
    """One Slurm cluster."""

    name = "slurm"

    def __init__(self, command: Command, source: Source, partition: str = "") -> None:
        self._command = command
        self._source = source
        self._offers = Offers(command, partition)
        self._shares = Shares(command)

    def placements(
        self, workers: Collection[str], job_ids: Collection[str] = ()
    ) -> Sequence[Placement]:
        """Return who is on these workers now, in one call to slurmctld; see Scheduler.

        Without job ids once a minute in two: the second is for fair shares, and may fail.

        With job ids: those jobs on all their nodes, this host's or not. One that waits for its
        first or its next start comes as one placement without a worker (``""``), so that a lease
        of its last run is known to be over.
        """
        if job_ids:
            asked = sorted({job_id for job_id in job_ids if JOB_ID.fullmatch(job_id)})
            return self._shares.told(self._of(asked), may_ask=False)
        nodes = [_node(worker) for worker in workers]
        there = self._source.jobs_on(nodes) if nodes else []
        here = [p for job in there for p in placements(job) if p.worker in nodes]
        there_now = [p for p in here if p.phase.occupies or p.phase is JobPhase.ENDING]
        return self._shares.told(there_now, may_ask=True)

    def conditions(self, workers: Collection[str]) -> Sequence[NodeCondition]:
        """Return the state of these workers, in one call; an unknown one is left out."""
        nodes = [_node(worker) for worker in workers]
        found = self._source.conditions(nodes) if nodes else []
        return [condition for condition in found if condition.worker in nodes]

    def resume(self, worker: str) -> None:
        """Let a drained worker take jobs again; one that is not drained stays as it is."""
        node = _node(worker)
        output = self._command.run("scontrol", "update", f"nodename={node}", "state=resume")
        if output.status != 0 and "Invalid node state specified" not in output.stderr:
            raise failure("scontrol", output.stderr or f"exit status {output.status}")

    def requeue(self, placement: Placement) -> None:
        """Put this run back into the queue, if it is still that run; see Scheduler.

        Three calls to slurmctld: what the last one reads counts. ``incomplete``: a job that ends
        after the first is not run again. A job on several nodes leaves all of them.
        """
        name, worker = slurm_name(placement), _node(placement.worker)
        if not self._runs(placement):
            return
        output = self._command.run("scontrol", "requeue", "incomplete", name)
        if self._runs(placement):
            words = output.stderr or f"exit status {output.status}"
            raise failure("scontrol", f"job {name} on {worker} is not put back: {words}")

    def _runs(self, placement: Placement) -> bool:
        """Ask whether this very run is under way; SchedulerError when it may not be put back."""
        there = [p for p in self._of([_job_id(placement.job_id)]) if p.key == placement.key]
        running = [p for p in there if p.phase.occupies]
        if running and not running[0].may_requeue:
            raise SchedulerError(f"job {placement.job_id} may not be requeued")
        return bool(running)

    def queue(self, workers: Collection[str]) -> Queue:
        """Return the partition's share of the host and its pending jobs; see Scheduler."""
        return self._offers.queue([_node(worker) for worker in workers])

    def offer(self, limits: Mapping[str, int]) -> None:
        """Set the QOS's GrpTRES and have slurmctld look at its queue; see Scheduler."""
        self._offers.offer(limits)

    def write_back(self, summaries: Sequence[RunSummary]) -> None:
        """Put summaries into the jobs' AdminComment, which sacct shows; two calls to slurmdbd each.

        Through sacctmgr: scontrol refuses as soon as a job is completing, and what it set before
        replaces what sacctmgr set. A comment of somebody else's is kept, and told at the end.
        """
        said = {summary.placement.key: self._write_back(summary) for summary in summaries}
        if problems := {key: words for key, words in said.items() if words}:
            raise NotWritten(problems)

    def _write_back(self, summary: RunSummary) -> str:
        """Write one summary; return why it cannot be, SchedulerUnavailable passes."""
        job = accounting_id(summary.placement)
        try:
            said = self._command.ask("sacct", "-n", "-P", "-X", "-j", job, "--format=AdminComment")
            before = said.decode("utf-8", "replace").partition("\n")[0]
            comment = slurm_comment.merged(before, summary)
            modify = ("sacctmgr", "-i", "modify", "job", "where", f"jobid={job}")
            self._command.ask(*modify, "set", f"AdminComment={comment}")
        except SchedulerUnavailable:
            raise
        except slurm_comment.ForeignComment as error:
            return f"job {job} has an AdminComment that is not hotslot's, and keeps it: {error}"
        except SchedulerError as error:
            return f"job {job}: {error}"
        return ""

    def check(self, workers: Collection[str], agent_wait_s: float) -> Sequence[Finding]:
        """Look for settings that would hurt, in up to three calls that change nothing."""
        nodes = [_node(worker) for worker in workers]
        config = slurm_check.parse_config(
            self._command.ask("scontrol", "show", "config").decode("utf-8", "replace")
        )
        document = ByCommand(self._command).nodes_document(nodes)
        user = slurm_json.asked_by(document)
        seen = slurm_check.Seen(
            config, slurm_json.gres(document), user, self._privilege(user, config)
        )
        controller, client = config.get("SLURM_VERSION", ""), slurm_json.release(document)
        way = slurm_check.versions(controller, client, installed(), self._source.name)
        return [way, *slurm_check.findings(seen, nodes, agent_wait_s)]

    def close(self) -> None:
        """End what was started for asking."""
        self._source.close()

    def _of(self, job_ids: Sequence[str]) -> list[Placement]:
        found = self._source.jobs(job_ids) if job_ids else []
        return [p for job in found if job.job_id in job_ids for p in placements(job)]

    def _privilege(self, user: str, config: Mapping[str, str]) -> str:
        if not USER.fullmatch(user):
            return ""
        if user == "root":
            return "root"
        if user == config.get("SlurmUser", "").partition("(")[0]:
            return "SlurmUser"
        said = self._command.ask("sacctmgr", "-n", "-P", "show", "user", user, "format=adminlevel")
        level = said.decode("utf-8", "replace").strip().lower()
        return level if level in ("operator", "administrator") else ""


def connect(settings: Mapping[str, object]) -> Slurm:
    """Return the adapter for these settings (``slurm_settings``); ValueError when they are wrong.

    Asks nothing yet: Slurm may start after the agent.
    """
    wanted = slurm_settings.parse(settings)
    command = Command(wanted.command, wanted.timeout_s)
    return Slurm(command, choose(wanted.source, command), wanted.partition)


def slurm_name(placement: Placement) -> str:
    """Return how scontrol names exactly this job: its number is the whole array's for one task."""
    if placement.array_task_id:
        return f"{_job_id(placement.array_job_id)}_{_job_id(placement.array_task_id)}"
    return _job_id(placement.job_id)


def accounting_id(placement: Placement) -> str:
    """Return how sacct and sacctmgr name exactly this job.

    The number of an array's or heterogeneous job's first part stands for all of its parts.
    """
    name = slurm_name(placement)
    return f"{name}+0" if placement.het_job_id == name else name


def _job_id(text: str) -> str:
    if not JOB_ID.fullmatch(text):
        raise SchedulerError(f"{text!r} is not a number of a Slurm job")
    return text


def _node(worker: str) -> str:
    if not NODE.fullmatch(worker):
        raise SchedulerError(f"{worker!r} is not a name of a Slurm node")
    return worker
