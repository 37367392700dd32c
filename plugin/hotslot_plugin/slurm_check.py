"""Slurm settings that would hurt hotslot, as findings with what to type: pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from hotslot.model import Finding, Level

TIMEOUT_MARGIN_S = 30.0
"""PrologEpilogTimeout must be this much longer than agent_wait_s: slurmd counts from before the
hook starts, and a prolog that is killed has no words."""

RECONFIGURE = "in slurm.conf, then: scontrol reconfigure"


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check looks at. ``nodes`` maps each known worker to its Gres; ``privilege`` is what
    Slurm lets ``user`` do: '' for an ordinary user."""

    config: Mapping[str, str]
    nodes: Mapping[str, str]
    user: str
    privilege: str


def parse_config(text: str) -> dict[str, str]:
    """Return the settings of ``scontrol show config``; ``Prolog[0]`` is told as Prolog."""
    settings: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*([A-Za-z_]+)(?:\[\d+\])?\s*=\s*(.*?)\s*", line)
        if match:
            value = "" if match[2] in ("(null)", "N/A") else match[2]
            settings[match[1]] = ",".join(filter(None, [settings.get(match[1], ""), value]))
    return settings


def findings(seen: Seen, workers: Collection[str], agent_wait_s: float) -> list[Finding]:
    """Return a line for each thing looked at."""
    return [
        *_settings(seen.config),
        _timeout(seen.config, agent_wait_s),
        _accounting(seen.config),
        *_workers(seen.nodes, workers),
        _permission(seen),
    ]


def versions(controller: str, client: str, pyslurm: str, source: str) -> Finding:
    """Say which way look-ups go, and why."""
    subject = "scheduler.source"
    found = f"{source}; slurmctld {controller or '?'}, commands {client or '?'}"
    found += f", pyslurm {pyslurm}" if pyslurm else ", no pyslurm"
    if source == "pyslurm" and series(pyslurm) != series(controller):
        wanted = ".".join(map(str, series(controller)))
        remedy = f"set scheduler.source: scontrol, or install a pyslurm of Slurm {wanted}"
        return Finding(subject, Level.WRONG, found, remedy)
    if controller and series(controller) < (23, 11):
        return Finding(subject, Level.WRONG, found, "hotslot needs Slurm 23.11 or newer")
    return Finding(subject, Level.OK, found)


