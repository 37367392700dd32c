"""A worker's startd as it tells of itself: one partitionable slot, and the slots made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hotslot.model import Group, NodeCondition
from hotslot_plugin import condor_ad
from hotslot_plugin.condor_ad import Ad

SLOT = (
    "Name",
    "Machine",
    "SlotType",
    "PartitionableSlot",
    "State",
    "Activity",
    "Cpus",
    "TotalSlotCpus",
    "GlobalJobId",
    "PublicClaimId",
    "HotslotAdmitCpus",
    "HotslotGate",
    "Draining",
    "DrainReason",
    "LastDrainStartTime",
    "Offline",
    "CondorVersion",
)
"""What is asked of a slot."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A dynamic slot; ``job_id`` is '' until its job is being started."""

    job_id: str
    claim: str
    state: str
    activity: str
    cpus: int


@dataclass(frozen=True, slots=True)
class Startd:
    """A worker's startd at one moment; ``admits``: None when its gate says nothing."""

    worker: str
    name: str
    state: str
    activity: str
    total_cpus: int
    free_cpus: int
    admits: int | None
    gate: str
    draining: bool
    reason: str
    drained_at: float | None
    offline: bool
    version: str
    slots: tuple[Slot, ...]

    def group(self) -> Group:
        """Return what HTCondor may use of this worker, as one ad says: one moment."""
        used = max(0, self.total_cpus - self.free_cpus)
        return Group(self.worker, (self.worker,), used, self.admits or 0, gated=True)

    def condition(self) -> NodeCondition:
        """Return the worker's state. HTCondor does not say who drains it."""
        drained = self.draining or self.state == "Drained" or self.offline
        busy = next((slot for slot in self.slots), None)
        state = f"{busy.state}/{busy.activity}" if busy else f"{self.state}/{self.activity}"
        return NodeCondition(
            worker=self.worker,
            state=state,
            drained=drained,
            down=False,
            reason=(self.reason or "offline" * self.offline) if drained else "",
            reason_at=self.drained_at if drained else None,
        )


def silent(worker: str) -> NodeCondition:
    """Return the condition of a worker whose startd does not answer."""
    return NodeCondition(worker, "no answer", drained=False, down=True, reason="no answer")


def startd_of(worker: str, ads: Sequence[Ad]) -> Startd | None:
    """Return a startd's facts from its slots' ads; None when it has no partitionable slot."""
    whole = next((ad for ad in ads if condor_ad.true(ad, "PartitionableSlot")), None)
    if whole is None:
        return None
    total = condor_ad.whole(whole, "TotalSlotCpus")
    free = condor_ad.whole(whole, "Cpus")
    return Startd(
        worker=worker,
        name=condor_ad.text(whole, "Name").partition("@")[2],
        state=condor_ad.text(whole, "State"),
        activity=condor_ad.text(whole, "Activity"),
        total_cpus=total or 0,
        free_cpus=free or 0,
        admits=condor_ad.whole(whole, "HotslotAdmitCpus"),
        gate=condor_ad.text(whole, "HotslotGate"),
        draining=condor_ad.true(whole, "Draining"),
        reason=condor_ad.text(whole, "DrainReason"),
        drained_at=condor_ad.number(whole, "LastDrainStartTime") or None,
        offline=condor_ad.true(whole, "Offline"),
        version=condor_ad.text(whole, "CondorVersion"),
        slots=tuple(_slot(ad) for ad in ads if condor_ad.text(ad, "SlotType") == "Dynamic"),
    )


def _slot(ad: Ad) -> Slot:
    return Slot(
        job_id=condor_ad.job_id_of(condor_ad.text(ad, "GlobalJobId")),
        claim=condor_ad.claim(ad),
        state=condor_ad.text(ad, "State"),
        activity=condor_ad.text(ad, "Activity"),
        cpus=condor_ad.whole(ad, "Cpus") or 0,
    )
