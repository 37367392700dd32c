"""The limit of a partition's QOS, and who waits behind it, from what Slurm's commands print."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotslot.errors import SchedulerError
from hotslot.model import Group
from hotslot_plugin.slurm_command import Command
from hotslot_plugin.slurm_offers import WAITING_MAX, Offers, waiting_of

PARTITION = "PartitionName=host1 AllowQos=ALL Default=YES QoS=q1 DefaultTime=00:10:00"
ASSOC_MGR = """Current Association Manager state

QOS Records

QOS=q1(4)
    UsageRaw=163.000000
    GrpJobs=N(1) GrpJobsAccrue=N(0) GrpSubmitJobs=N(1) GrpWall=N(0.68)
    GrpTRES=cpu=8(4),mem=N(0),energy=N(0),node=N(1),billing=N(4),gres/vm=N(1)
    GrpTRESMins=cpu=N(2),mem=N(0)
"""
PENDING = """12|4|1|2026-11-21T10:00:00|QOSGrpCpuLimit
13_[0-2,7%2]|3|2|2026-11-21T10:00:01|Priority
14|1|1|2026-11-21T10:00:02|JobHeldUser
"""


def offers(tmp_path: Path, assoc_mgr: str = ASSOC_MGR, partition: str = PARTITION) -> Offers:
    """Return offers whose commands print this."""
    for name, text in (("partition", partition), ("assoc_mgr", assoc_mgr), ("squeue", PENDING)):
        (tmp_path / name).write_text(text)
    script = tmp_path / "command"
    script.write_text(
        f"""#!/bin/sh
echo "$*" >>{tmp_path}/said
case "$*" in
scontrol*partition\\ *) cat {tmp_path}/partition;;
scontrol*assoc_mgr*) cat {tmp_path}/assoc_mgr;;
squeue*) cat {tmp_path}/squeue;;
esac
"""
    )
    script.chmod(0o755)
    return Offers(Command((str(script),)), "host1")


def test_use_limit_and_waiting_jobs_are_read(tmp_path: Path) -> None:
    queue = offers(tmp_path).queue(["w1", "w2"])
    assert queue.groups == (Group("host1", ("w1", "w2"), 4, 8),)
    assert [(job.job_id, job.cpus, job.workers) for job in queue.waiting] == [
        ("12", 4, 1),
        *[("13_[0-2,7%2]", 2, 2)] * 4,
    ]
    assert queue.waiting[0].since == 1795255200.0


def test_a_limit_is_set_and_slurmctld_kicked(tmp_path: Path) -> None:
    offers(tmp_path).offer({"host1": 3})
    assert (tmp_path / "said").read_text().splitlines() == [
        "scontrol show partition host1",
        "sacctmgr -i modify qos q1 set GrpTRES=cpu=3",
        "scontrol update partitionname=host1 state=UP",
    ]


@pytest.mark.parametrize("limits", [{"other": 3}, {"host1": -1}])
def test_only_the_partition_is_limited(tmp_path: Path, limits: dict[str, int]) -> None:
    with pytest.raises(SchedulerError, match="does not set a limit"):
        offers(tmp_path).offer(limits)


def test_a_qos_without_a_limit_says_what_to_type(tmp_path: Path) -> None:
    with pytest.raises(SchedulerError, match="sacctmgr modify qos q1 set GrpTRES=cpu=N"):
        offers(tmp_path, ASSOC_MGR.replace("cpu=8", "cpu=N")).queue(["w1"])


def test_a_partition_without_a_qos_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SchedulerError, match="partition host1 has no QOS"):
        offers(tmp_path, partition=PARTITION.replace("q1", "N/A")).queue(["w1"])


def test_nothing_is_asked_where_no_partition_is_named() -> None:
    assert Offers(Command(("/no/such/command",)), "").queue(["w1"]).groups == ()


def test_a_huge_array_counts_as_no_more_than_can_matter() -> None:
    many = "9_[0-99999]|1|1|2026-11-21T10:00:00|Priority"
    assert len(list(waiting_of(many))) == WAITING_MAX


@pytest.mark.parametrize("line", ["x|y|1|2026-11-21T10:00:00|None", "1|1|1|Unknown|None"])
def test_an_answer_that_makes_no_sense_is_an_error(line: str) -> None:
    with pytest.raises(SchedulerError, match="not a pending job"):
        list(waiting_of(line))
