"""Asking a pool's daemons through the bindings' process, within one time limit a call."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin import condor_ad
from hotslot_plugin.child_process import Child, ChildFailed
from hotslot_plugin.condor_ad import Ad
from hotslot_plugin.condor_settings import Settings
from hotslot_plugin.condor_slot import SLOT, Startd, startd_of

CHILD = Path(__file__).with_name("condor_child.py")
"""Run by its path: another interpreter that has the bindings does not have this package."""

STARTD_S = 4.0
"""Longest wait for one startd: those that answer take milliseconds."""

SILENT_AGAIN_S = 5.0
"""A startd that did not answer is left alone for so long."""

YOUNG_S = 600.0
"""A collector that was started less than this ago may not have heard of every daemon yet: they
tell of themselves every 5 min (UPDATE_INTERVAL)."""

EDITS_AT_ONCE = 100

VACATE_TOTALS = ("TotalError", "TotalNotFound", "TotalBadStatus", "TotalPermissionDenied")
"""How a schedd counts jobs that it does not vacate."""

_AWAY = ("failed to connect", "communicat", "fetch ads", "timed out", "timeout", "secman:")


class Asker(Protocol):
    """Who answers questions: the bindings' process, or a recording of one."""

    @property
    def greeting(self) -> Mapping[str, object]: ...

    def ask(
        self, question: Mapping[str, object], timeout_s: float | None = None
    ) -> dict[str, object]: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class Answered:
    """When a startd answered last, and since when it has not; monotonic s."""

    silent_since: float | None = None
    tried: float = float("-inf")


