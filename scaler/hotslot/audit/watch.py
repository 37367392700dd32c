"""What the agent tells the audit log: changes that came about, never looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hotslot.audit.chain import Kind
from hotslot.audit.pump import AuditLog
from hotslot.model import Event, Lease, Placement


class Watch:
    """Puts changes into the log, with the job that they concern; ``lease_on`` knows it."""

    def __init__(self, log: AuditLog, lease_on: Callable[[str], Lease | None]) -> None:
        self._log = log
        self._lease_on = lease_on
        self._limits: dict[tuple[str, str], int] = {}

    def changed(self, event: Event) -> None:
        """Put an attempt that has changed a worker's vCPUs, whatever it was called in the end."""
        if event.got_vcpus == event.from_vcpus:
            return
        what: dict[str, object] = {
            "worker": event.worker,
            "from_vcpus": event.from_vcpus,
            "to_vcpus": event.to_vcpus,
            "got_vcpus": event.got_vcpus,
            "result": event.result.value,
            "lease": event.lease_id,
        }
        lease = self._lease_on(event.worker)
        if lease is not None and lease.id == event.lease_id:
            placed = lease.placement
            what |= {"job": placed.job_id, "user": placed.user, "scheduler": placed.scheduler}
        self._log.put(Kind.VCPUS, what, event.reason)

    def limits(self, scheduler: str, limits: Mapping[str, int], problem: str) -> None:
        """Put limits that a scheduler was told; ``problem`` says why it may not have them."""
        for group, cpus in limits.items():
            what = {
                "scheduler": scheduler,
                "group": group,
                "from_cpus": self._limits.get((scheduler, group)),
                "to_cpus": cpus,
                "problem": problem or None,
            }
            if not problem:
                self._limits[scheduler, group] = cpus
            self._log.put(Kind.LIMITS, what, "the host's cores were shared out")

    def resumed(self, scheduler: str, worker: str, why: str, problem: str) -> None:
        """Put a node that may take jobs again."""
        what = {"scheduler": scheduler, "worker": worker, "problem": problem or None}
        self._log.put(Kind.RESUME, what, why)

    def requeued(self, placement: Placement, problem: str) -> None:
        """Put a run that went back into its scheduler's queue."""
        what = {
            "scheduler": placement.scheduler,
            "worker": placement.worker,
            "job": placement.job_id,
            "user": placement.user,
            "run": placement.run,
            "problem": problem or None,
        }
        self._log.put(Kind.REQUEUE, what, "it runs on lent cores that their owners want back")
