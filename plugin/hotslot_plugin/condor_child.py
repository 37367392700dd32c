"""The process that holds HTCondor's bindings: questions in and answers out as lines of JSON.

The bindings block for as long as a daemon is silent, hold the interpreter's lock meanwhile, and
print what they like: all that must happen to somebody else than the agent. Run by ``condor_pool``
as ``condor_child.py [CONDOR_CONFIG]``, by its path: the interpreter that has the bindings, 3.9 or
newer, may not have hotslot. This module alone imports htcondor2 (or htcondor, where only that
exists: 23.0 and before). Measured with htcondor2 25.14.1 and daemons of 23.9.6:

- ``Collector(location).query`` asks the daemon at the location itself, as condor_status -direct:
  1 ms. A frozen one takes QUERY_TIMEOUT, one that is gone 1 ms; both raise HTCondorException.
- ``Schedd.edit`` of job ids returns their number even where nothing was changed, for want of
  authority or because the job is gone: who edits must read back.
- The old htcondor (23.0.28) has no ping of its own and does not list users; its settings cannot be
  deleted, and an ad within an ad is a dict.
- An attribute whose text is not UTF-8 raises UnicodeDecodeError when it is read; others do not.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

TEXT_CHARS = 4096
"""Longest text that is passed on."""

LIST_LENGTH, DEPTH = 200, 4
"""More elements, or deeper ones, are cut off."""

EXPRESSION_CHARS = 1000
"""A longer expression is not evaluated. A short one sees literals only: no chain of attributes
that double each other's text can be built."""

_AS_NOBODY = ("SEC_CLIENT_AUTHENTICATION", "SEC_CLIENT_INTEGRITY", "SEC_CLIENT_ENCRYPTION")

MEMORY_BYTES = 4 * 2**30
OVERTIME_S = 5
"""A question that outlives its limit by this ends the process, even when the agent is gone."""