class Pool:
    """A pool as one host's agent sees it. Addresses are kept: a collector that was started anew
    knows nobody for minutes, while all daemons go on."""

    def __init__(
        self,
        asker: Asker,
        schedds: Sequence[str] = (),
        timeout_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._asker = asker
        self._wanted = tuple(schedds)
        self._timeout_s = timeout_s
        self.monotonic = monotonic
        self._until = 0.0
        self._startds: dict[str, str] = {}
        self._schedds: dict[str, str] = {}
        self._answered: dict[str, Answered] = {}

    def begin(self) -> None:
        """Begin a call: all its questions share one time limit."""
        self._until = self.monotonic() + self._timeout_s

    @property
    def bindings(self) -> str:
        """The version of the bindings, once something was asked."""
        return str(self._asker.greeting.get("version", ""))

    def close(self) -> None:
        """End the bindings' process."""
        self._asker.close()

    # --- who is there ---------------------------------------------------------------------------

    def startds(self, workers: Sequence[str]) -> dict[str, Startd | None]:
        """Ask the startds of these workers themselves; None where one does not answer.

        One that did not answer last time comes last, so that it takes no time from the others.
        """
        self._locate(workers)
        order = sorted(workers, key=lambda worker: self._silence(worker).silent_since is not None)
        found = {worker: self._startd(worker) for worker in order}
        return {worker: found[worker] for worker in workers}

    def silent_s(self, worker: str) -> float:
        """Return for how long a worker's startd has not answered; 0 when it answers."""
        since = self._silence(worker).silent_since
        return 0.0 if since is None else self.monotonic() - since

    def heard_of(self, worker: str) -> bool:
        """Return whether the collector has ever told of a worker's startd."""
        return worker in self._startds

    def schedds(self) -> dict[str, str]:
        """Return name and address of each schedd; SchedulerUnavailable when one has none."""
        names = ["Name", "MyAddress"]
        found = self.collector("Schedd", "true", names)
        self._schedds.update(_addresses(found, "Name"))
        for name in self._wanted:
            if name not in self._schedds:
                raise SchedulerUnavailable(
                    f"the collector knows no schedd {name!r}: see condor_status -schedd and "
                    "scheduler.schedds"
                )
        if not self._schedds:
            raise SchedulerUnavailable("the collector knows no schedd: see condor_status -schedd")
        return {
            name: at
            for name, at in self._schedds.items()
            if not self._wanted or name in self._wanted
        }

    def refuse_young_collector(self, why: str) -> None:
        """Raise SchedulerUnavailable if the collector was started just now: it cannot know yet."""
        for ad in self.collector("Collector", "true", ["MonitorSelfAge"]):
            age = condor_ad.number(ad, "MonitorSelfAge")
            if age is not None and age < YOUNG_S:
                raise SchedulerUnavailable(f"{why}, but was started only {age:.0f} s ago")

    # --- questions ------------------------------------------------------------------------------

    def collector(
        self, kind: str, where: str, names: Sequence[str], limit_s: float | None = None
    ) -> list[Ad]:
        """Return ads of the collector."""
        question = {"ask": "collector", "type": kind, "where": where, "names": list(names)}
        return _ads(self._ask("the collector", question, limit_s))

    def jobs(self, schedd: str, where: str, names: Sequence[str], limit: int) -> list[Ad]:
        """Return jobs of a queue; ``schedd`` is one of ``schedds()``."""
        asked = {"ask": "jobs", "at": self._schedds[schedd], "where": where, "names": list(names)}
        return _ads(self._ask(f"schedd {schedd}", {**asked, "limit": limit}))

    def history(
        self, schedd: str, where: str, names: Sequence[str], limit: int, within_s: float
    ) -> list[Ad]:
        """Return jobs that have left a queue, within half of the time that is left."""
        asked = {"ask": "history", "at": self._schedds[schedd], "where": where}
        question = {**asked, "names": list(names), "limit": limit, "within_s": within_s}
        rest_s = (self._until - self.monotonic()) / 2
        return _ads(self._ask(f"schedd {schedd}'s history", question, rest_s))

    def edit(self, schedd: str, edits: Sequence[tuple[str, str, str]]) -> None:
        """Set attributes of jobs; says nothing on whether it came about."""
        for start in range(0, len(edits), EDITS_AT_ONCE):
            some = [list(edit) for edit in edits[start : start + EDITS_AT_ONCE]]
            asked = {"ask": "edit", "at": self._schedds[schedd], "edits": some}
            self._ask(f"schedd {schedd}", asked)

    def vacate(self, schedd: str, where: str) -> str:
        """Have the job that a constraint names leave its machine, and wait in the queue again.

        Returns '' when it is leaving, else what the schedd counts, in its words.
        """
        asked = {"ask": "vacate", "at": self._schedds[schedd], "where": where}
        found = self._ask(f"schedd {schedd}", asked)
        told = found if isinstance(found, dict) else {}
        if condor_ad.whole(told, "TotalSuccess"):
            return ""
        counts = [f"{name} {n}" for name in VACATE_TOTALS if (n := condor_ad.whole(told, name))]
        return ", ".join(counts) or "no such job"

    def reschedule(self, schedd: str) -> None:
        """Ask a schedd for a negotiation cycle."""
        self._ask(f"schedd {schedd}", {"ask": "reschedule", "at": self._schedds[schedd]})

    def schedd_settings(self, schedd: str, names: Sequence[str]) -> dict[str, str]:
        """Return a schedd's own settings."""
        asked = {"ask": "settings", "at": self._schedds[schedd], "names": list(names)}
        return _texts(self._ask(f"schedd {schedd}", asked))

    def identity(self, schedd: str) -> tuple[str, bool]:
        """Return who the agent is to a schedd, and whether that has a user record of it."""
        found = self._ask(f"schedd {schedd}", {"ask": "identity", "at": self._schedds[schedd]})
        told = found if isinstance(found, dict) else {}
        return condor_ad.text(told, "user"), condor_ad.true(told, "known")

    def startd_settings(self, worker: str, names: Sequence[str]) -> dict[str, str]:
        """Return a startd's own settings; ``worker`` must have answered."""
        asked: dict[str, object] = {"ask": "settings", "at": self._startds[worker]}
        asked |= {"names": list(names), "unknown": True}
        return _texts(self._ask(f"the startd of {worker}", asked, STARTD_S))

    # --- how ------------------------------------------------------------------------------------

    def _locate(self, workers: Sequence[str]) -> None:
        """Learn the addresses of these workers' startds from the collector."""
        where = f"PartitionableSlot =?= true && {condor_ad.machines(workers)}"
        told: dict[str, Ad] = {}
        for ad in self.collector("Startd", where, ["Machine", "MyAddress"]):
            machine = condor_ad.text(ad, "Machine")
            for worker in workers:
                if condor_ad.is_called(machine, worker):
                    other = condor_ad.text(told.get(worker, ad), "Machine")
                    if other != machine:
                        raise SchedulerError(
                            f"two machines are called {worker}: {other} and {machine}; "
                            "write the whole name in hotslot.yaml"
                        )
                    told[worker] = ad
        for worker, ad in told.items():
            address = ad.get("MyAddress")
            if isinstance(address, str) and address:
                self._startds[worker] = address

    def _startd(self, worker: str) -> Startd | None:
        silence, now = self._silence(worker), self.monotonic()
        if silence.silent_since is not None and now - silence.tried < SILENT_AGAIN_S:
            return None
        limit_s = min(STARTD_S, self._until - now - self._timeout_s / 4)
        silence.tried = now
        found = None
        if worker in self._startds and limit_s > 0:
            asked = {"ask": "startd", "at": self._startds[worker], "names": list(SLOT)}
            with contextlib.suppress(SchedulerUnavailable):
                slots = _ads(self._ask(f"the startd of {worker}", asked, limit_s))
                found = startd_of(worker, slots)
        if found is None:
            silence.silent_since = now if silence.silent_since is None else silence.silent_since
        else:
            silence.silent_since = None
        return found

    def _silence(self, worker: str) -> Answered:
        return self._answered.setdefault(worker, Answered())

    def _ask(
        self, whom: str, question: Mapping[str, object], limit_s: float | None = None
    ) -> object:
        rest_s = self._until - self.monotonic()
        wait_s = rest_s if limit_s is None else min(limit_s, rest_s)
        if wait_s <= 0:
            raise SchedulerUnavailable(f"{whom}: no time left of {self._timeout_s:g} s")
        # The bindings' own patience ends first, so that their process need not be killed.
        patience = max(1, int(wait_s * 0.8))
        try:
            answer = self._asker.ask({**question, "limit_s": patience}, max(wait_s, 1.5))
        except ChildFailed as error:
            raise SchedulerUnavailable(f"{whom}: the bindings' process: {error}") from error
        words = answer.get("error")
        if words is not None:
            raise failure(whom, str(question["ask"]), condor_ad.line(str(words)))
        return answer.get("found")


def bindings(settings: Settings) -> Child:
    """Return the process that holds the bindings; it is started by the first question."""
    python = settings.python or sys.executable
    argv = [*settings.command, python, str(CHILD), settings.config]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("_CONDOR_")}
    return Child(argv, settings.timeout_s, {**environment, "LC_ALL": "C.UTF-8", "TZ": "UTC"})


def failure(whom: str, ask: str, words: str) -> SchedulerError:
    """Return the error that the bindings' words stand for: a look-up that fails is no answer."""
    looked = ask not in ("edit", "vacate", "settings", "identity")
    away = looked or any(word in words.lower() for word in _AWAY)
    return (SchedulerUnavailable if away else SchedulerError)(f"{whom}: {words}")


def _ads(found: object) -> list[Ad]:
    if not isinstance(found, list):
        raise SchedulerUnavailable("the bindings' answer is not a list")
    return [ad for ad in found if isinstance(ad, dict)]


def _texts(found: object) -> dict[str, str]:
    if not isinstance(found, dict):
        raise SchedulerError("the bindings' answer is not an object")
    return {str(name): condor_ad.line(str(value)) for name, value in found.items()}


def _addresses(ads: Iterable[Ad], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for ad in ads:
        key, address = ad.get(name), ad.get("MyAddress")
        if isinstance(key, str) and isinstance(address, str) and address:
            found[key] = address
    return found
