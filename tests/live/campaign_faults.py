"""The faults of a campaign: each breaks something and mends what nothing else mends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from live.campaign_cluster import CampaignCluster
from live.campaign_plan import FaultKind, PlannedFault
from live.cluster import eventually
from testbed.errors import TestbedError

FOUND_WITHIN_S = 12.0
"""What only lives while a job runs (starter, shadow) is looked for so long."""

SAID_WITHIN_S = 30.0
"""A record that cannot be written is in ``hotslot status`` within this time."""

Fault = Callable[[CampaignCluster, PlannedFault], None]
"""Raises TestbedError when there is nothing to break."""

_FORGE = """
import sys, urllib.request as u
for words in sys.argv[1:]:
    try: u.urlopen('http://10.77.0.1:8765/v1/poke', words.encode(), 15)
    except Exception as error: print(error)
"""

_FLOOD = """
import socket, sys
body = ('event=start&job=999999&worker=' + sys.argv[1]).encode()
head = b'POST /v1/poke HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\nContent-Type: '
head += b'application/x-www-form-urlencoded\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(body)
for one in [socket.create_connection(('10.77.0.1', 8765), 20) for _ in range(200)]:
    one.settimeout(20)
    try:
        one.sendall(head + body)
        one.recv(4096)
    except OSError:
        pass
"""


def _agent_killed(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.signal_agent(signal.SIGKILL)
    time.sleep(fault.seconds)
    cluster.start_agent()


def _agent_hangs(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.signal_agent(signal.SIGSTOP)
    time.sleep(fault.seconds)
    cluster.signal_agent(signal.SIGCONT)


def _agent_stopped(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.stop_agent()
    time.sleep(fault.seconds)
    cluster.start_agent()


def _slurmctld_killed(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.bed.kill_slurmctld()
    time.sleep(fault.seconds)
    cluster.bed.start_slurmctld()


def _slurmdbd_killed(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.bed.kill_slurmdbd()
    time.sleep(fault.seconds)
    cluster.bed.start_slurmdbd()


def _slurm_hangs(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.slurm_hangs.touch()
    time.sleep(fault.seconds)
    cluster.slurm_hangs.unlink()


def _slurmd_killed(cluster: CampaignCluster, fault: PlannedFault) -> None:
    worker = cluster.bed.worker(fault.worker)
    worker.kill_slurmd()
    time.sleep(fault.seconds)
    worker.start_slurmd()


def _on_controller(daemon: str) -> Fault:
    def kill(cluster: CampaignCluster, fault: PlannedFault) -> None:
        _as_soon_as_there_is(lambda: cluster.bed.kill_condor(daemon))

    return kill


def _in_worker(daemon: str) -> Fault:
    def kill(cluster: CampaignCluster, fault: PlannedFault) -> None:
        worker = cluster.bed.worker(fault.worker)
        _as_soon_as_there_is(lambda: worker.kill_condor(daemon))

    return kill


def _frozen(daemon: str) -> Fault:
    """On the worker that is named, else on the controller."""

    def freeze(cluster: CampaignCluster, fault: PlannedFault) -> None:
        where = cluster.bed.worker(fault.worker) if fault.worker else cluster.bed
        with where.frozen(daemon):
            time.sleep(fault.seconds)

    return freeze


def _as_soon_as_there_is(kill: Callable[[], None]) -> None:
    deadline = time.monotonic() + FOUND_WITHIN_S
    while True:
        try:
            return kill()
        except TestbedError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


def _vm_hangs(cluster: CampaignCluster, fault: PlannedFault) -> None:
    pid = cluster.bed.worker(fault.worker).outer_pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(fault.seconds)
    with suppress(ProcessLookupError):  # it may have ended by itself
        os.kill(pid, signal.SIGCONT)


def _vm_killed(cluster: CampaignCluster, fault: PlannedFault) -> None:
    worker = cluster.bed.worker(fault.worker)
    worker.kill()
    time.sleep(2)
    worker.start()
    eventually(worker.answers, 150, f"{fault.worker} boots")


def _disk_full(cluster: CampaignCluster, fault: PlannedFault) -> None:
    fill = cluster.disk / "fill"
    _fill(fill)
    time.sleep(fault.seconds)
    fill.unlink()


def _record_read_only(cluster: CampaignCluster, fault: PlannedFault) -> None:
    """Refuse all writes, to open files too, as a file system does that has found an error.

    The agent must say so, however long that takes it.
    """
    with cluster.read_only_record():
        eventually(cluster.record_fails, SAID_WITHIN_S, "the agent says so", cluster.log_tail)
        time.sleep(fault.seconds)


def _clock_set(cluster: CampaignCluster, fault: PlannedFault) -> None:
    cluster.set_clock(fault.step_s)
    time.sleep(fault.seconds)
    cluster.set_clock(0.0)


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


def _pokes_forged(cluster: CampaignCluster, fault: PlannedFault) -> None:
    """Say from a worker what is not so: of jobs that are not there, or run elsewhere."""
    jobs = [state["job"] for state in cluster.workers().values() if state["job"]]
    words = [
        f"event={event}&job={job}&worker={fault.worker}"
        for job in ["999999", "1.0@nowhere", "'; DROP TABLE leases; --", *jobs[:1]]
        for event in ("end", "start")
    ]
    cluster.bed.worker(fault.worker).exec(["python3", "-c", _FORGE, *words], timeout=150)


def _pokes_flood(cluster: CampaignCluster, fault: PlannedFault) -> None:
    command = ["python3", "-c", _FLOOD, fault.worker]
    cluster.bed.worker(fault.worker).exec(command, timeout=150)


FAULTS: dict[FaultKind, Fault] = {
    FaultKind.AGENT_KILLED: _agent_killed,
    FaultKind.AGENT_HANGS: _agent_hangs,
    FaultKind.AGENT_STOPPED: _agent_stopped,
    FaultKind.SLURMCTLD_KILLED: _slurmctld_killed,
    FaultKind.SLURMCTLD_HANGS: _frozen("slurmctld"),
    FaultKind.SLURMDBD_KILLED: _slurmdbd_killed,
    FaultKind.SLURMDBD_HANGS: _frozen("slurmdbd"),
    FaultKind.SLURM_HANGS: _slurm_hangs,
    FaultKind.SLURMD_KILLED: _slurmd_killed,
    FaultKind.SLURMD_HANGS: _frozen("slurmd"),
    FaultKind.SCHEDD_KILLED: _on_controller("schedd"),
    FaultKind.SCHEDD_HANGS: _frozen("condor_schedd"),
    FaultKind.COLLECTOR_KILLED: _on_controller("collector"),
    FaultKind.COLLECTOR_HANGS: _frozen("condor_collector"),
    FaultKind.NEGOTIATOR_KILLED: _on_controller("negotiator"),
    FaultKind.SHADOW_KILLED: _on_controller("shadow"),
    FaultKind.STARTD_KILLED: _in_worker("startd"),
    FaultKind.STARTD_HANGS: _frozen("condor_startd"),
    FaultKind.STARTER_KILLED: _in_worker("starter"),
    FaultKind.VM_HANGS: _vm_hangs,
    FaultKind.VM_KILLED: _vm_killed,
    FaultKind.CLOCK_AHEAD: _clock_set,
    FaultKind.CLOCK_BACK: _clock_set,
    FaultKind.DISK_FULL: _disk_full,
    FaultKind.RECORD_READ_ONLY: _record_read_only,
    FaultKind.POKES_FORGED: _pokes_forged,
    FaultKind.POKES_FLOOD: _pokes_flood,
}
