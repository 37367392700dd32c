"""A pool in memory, for what needs more than one answer: it answers as the bindings' process does.

Its words are ads as the bindings tell them; ``down`` are addresses that do not answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Ad = dict[str, Any]

JOB: Ad = {
    "ClusterId": 12,
    "ProcId": 0,
    "JobStatus": 2,
    "NumJobMatches": 1,
    "PublicClaimId": "<a>#1#1#...",
    "RemoteHost": "slot1_1@c1",
    "JobCurrentStartDate": 100,
    "JobCurrentStartExecutingDate": 101,
    "RequestCpus": 2,
    "EnteredCurrentStatus": 90,
    "JobUniverse": 5,
    "User": "alice@test",
}
"""A job that runs in SLOT, of schedd s1."""

SLOT: Ad = {
    "SlotType": "Dynamic",
    "State": "Claimed",
    "Activity": "Busy",
    "Cpus": 2,
    "GlobalJobId": "s1#12.0#1795285700",
    "PublicClaimId": "<a>#1#1#...",
}


def whole(name: str, free: int = 8, admits: int = 4) -> Ad:
    """Return the ad of a worker's partitionable slot."""
    return {
        "PartitionableSlot": True,
        "Name": f"slot1@{name}",
        "State": "Unclaimed",
        "Activity": "Idle",
        "Cpus": free,
        "TotalSlotCpus": 8,
        "HotslotAdmitCpus": admits,
        "CondorVersion": "$CondorVersion: 23.9.6 2026-07-12 $",
    }


@dataclass
class FakePool:
    """Schedds and startds by address; ``edits_count`` False: edits have no effect; ``vacates``
    False: the agent may not vacate the jobs of others."""

    startds: dict[str, list[Ad]] = field(default_factory=dict)
    queues: dict[str, list[Ad]] = field(default_factory=dict)
    histories: dict[str, list[Ad]] = field(default_factory=dict)
    settings: dict[str, Mapping[str, str]] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    collector_age_s: float = 1e6
    accounting: list[Ad] = field(default_factory=list)
    told: bool = True
    edits_count: bool = True
    vacates: bool = True
    before_edit: Callable[[], None] | None = None
    known: bool = True
    greeting: Mapping[str, object] = field(default_factory=lambda: {"version": "25.14.1"})
    asked: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, question: Mapping[str, Any], timeout_s: float | None = None) -> dict[str, object]:
        self.asked.append(dict(question))
        if question.get("at", "collector") in self.down:
            return {"error": "HTCondorException: Failed communication with collector."}
        return {"found": getattr(self, f"_{question['ask']}")(question)}

    def close(self) -> None:
        pass

    def count(self, ask: str) -> int:
        return sum(question["ask"] == ask for question in self.asked)

    def _collector(self, question: Mapping[str, Any]) -> list[Ad]:
        if question["type"] == "Collector":
            return [{"MonitorSelfAge": self.collector_age_s}]
        if question["type"] == "Accounting":
            return self.accounting
        if not self.told:
            return []
        if question["type"] == "Schedd":
            return [{"Name": at, "MyAddress": at} for at in self.queues]
        return [{"Machine": at, "MyAddress": at} for at in self.startds]

    def _startd(self, question: Mapping[str, Any]) -> list[Ad]:
        return self.startds[question["at"]]

    def _jobs(self, question: Mapping[str, Any]) -> list[Ad]:
        return _chosen(self.queues[question["at"]], question["where"])

    def _history(self, question: Mapping[str, Any]) -> list[Ad]:
        return _chosen(self.histories.get(question["at"], []), question["where"])

    def _edit(self, question: Mapping[str, Any]) -> int:
        if self.before_edit:
            self.before_edit()
        for number, name, expression in question["edits"] if self.edits_count else ():
            for ad in self.queues[question["at"]]:
                if f"{ad['ClusterId']}.{ad['ProcId']}" == number:
                    ad[name] = _value(expression)
        return len(question["edits"])

    def _vacate(self, question: Mapping[str, Any]) -> dict[str, int]:
        """A schedd vacates at once here, and the startd lets go with it."""
        [run] = re.findall(r"NumJobMatches == (\d+)", question["where"])
        chosen = _chosen(self.queues[question["at"]], question["where"])
        running = [ad for ad in chosen if ad["NumJobMatches"] == int(run) and ad["JobStatus"] == 2]
        if not self.vacates:
            return {"TotalSuccess": 0, "TotalPermissionDenied": len(running)}
        for ad in running:
            number = f"#{ad['ClusterId']}.{ad['ProcId']}#"
            ad |= {"JobStatus": 1, "RemoteHost": ""}
            for slots in self.startds.values():
                slots[:] = [slot for slot in slots if number not in slot.get("GlobalJobId", "")]
        return {"TotalSuccess": len(running), "TotalNotFound": 0}

    def _reschedule(self, question: Mapping[str, Any]) -> int:
        return 1

    def _settings(self, question: Mapping[str, Any]) -> dict[str, str]:
        found = self.settings.get(question["at"], {})
        return {name: found[name] for name in question["names"] if name in found}

    def _identity(self, question: Mapping[str, Any]) -> dict[str, object]:
        return {"user": "hotslot@test", "known": self.known}


def _chosen(ads: list[Ad], where: str) -> list[Ad]:
    """Return the ads of the jobs that a constraint names; of one that names none, all."""
    pairs = re.findall(r"ClusterId == (\d+) && ProcId == (\d+)", where)
    wanted = {(int(cluster), int(proc)) for cluster, proc in pairs}
    if "RemoteHost" in where:
        return [ad for ad in ads if ad.get("RemoteHost")]
    return [ad for ad in ads if not wanted or (ad["ClusterId"], ad["ProcId"]) in wanted]


def _value(expression: str) -> object:
    """Return what the bindings tell of an expression that hotslot writes."""
    if not expression.startswith("{"):
        return float(expression) if "." in expression else int(expression)
    entries = re.findall(r"\[ (.*?) \]", expression)
    return [{k: _literal(v) for k, v in (p.split(" = ") for p in e.split("; "))} for e in entries]


def _literal(text: str) -> object:
    if text.startswith('"'):
        return text.strip('"')
    return {"true": True, "false": False}[text] if text in ("true", "false") else _value(text)