def series(version: str) -> tuple[int, int]:
    """Return MAJOR.MINOR of a version: what pyslurm and Slurm must share; (0, 0): unknown."""
    match = re.match(r"\s*(\d{1,4})\.(\d{1,4})", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _settings(config: Mapping[str, str]) -> Iterator[Finding]:
    for rule in _RULES:
        value = config.get(rule.key, "")
        shown = f"{rule.key}={value}" if value else f"{rule.key} is not set"
        if rule.good(value):
            yield Finding(f"slurm.conf {rule.key}", Level.OK, shown)
        else:
            found = f"{shown}: {rule.harm}"
            yield Finding(f"slurm.conf {rule.key}", rule.level, found, rule.remedy(value))


@dataclass(frozen=True, slots=True)
class _Rule:
    key: str
    good: Callable[[str], bool]
    harm: str
    remedy: Callable[[str], str]
    level: Level = Level.WRONG


def _has(word: str) -> Callable[[str], bool]:
    return lambda value: word.lower() in [part.strip().lower() for part in value.split(",")]


def _add(key: str, word: str) -> Callable[[str], str]:
    return lambda value: f"set {key}={value + ',' if value else ''}{word} {RECONFIGURE}"


def _set(key: str, value: str, then: str = RECONFIGURE) -> Callable[[str], str]:
    return lambda _: f"set {key}={value} {then}"


_RESTART = "in slurm.conf, then restart slurmctld and every slurmd"
_RULES = (
    _Rule(
        "PrologFlags",
        _has("alloc"),
        "the Prolog runs at the first step only, a job can start unsized",
        _add("PrologFlags", "Alloc"),
    ),
    _Rule(
        "Prolog",
        bool,
        "nobody tells the agent of a job's start",
        _set("Prolog", "/usr/lib/hotslot/slurm-prolog"),
    ),
    _Rule(
        "Epilog",
        bool,
        "a job's end is noticed up to a minute late",
        _set("Epilog", "/usr/lib/hotslot/slurm-epilog"),
    ),
    _Rule(
        "SlurmdParameters",
        _has("config_overrides"),
        "a worker with fewer CPUs than slurm.conf says becomes INVAL and drains",
        _add("SlurmdParameters", "config_overrides"),
    ),
    _Rule(
        "TaskPlugin",
        lambda value: value in ("", "task/none"),
        "binding to CPUs refuses layouts when some are unplugged",
        _set("TaskPlugin", "task/none", _RESTART),
    ),
    _Rule(
        "SchedulerParameters",
        _has("nohold_on_prolog_fail"),
        "a job whose Prolog cannot reach the agent is held, not started elsewhere",
        _add("SchedulerParameters", "nohold_on_prolog_fail"),
    ),
    _Rule(
        "JobSubmitPlugins",
        _has("lua"),
        "nothing adds gres/vm:1, so jobs can share a worker",
        _add("JobSubmitPlugins", "lua"),
    ),
    _Rule(
        "GresTypes",
        _has("vm"),
        "without gres/vm jobs can share a worker",
        _add("GresTypes", "vm"),
    ),
    _Rule(
        "SelectType",
        lambda value: value == "select/cons_tres",
        "only cons_tres gives a job some of a worker's CPUs",
        _set("SelectType", "select/cons_tres", _RESTART),
    ),
    _Rule(
        "ReturnToService",
        lambda value: value == "2",
        "a worker that was away stays DOWN until somebody resumes it",
        _set("ReturnToService", "2"),
        Level.WARN,
    ),
)


def _timeout(config: Mapping[str, str], agent_wait_s: float) -> Finding:
    """The Prolog's limit is PrologTimeout where there is one (since 24.11), else the common one."""
    key = "PrologTimeout" if _seconds(config.get("PrologTimeout", "")) else "PrologEpilogTimeout"
    limit_s = _seconds(config.get(key, ""))
    needed_s = agent_wait_s + TIMEOUT_MARGIN_S
    subject, remedy = f"slurm.conf {key}", f"set {key}={needed_s:.0f} {RECONFIGURE}"
    if limit_s is None:
        found = f"{key} is not set: a hook that hangs blocks its node for ever"
        return Finding(subject, Level.WRONG, found, remedy)
    if limit_s < needed_s:
        found = f"{key}={limit_s}: shorter than agent_wait_s ({agent_wait_s:g} s) and some"
        return Finding(subject, Level.WRONG, found, remedy)
    return Finding(subject, Level.OK, f"{key}={limit_s}")


def _seconds(value: str) -> int | None:
    match = re.match(r"(\d{1,9})", value)
    return int(match[1]) if match and int(match[1]) not in (0, 65534, 65535) else None


def _accounting(config: Mapping[str, str]) -> Finding:
    subject, value = "slurm.conf AccountingStorageType", config.get("AccountingStorageType", "")
    if value == "accounting_storage/slurmdbd":
        return Finding(subject, Level.OK, value)
    found = f"{value or 'not set'}: sacct will not show what a job held and used"
    remedy = f"set AccountingStorageType=accounting_storage/slurmdbd {_RESTART}"
    return Finding(subject, Level.WARN, found, remedy)


def _workers(nodes: Mapping[str, str], workers: Collection[str]) -> Iterator[Finding]:
    for worker in workers:
        subject = f"Slurm node {worker}"
        if worker not in nodes:
            remedy = f"add NodeName={worker} … Gres=vm:1 to slurm.conf, or correct workers[].name"
            yield Finding(subject, Level.WRONG, "slurmctld knows no such node", remedy)
        elif not re.search(r"(^|,)vm(:[^,]*)?:1(\(|,|$)", nodes[worker]):
            found = f"Gres={nodes[worker] or '(none)'}: two jobs could share this worker"
            remedy = f"add Gres=vm:1 to NodeName={worker} {_RESTART}"
            yield Finding(subject, Level.WRONG, found, remedy)
        else:
            yield Finding(subject, Level.OK, f"Gres={nodes[worker]}")


def _permission(seen: Seen) -> Finding:
    subject = "permission to resume nodes"
    if seen.privilege:
        return Finding(subject, Level.OK, f"{seen.user}: {seen.privilege}")
    found = f"{seen.user or 'this user'} is neither root, SlurmUser nor an operator of Slurm"
    remedy = f"sacctmgr -i modify user {seen.user or 'USER'} set adminlevel=operator"
    return Finding(subject, Level.WRONG, found, remedy)
