"""What Slurm and HTCondor say, and the processes that ask them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from fuzz.target import TRANSCRIPTS, Target, as_json, must, parsed, recorded, shown_on_one_line
from hotslot.errors import SchedulerError
from hotslot.model import JobPhase, Placement, RunSummary
from hotslot_plugin import (
    child_process,
    condor_asked,
    condor_job,
    condor_queue,
    condor_runs,
    condor_shares,
    condor_slot,
    slurm_asked,
    slurm_comment,
    slurm_document,
    slurm_hostlist,
    slurm_job,
    slurm_json,
    slurm_shares,
)

CPUS_MAX = 65_536 * 65_536
SLURM = TRANSCRIPTS / "slurm-24.11"


def squeue(data: bytes) -> None:
    """Read jobs, and where they are."""
    for job in slurm_json.jobs(slurm_document.parse(data)):
        for placement in slurm_job.placements(job):
            _placed(placement)


def nodes(data: bytes) -> None:
    """Read nodes as scontrol shows them."""
    document = slurm_document.parse(data)
    slurm_json.release(document)
    slurm_json.asked_by(document)
    for condition in slurm_json.conditions(document):
        shown_on_one_line(condition.reason)
    slurm_json.gres(document)


def comment(data: bytes) -> None:
    """Add a run to an AdminComment."""
    text = data.decode("utf-8", "replace")
    merged = slurm_comment.merged(text, SUMMARY)
    must(len(merged) <= slurm_comment.LENGTH_MAX, f"a comment of {len(merged)} characters")
    must(json.loads(merged)["hotslot"] == 1, "a comment that is not ours")
    again = json.loads(slurm_comment.merged(merged, SUMMARY))
    must(again == json.loads(merged), "written again, it is another")


def asked_of_slurm(data: bytes) -> None:
    """Read what a job's comment asks for."""
    _canonical(slurm_asked.asked_in(data.decode("utf-8", "replace")))


def sshare(data: bytes) -> None:
    """Read fair-share factors."""
    factors = slurm_shares.shares_in(data.decode("utf-8", "replace"))
    must(all(0 <= factor <= 1 for factor in factors.values()), "a factor above 1")


def hostlist(data: bytes) -> None:
    """Expand a list of nodes."""
    names = slurm_hostlist.expand(data.decode("utf-8", "replace"))
    must(len(names) <= slurm_hostlist.NODES_MAX, f"{len(names)} nodes")
    must(all(map(slurm_hostlist.NODE.fullmatch, names)), "a name that no node has")


def condor(data: bytes) -> None:
    """Read one job's ad, and where it is, with and without its startd."""
    ad = parsed(data)
    job = condor_job.job_of("ctl.hotslot.test", ad) if isinstance(ad, dict) else None
    if job is None:
        return
    _canonical(job.facts.asked)
    for startds in ({}, {"c1": None}, {"c1": STARTD}):
        for placement in condor_job.placements(job, startds, {"c1": 60.0}):
            _placed(placement)


def startd(data: bytes) -> None:
    """Read the ads of one startd."""
    ads = _ads(parsed(data))
    found = condor_slot.startd_of("c1", ads)
    if found is not None:
        shown_on_one_line(found.condition().reason)
        must(found.group().used >= 0, "fewer CPUs than none")


def runs(data: bytes) -> None:
    """Read the runs in an ad, add one, and write them."""
    ad = parsed(data)
    if not isinstance(ad, dict):
        return
    merged = condor_runs.merged(condor_runs.runs_in(ad), [condor_runs.run_of(SUMMARY)])
    must(len(merged) <= condor_runs.RUNS_MAX, f"{len(merged)} runs")
    for expression in condor_runs.attributes(merged).values():
        must(expression.isprintable() and "inf" not in expression, "an odd expression")
    condor_runs.wrong(ad, merged)


def asked_of_condor(data: bytes) -> None:
    """Read what a job's ad asks for."""
    ad = parsed(data)
    if isinstance(ad, dict):
        _canonical(condor_asked.asked_in(ad))


def queue(data: bytes) -> None:
    """Put waiting jobs in order, and read submitters' shares."""
    ads = _ads(parsed(data))
    found = condor_queue.waiting({"ctl": ads}, 64)
    must(len(found) <= condor_queue.WAITING_MAX, f"{len(found)} waiting jobs")
    shares = condor_shares.shares_in(ads)
    must(all(0 <= share <= 1 for share in shares.values()), "a share outside 0 to 1")


def child(data: bytes) -> None:
    """Read a line that a child process answers."""
    child_process._parse(data)


def _placed(placement: Placement) -> None:
    for text in (placement.user, placement.account, placement.name, placement.outcome):
        shown_on_one_line(text)
    must(0 <= placement.cpus <= CPUS_MAX, f"{placement.cpus} CPUs")
    for at in (placement.submitted_at, placement.started_at, placement.ended_at):
        must(at is None or math.isfinite(at), f"a time of {at}")


