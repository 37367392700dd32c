"""Which open leases of the record a new agent goes on with, and which ended unseen: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hotslot.model import Lease
from hotslot.record.batch import WorkerState


def taken_up(
    leases: Iterable[Lease],
    workers: Collection[str],
    states: Iterable[WorkerState],
    boot_id: str,
) -> tuple[list[Lease], list[Lease]]:
    """Return the leases that may still be held, at most one a worker, and those that are lost.

    Lost is what no word of a scheduler can bring back: a lease of a worker that is not this
    host's any more, one that a later lease of its worker has followed, and one of a VM that was
    last measured before the host was started anew. The rest is for the comparison with the
    scheduler.
    """
    before_reboot = {one.worker: one.read_at for one in states if one.boot_id != boot_id}
    newest: dict[str, Lease] = {}
    lost = []
    for lease in sorted(leases, key=lambda one: one.id):
        worker = lease.placement.worker
        ran_before_reboot = lease.opened_at <= before_reboot.get(worker, float("-inf"))
        if worker not in workers or ran_before_reboot:
            lost.append(lease)
            continue
        if worker in newest:
            lost.append(newest[worker])
        newest[worker] = lease
    return list(newest.values()), lost
