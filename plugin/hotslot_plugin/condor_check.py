"""HTCondor settings that would hurt hotslot, as findings with what to type: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hotslot.model import Finding, Level
from hotslot_plugin.condor_runs import RESULTS
from hotslot_plugin.condor_slot import Startd

WORKER_FILE = "40-hotslot-worker.conf"
SUBMIT_FILE = "40-hotslot-submit.conf"
STARTD_SETTINGS = (
    "NUM_CPUS",
    "START",
    "STARTER_JOB_HOOK_KEYWORD",
    "HOTSLOT_HOOK_PREPARE_JOB",
    "HOTSLOT_HOOK_JOB_EXIT",
    "CLAIM_WORKLIFE",
    "CLAIM_PARTITIONABLE_LEFTOVERS",
    "ASSIGN_CPU_AFFINITY",
    "ALLOW_WRITE",
    "ALLOW_DAEMON",
    "ALLOW_ADMINISTRATOR",
)
SCHEDD_SETTINGS = (
    "QUEUE_SUPER_USERS",
    "PROTECTED_JOB_ATTRS",
    "JOB_TRANSFORM_NAMES",
    "UID_DOMAIN",
)
OLDEST = (23, 0)
"""What hotslot was measured with is 23.9.6."""


@dataclass(frozen=True, slots=True)
class SeenSchedd:
    """What a check looks at of a schedd; ``problem``: why it cannot."""

    name: str
    settings: Mapping[str, str]
    user: str
    known: bool
    problem: str = ""


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """What a check looks at of a worker; no settings: it did not tell them."""

    name: str
    startd: Startd | None
    settings: Mapping[str, str]


def findings(
    bindings: str, schedds: Sequence[SeenSchedd], workers: Sequence[SeenWorker]
) -> list[Finding]:
    """Return a line for each thing looked at."""
    return [
        _versions(bindings, workers),
        *(finding for schedd in schedds for finding in _schedd(schedd)),
        *(finding for worker in workers for finding in _worker(worker)),
    ]


def version(words: str) -> tuple[int, int]:
    """Return MAJOR.MINOR of ``$CondorVersion: 23.9.6 …``; (0, 0): unknown."""
    match = re.search(r"(\d{1,4})\.(\d{1,4})", words)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _versions(bindings: str, workers: Sequence[SeenWorker]) -> Finding:
    """Newer bindings speak with older daemons; the other way round nothing is promised."""
    pool = max((version(w.startd.version) for w in workers if w.startd), default=(0, 0))
    ours = version(bindings)
    found = f"bindings {_shown(ours)}, startds {_shown(pool)}"
    subject = "HTCondor's bindings"
    if pool != (0, 0) and pool < OLDEST:
        wanted = _shown(OLDEST)
        return Finding(subject, Level.WRONG, found, f"hotslot needs HTCondor {wanted} or newer")
    if ours < pool:
        remedy = "pip install --upgrade htcondor where scheduler.python is"
        return Finding(subject, Level.WARN, f"{found}: older than the pool", remedy)
    return Finding(subject, Level.OK, found)


def _shown(version: tuple[int, int]) -> str:
    return ".".join(map(str, version)) if version != (0, 0) else "?"


def _schedd(seen: SeenSchedd) -> Iterator[Finding]:
    subject = f"schedd {seen.name}"
    if seen.problem:
        remedy = "see that it runs and that the agent's token is in SEC_TOKEN_DIRECTORY"
        yield Finding(subject, Level.WRONG, seen.problem, remedy)
        return
    yield _super_user(subject, seen)
    yield _user_record(subject, seen)
    protected = {word.lower() for word in _words(seen.settings.get("PROTECTED_JOB_ATTRS", ""))}
    bare = [name for name in RESULTS if name.lower() not in protected]
    what = f"{subject} PROTECTED_JOB_ATTRS"
    if bare:
        found = f"{', '.join(bare)}: users can write their own figures"
        yield Finding(what, Level.WRONG, found, _install(SUBMIT_FILE, "the access point"))
    else:
        yield Finding(what, Level.OK, "names hotslot's attributes")
    what, names = f"{subject} JOB_TRANSFORM_NAMES", seen.settings.get("JOB_TRANSFORM_NAMES", "")
    if "hotslot" in (word.lower() for word in _words(names)):
        yield Finding(what, Level.OK, names)
    else:
        found = "no transform Hotslot: a submit file can hold figures of its own"
        yield Finding(what, Level.WARN, found, _install(SUBMIT_FILE, "the access point"))


def _super_user(subject: str, seen: SeenSchedd) -> Finding:
    """A name without a domain is not enough: ``hotslot`` is not hotslot@DOMAIN (23.9.6)."""
    supers = [name.lower() for name in _words(seen.settings.get("QUEUE_SUPER_USERS", ""))]
    what, user = f"{subject} QUEUE_SUPER_USERS", seen.user or "the agent"
    bare, domain = user.partition("@")[::2]
    own = bare in ("root", "condor") and domain in (seen.settings.get("UID_DOMAIN", domain), "")
    if user.lower() in supers or (own and bare in supers):
        return Finding(what, Level.OK, f"has {user}")
    found = f"has not {user}: it cannot write figures into the jobs of others"
    return Finding(what, Level.WRONG, found, _install(SUBMIT_FILE, "the access point"))


def _user_record(subject: str, seen: SeenSchedd) -> Finding:
    what, user = f"{subject} user record", seen.user or "the agent"
    if seen.known or user.partition("@")[0] in ("root", "condor"):
        return Finding(what, Level.OK, f"knows {user}")
    found = f"does not know {user}, and refuses what it writes"
    remedy = (
        f"once, as the account {user.partition('@')[0]} there: printf 'executable=/bin/true\\n"
        "hold=true\\nqueue\\n' | condor_submit, then condor_rm that job"
    )
    return Finding(what, Level.WRONG, found, remedy)


def _worker(seen: SeenWorker) -> Iterator[Finding]:
    subject, startd = f"worker {seen.name}", seen.startd
    if startd is None:
        found = "its startd does not answer, or has no partitionable slot"
        remedy = f"see condor_status -direct {seen.name} and {WORKER_FILE} in the worker"
        yield Finding(subject, Level.WRONG, found, remedy)
        return
    yield Finding(subject, Level.OK, f"a partitionable slot of {startd.total_cpus} CPUs")
    what = f"{subject} HotslotAdmitCpus"
    if startd.admits is None:
        found = "its gate publishes nothing, so no job starts here"
        yield Finding(what, Level.WRONG, found, _install(WORKER_FILE, "the worker"))
    else:
        yield Finding(what, Level.OK, f"{startd.admits} ({startd.gate or 'no words'})")
    if not seen.settings:
        found = "its startd does not tell its settings; not looked at"
        yield Finding(f"{subject} settings", Level.WARN, found, "allow the agent READ there")
        return
    for rule in _RULES:
        value = _defined(seen.settings.get(rule.key, ""))
        shown = f"{rule.key} = {value}" if value else f"{rule.key} is not set"
        if rule.good(value):
            yield Finding(f"{subject} {rule.key}", Level.OK, shown)
        else:
            remedy = _install(WORKER_FILE, "the worker")
            yield Finding(f"{subject} {rule.key}", rule.level, f"{shown}: {rule.harm}", remedy)


@dataclass(frozen=True, slots=True)
class _Rule:
    key: str
    good: Callable[[str], bool]
    harm: str
    level: Level = Level.WRONG


def _restricted(value: str) -> bool:
    """Nobody is let in whoever he is: no entry is ``*`` or ``*@…``."""
    return not any(word in ("*", "*/*") or word.startswith("*@") for word in _words(value))


def _false(value: str) -> bool:
    return value.lower() in ("false", "no", "0", "f")


_RULES = (
    _Rule("NUM_CPUS", str.isdigit, "the startd counts the few CPUs of an idle worker"),
    _Rule("START", lambda v: "hotslotadmitcpus" in v.lower(), "jobs start without the agent"),
    _Rule("STARTER_JOB_HOOK_KEYWORD", lambda v: v == "HOTSLOT", "jobs can start unsized"),
    _Rule("HOTSLOT_HOOK_PREPARE_JOB", bool, "nobody tells the agent of a job's start"),
    _Rule("HOTSLOT_HOOK_JOB_EXIT", bool, "a job's end is noticed late, its ad has no figures"),
    _Rule("CLAIM_WORKLIFE", lambda v: v == "0", "the next job starts without asking START"),
    _Rule("CLAIM_PARTITIONABLE_LEFTOVERS", _false, "two jobs can share a worker", Level.WARN),
    _Rule(
        "ASSIGN_CPU_AFFINITY",
        lambda v: not v or _false(v),
        "a job does not use CPUs that come back",
    ),
    _Rule("ALLOW_WRITE", _restricted, "users can set HotslotAdmitCpus"),
    _Rule("ALLOW_DAEMON", _restricted, "users can set HotslotAdmitCpus"),
    _Rule("ALLOW_ADMINISTRATOR", _restricted, "users can set HotslotAdmitCpus"),
)


def _install(file: str, where: str) -> str:
    return f"install hotslot's {file} on {where}, then: condor_reconfig"


def _words(value: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", _defined(value)) if word]


def _defined(value: str) -> str:
    """A setting that is known and has no value is told as ``Not defined``."""
    return "" if value == "Not defined" else value.strip()
