"""The Slurm configuration of a testbed."""

from __future__ import annotations

from collections.abc import Mapping

from .network import CTL_ADDRESS

CLUSTER = "hotslot"
PARTITION = "host1"

CGROUP_CONF = "IgnoreSystemd=yes\n"

_HOOKS = """\
Prolog=/usr/lib/hotslot/slurm-prolog
Epilog=/usr/lib/hotslot/slurm-epilog
PrologEpilogTimeout=150
"""

# Time limits: short enough that a test of a killed VM does not take minutes, long enough for
# emulated guests on a machine with fewer cores than vCPUs.
_CONF = """\
ClusterName={cluster}
SlurmctldHost=ctl({ctl})
AuthType=auth/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPidFile=/run/slurm/slurmctld.pid
SlurmdPidFile=/run/slurm/slurmd.pid
SlurmdSpoolDir=/var/spool/slurmd
StateSaveLocation=/var/spool/slurmctld
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
SlurmctldDebug=verbose
SlurmdDebug=verbose
LogTimeFormat=iso8601_ms

ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=10
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
GresTypes=vm
JobSubmitPlugins=all_partitions,lua
JobRequeue=1
SchedulerParameters=nohold_on_prolog_fail,batch_sched_delay=0,bf_interval=5,sched_interval=15

PrologFlags=Alloc
{hooks}
ReturnToService=2
SlurmdTimeout=30
SlurmctldTimeout=30
MessageTimeout=30
TCPTimeout=10
BatchStartTimeout=60
KillWait=5
UnkillableStepTimeout=150
MailProg=/bin/true
MinJobAge=300

AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={ctl}
AccountingStorageEnforce=limits
AccountingStorageTRES=gres/vm
AccountingStoreFlags=job_comment

{nodes}
PartitionName={partition} Nodes=ALL Default=YES QOS={partition} DefaultTime=10 MaxTime=60 State=UP
{extra}
"""


def slurm_conf(
    *, addresses: Mapping[str, str], vcpus: int, memory_mb: int, hooks: bool, extra: str
) -> str:
    """Return the slurm.conf that controller and nodes share; the addresses are by node."""
    nodes = "\n".join(
        f"NodeName={name} NodeAddr={address} CPUs={vcpus} Boards=1 SocketsPerBoard=1 "
        f"CoresPerSocket={vcpus} ThreadsPerCore=1 RealMemory={memory_mb} Gres=vm:1"
        for name, address in addresses.items()
    )
    return _CONF.format(
        cluster=CLUSTER,
        partition=PARTITION,
        ctl=CTL_ADDRESS,
        nodes=nodes,
        hooks=_HOOKS if hooks else "",
        extra=extra,
    )


def hosts(addresses: Mapping[str, str]) -> str:
    """Return /etc/hosts of controller and nodes."""
    lines = ["127.0.0.1 localhost", f"{CTL_ADDRESS} ctl"]
    lines += [f"{address} {name}" for name, address in addresses.items()]
    return "\n".join(lines) + "\n"