class Bindings:
    """HTCondor's modules, whatever their version."""

    def __init__(self) -> None:
        try:
            self.htcondor: Any = importlib.import_module("htcondor2")
            self.classad: Any = importlib.import_module("classad2")
        except ImportError:
            self.htcondor = importlib.import_module("htcondor")
            self.classad = importlib.import_module("classad")

    # --- questions ------------------------------------------------------------------------------

    def collector(self, question: dict[str, Any]) -> object:
        """Return ads that the collector has."""
        self._patience(question)
        kind = getattr(self.htcondor.AdTypes, question["type"])
        return self._plain_ads(
            self.htcondor.Collector().query(kind, question["where"], question["names"]), question
        )

    def startd(self, question: dict[str, Any]) -> object:
        """Return the ads of a startd's slots as it has them now."""
        self._patience(question)
        startd = self.htcondor.Collector(self._location(question))
        with self._unknown():
            found = startd.query(self.htcondor.AdTypes.Startd, projection=question["names"])
        return self._plain_ads(found, question)

    def jobs(self, question: dict[str, Any]) -> object:
        """Return jobs of a schedd's queue."""
        schedd = self.htcondor.Schedd(self._location(question))
        found = schedd.query(question["where"], question["names"], limit=question["limit"])
        return self._plain_ads(found, question)

    def history(self, question: dict[str, Any]) -> object:
        """Return jobs that have left a schedd's queue, at most ``within_s`` ago."""
        since = f"EnteredCurrentStatus < {int(time.time() - question['within_s'])}"
        schedd = self.htcondor.Schedd(self._location(question))
        found = schedd.history(
            question["where"], question["names"], match=question["limit"], since=since
        )
        return self._plain_ads(found, question)

    def edit(self, question: dict[str, Any]) -> object:
        """Set attributes of jobs: [job, attribute, expression] each."""
        schedd = self.htcondor.Schedd(self._location(question))
        for job, attribute, expression in question["edits"]:
            schedd.edit([job], attribute, expression)
        return len(question["edits"])

    def vacate(self, question: dict[str, Any]) -> object:
        """Have jobs leave their machines by a constraint, as condor_vacate_job does: they get their
        time to end. Returns the schedd's counts."""
        schedd = self.htcondor.Schedd(self._location(question))
        counts = schedd.act(self.htcondor.JobAction.Vacate, question["where"])
        told = {} if counts is None else self.plain_ad(counts, [str(name) for name in counts])
        return {name: count for name, count in told.items() if name.startswith("Total")}

    def reschedule(self, question: dict[str, Any]) -> object:
        """Ask for a negotiation cycle."""
        self.htcondor.Schedd(self._location(question)).reschedule()
        return 1

    def identity(self, question: dict[str, Any]) -> object:
        """Return who this process is to a schedd, and whether the schedd has a record of it."""
        at, schedd = self._location(question), self.htcondor.Schedd(self._location(question))
        if not hasattr(schedd, "queryUserAds"):  # the old bindings: not to be told
            ping = self.htcondor.SecMan().ping
            return {"user": str(ping(at, "WRITE").get("MyRemoteUserName", "")), "known": True}
        user = str(self.htcondor.ping(at, "WRITE").get("MyRemoteUserName", ""))
        return {"user": user, "known": user in [ad.get("User") for ad in schedd.queryUserAds()]}

    def settings(self, question: dict[str, Any]) -> object:
        """Return a daemon's own settings; one that it has not is left out."""
        with self._unknown() if question.get("unknown") else contextlib.nullcontext():
            values = self.htcondor.RemoteParam(self._location(question))
            found = {name: values.get(name) for name in question["names"]}
        return {name: str(value)[:TEXT_CHARS] for name, value in found.items() if value is not None}

    @contextlib.contextmanager
    def _unknown(self) -> Iterator[None]:
        """Ask as nobody in particular: a worker has no key with which to check the agent's token,
        and whoever may READ may ask. Where both sides can, they authenticate all the same."""
        before = {name: self.htcondor.param.get(name) for name in _AS_NOBODY}
        self.htcondor.param.update(dict.fromkeys(_AS_NOBODY, "OPTIONAL"))
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None and hasattr(self.htcondor.param, "__delitem__"):
                    del self.htcondor.param[name]
                else:  # empty counts as not set
                    self.htcondor.param[name] = str(value or "")

    def _location(self, question: dict[str, Any]) -> object:
        known = {"MyAddress": question["at"], "CondorVersion": "", "Name": "", "Machine": ""}
        return self.classad.ClassAd(known)

    def _patience(self, question: dict[str, Any]) -> None:
        self.htcondor.param["QUERY_TIMEOUT"] = str(max(1, int(question["limit_s"])))

    # --- values ---------------------------------------------------------------------------------

    def _plain_ads(self, ads: Any, question: dict[str, Any]) -> list[dict[str, object]]:
        return [self.plain_ad(ad, question["names"]) for ad in ads]

    def plain_ad(self, ad: Any, names: list[str]) -> dict[str, object]:
        """Return these attributes as values of JSON: evaluated where that is safe, else None."""
        values: dict[str, object] = {}
        expressions: dict[str, Any] = {}
        literals = self.classad.ClassAd()
        for name in names:
            try:
                value = ad[name]
            except (KeyError, ValueError):  # not there; not UTF-8
                continue
            if isinstance(value, self.classad.ExprTree):
                expressions[name] = value
                values[name] = None
                continue
            values[name] = self.plain(value)
            if isinstance(value, (bool, int, float)):
                literals[name] = value
        for name, expression in expressions.items():
            values[name] = self._evaluated(expression, literals)
        return values

    def _evaluated(self, expression: Any, literals: Any) -> object:
        try:
            if len(str(expression)) > EXPRESSION_CHARS:
                return None
            value = expression.eval(literals)
        except Exception:  # noqa: BLE001 - whatever it is, it is no value
            return None
        return None if isinstance(value, self.classad.ExprTree) else self.plain(value)

    def plain(self, value: Any, depth: int = 0) -> object:
        """Return a literal as a value of JSON, times as epoch s; None for what is none."""
        if value is None or isinstance(value, self.classad.Value) or depth > DEPTH:
            return None
        if isinstance(value, (bool, int)):
            return int(value) if abs(value) < 2**63 and not isinstance(value, bool) else value
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        if isinstance(value, str):
            return value[:TEXT_CHARS]
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, list):
            return [self.plain(element, depth + 1) for element in value[:LIST_LENGTH]]
        if isinstance(value, (self.classad.ClassAd, dict)):
            return self._plain_nested(value, depth)
        return None

    def _plain_nested(self, value: Any, depth: int) -> dict[str, object]:
        nested: dict[str, object] = {}
        for name in list(value)[:LIST_LENGTH]:
            try:
                nested[str(name)[:TEXT_CHARS]] = self.plain(value[name], depth + 1)
            except ValueError:  # not UTF-8
                continue
        return nested


def answer(bindings: Bindings, question: dict[str, Any]) -> dict[str, object]:
    """Answer one question; an error of HTCondor's is an answer, too."""
    asked: dict[str, Callable[[dict[str, Any]], object]] = {
        "collector": bindings.collector,
        "startd": bindings.startd,
        "jobs": bindings.jobs,
        "history": bindings.history,
        "edit": bindings.edit,
        "vacate": bindings.vacate,
        "reschedule": bindings.reschedule,
        "identity": bindings.identity,
        "settings": bindings.settings,
    }
    signal.alarm(int(question["limit_s"]) + OVERTIME_S)
    try:
        return {"found": asked[question["ask"]](question)}
    except Exception as error:  # noqa: BLE001 - the bindings raise what they like
        words = str(error)[:500] or "unknown error"
        return {"error": f"{type(error).__name__}: {words}"}
    finally:
        signal.alarm(0)


def main() -> None:
    """Answer questions until the pipe closes."""
    # What libraries print, from C, too, must not get between the answers.
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    if sys.argv[1:] and sys.argv[1]:
        os.environ["CONDOR_CONFIG"] = sys.argv[1]
    bindings = Bindings()
    print(json.dumps({"version": str(bindings.htcondor.version())}), file=out, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(bindings, json.loads(line))), file=out, flush=True)


if __name__ == "__main__":
    del sys.path[0]  # this folder: its modules are no business of the bindings
    main()