def _canonical(text: str) -> None:
    must(len(text) <= 200, f"{len(text)} characters were asked")
    must(text.isprintable(), "what was asked is not printable")


def _ads(value: object) -> list[dict[str, Any]]:
    return [ad for ad in value if isinstance(ad, dict)] if isinstance(value, list) else []


SUMMARY = RunSummary(
    Placement("slurm", "12", 0, "w1", 4, JobPhase.RUNNING),
    requested_vcpus=4, held_core_s=260.0, used_core_s=150.0, peak_cores=3.9, events=2, over=True,
)  # fmt: skip


def _slurm(pattern: str) -> list[bytes]:
    said = [json.loads(path.read_text())["stdout"] for path in sorted(SLURM.glob(pattern))]
    return as_json(*(document for document in said if isinstance(document, dict)))


def _answers() -> list[list[dict[str, Any]]]:
    lines = recorded("htcondor-23.9/*/answers.jsonl")
    return [_ads(line.get("answer", {}).get("found")) for line in lines]


def _each(key: str) -> Iterator[Mapping[str, object]]:
    return (ad for ads in ANSWERS for ad in ads if key in ad)


ANSWERS = _answers()
SLOTS = [ads for ads in ANSWERS if any("SlotType" in ad for ad in ads)]
JOBS = list(_each("ClusterId"))
STARTD = next(one for ads in reversed(SLOTS) if (one := condor_slot.startd_of("c1", ads)))
ASKED = {
    "HotslotMin": 4,
    "HotslotBurst": False,
    "HotslotElastic": "no",
    "HotslotDeadline": "2026-12-01T12:00",
}
RUN = {
    "Run": 0, "Worker": "c1", "Requested": 4, "Held": 260.0, "Used": 150.0, "Peak": 3.9,
    "Events": 2, "Over": True,
}  # fmt: skip
RUNS = {"HotslotRuns": [RUN, {**RUN, "Run": 1}], "HotslotEvents": 4, "HotslotPeakCpus": 3.9}
WAITS = {
    "ClusterId": 5, "ProcId": 0, "Owner": "alice", "JobPrio": 0, "QDate": 1795288735,
    "EnteredCurrentStatus": 1795288735, "RequestCpus": 2, "RequestMemory": 512,
}  # fmt: skip
SHARE = {"Name": "alice@test", "Priority": 500.0, "ResourcesUsed": 3}

TARGETS = (
    Target("squeue", squeue, _slurm("*/squeue*.json"), (SchedulerError,), json=True, share=3),
    Target(
        "scontrol nodes",
        nodes,
        _slurm("*/scontrol*node*.json"),
        (SchedulerError,),
        json=True,
        share=2,
    ),
    Target(
        "AdminComment",
        comment,
        [
            b"",
            b'{"hotslot":1,"w1":[4,260,150,3.9,2]}',
            b"{`hotslot`:1,`+`:[4,1,1,1.0,2],`w2/1`:[4,90,80,3.8,1]}",
        ],
        (slurm_comment.ForeignComment,),
        (b'"w3":[1,2,3,4,5]', b"`", b'"+"'),
        json=True,
        share=8,
    ),
    Target(
        "job comment",
        asked_of_slurm,
        [b"run 7; hotslot:min=4 hotslot:burst=no", b"hotslot:elastic=no,deadline=2026-12-01T12:00"],
        words=(b"hotslot:", b"min=", b"burst="),
        share=100,
    ),
    Target(
        "sshare",
        sshare,
        [b"root|||1.000000\n  physics|alice||0.250000\n  physics|bob|long|0.5\n"],
        words=(b"|", b"0.5"),
        share=100,
    ),
    Target(
        "list of nodes",
        hostlist,
        [b"w[1-3,07],x2", b"r[1-2]n[08-09]", b"w1"],
        (ValueError,),
        (b"[1-65536]", b"[1-9]", b"-", b"[", b"]", b","),
        share=1.5,
    ),
    Target(
        "condor job",
        condor,
        as_json(*JOBS, *({**job, **ASKED} for job in JOBS[:3])),
        json=True,
        share=5,
    ),
    Target("condor startd", startd, as_json(*SLOTS), json=True, share=5),
    Target("condor runs", runs, as_json(RUNS, *JOBS[:3]), json=True, share=5),
    Target("condor asked", asked_of_condor, as_json(ASKED), json=True, share=12),
    Target(
        "condor queue", queue, as_json([WAITS, {**WAITS, "ProcId": 1}, SHARE]), json=True, share=5
    ),
    Target(
        "child's answer",
        child,
        as_json({"found": [WAITS]}, {"version": "25.14.1"}, {"error": "no"}),
        (child_process.ChildFailed,),
        json=True,
        share=12,
    ),
)
