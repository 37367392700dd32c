"""What is collected: each part by itself, so that one that fails or hangs costs its own time."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import shutil
import sqlite3
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

from hotslot import __version__
from hotslot.audit.files import all_of, last_of
from hotslot.audit.verify import entries
from hotslot.client import ask
from hotslot.config import Config, load
from hotslot.doctor.asking import NotCollected, said, text_of
from hotslot.errors import ConfigError
from hotslot.record.history import History

CALL_S = 10.0
CHECK_S = 90.0
WHOLE_S = 60.0

JOURNAL_LINES = 3000

LEASES = 100
"""Of the last so many runs, events and decisions are collected."""

ROWS = 5000


@dataclass(frozen=True, slots=True)
class Part:
    """A file of the archive: ``collect`` returns text, or plain values for JSON, within limit_s."""

    file: str
    about: str
    limit_s: float
    collect: Callable[[], Any]


def parts(path: Path, config: Config | None) -> Iterator[Part]:
    """Yield what is to be collected; ``config`` None: it cannot be used, most is left out."""
    yield Part("versions.json", "hotslot, Python, its libraries", CALL_S, _versions)
    yield Part("config.json", "the configuration, secrets blank", CALL_S, partial(settings, path))
    yield Part("system.json", "cores, memory, kernel, cgroups", CALL_S, partial(_system, config))
    yield Part("check.json", "what hotslot check finds", CHECK_S + 5, partial(_check, path))
    if config is not None:
        yield from _of(config)
    yield Part("unit.txt", "hotslotd's unit", CALL_S, _unit)
    yield Part("journal.txt", f"its last {JOURNAL_LINES:,} lines", 35, _journal)


def _of(config: Config) -> Iterator[Part]:
    database = config.record.database
    yield Part("tools.json", "versions of scheduler and hypervisor", 65, partial(_tools, config))
    yield Part(
        "status.json",
        "the agent's state now",
        CALL_S,
        lambda: ask(config.agent.socket, "/v1/status"),
    )
    yield Part("record.json", "size, rows and age of the record", 35, partial(_record, database))
    yield Part("integrity.txt", "SQLite's check of it", WHOLE_S, partial(_integrity, database))
    yield Part("runs.json", f"the last {LEASES} runs", 35, partial(_rows, database, _RUNS))
    yield Part("events.json", "their events", 35, partial(_rows, database, _EVENTS))
    yield Part("decisions.json", "their decisions", 35, partial(_rows, database, _DECISIONS))
    if config.audit_file is not None:
        yield Part("audit.json", "the audit log's last lines", 35, partial(_audit, config))


def settings(path: Path) -> Any:
    """Return the configuration as it is in the file; without comments, which nobody can check."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotCollected(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise NotCollected(f"{path} is not YAML{where}; its text is left out") from error
    try:
        load(path)
    except ConfigError as error:
        return {"file": str(path), "problems": [asdict(one) for one in error.problems], "is": tree}
    return {"file": str(path), "problems": [], "is": tree}


def _versions() -> dict[str, Any]:
    wanted = importlib.metadata.requires("hotslot") or []
    names = {re.split(r"[^A-Za-z0-9._-]", one)[0] for one in wanted}
    libraries: dict[str, str | None] = {}
    for name in sorted(names):
        try:
            libraries[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            libraries[name] = None
    return {
        "hotslot": __version__,
        "python": sys.version,
        "sqlite": sqlite3.sqlite_version,
        "libraries": libraries,
        "schedulers": [str(one) for one in _entries("hotslot.schedulers")],
        "drivers": [str(one) for one in _entries("hotslot.drivers")],
    }


def _entries(group: str) -> list[tuple[str, str]]:
    return sorted((one.name, one.value) for one in importlib.metadata.entry_points(group=group))


def _system(config: Config | None) -> dict[str, Any]:
    memory = psutil.virtual_memory()
    folder = config.record.database.parent if config is not None else Path("/var/lib")
    disk = shutil.disk_usage(folder) if folder.is_dir() else None
    return {
        "system": platform.platform(),
        "distribution": text_of("/etc/os-release").splitlines()[:4],
        "cores": {"logical": psutil.cpu_count(), "physical": psutil.cpu_count(logical=False)},
        "cores_of_this_process": len(os.sched_getaffinity(0)),
        "memory_bytes": {"total": memory.total, "available": memory.available},
        "load": os.getloadavg(),
        "up_since": psutil.boot_time(),
        "cgroup": text_of("/proc/self/cgroup"),
        "cgroup_controllers": text_of("/sys/fs/cgroup/cgroup.controllers"),
        "cpu_max": text_of("/sys/fs/cgroup/cpu.max"),
        "clock": text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "schedstat": text_of("/proc/self/schedstat"),
        "pressure": text_of("/proc/pressure/cpu"),
        "kvm": Path("/dev/kvm").exists(),
        "vboxdrv": Path("/dev/vboxdrv").exists(),
        "record_disk_bytes": None if disk is None else {"total": disk.total, "free": disk.free},
        "user": {"uid": os.geteuid(), "groups": os.getgroups()},
    }


def _check(path: Path) -> Any:
    """Run it as a process of its own, which can be ended when a scheduler hangs."""
    code = "from hotslot.cli import main; main()"
    text = said([sys.executable, "-c", code, "-c", str(path), "check", "--json"], CHECK_S)
    try:
        return json.loads(text.partition("\n(exit code")[0])
    except ValueError:
        return text


def _unit() -> str:
    shown = "ActiveState,SubState,Result,NRestarts,ExecMainStatus,MemoryCurrent,TasksCurrent"
    return said(["systemctl", "show", "hotslotd", f"--property={shown},FragmentPath"], CALL_S)


def _journal() -> str:
    command = ["journalctl", "-u", "hotslotd", "-u", "hotslot-prune", "--no-pager"]
    return said([*command, "-o", "short-iso-precise", "-n", str(JOURNAL_LINES)], 30)


def _tools(config: Config) -> dict[str, str]:
    commands = {
        "slurm": ["scontrol", "-V"],
        "htcondor": ["condor_version"],
        "virtualbox": ["VBoxManage", "--version"],
        "qemu": ["qemu-system-x86_64", "--version"],
        "systemd": ["systemctl", "--version"],
    }
    own = config.driver.settings.get("command")
    if config.driver.name == "virtualbox" and isinstance(own, list) and own:
        commands["virtualbox"] = [*map(str, own), "--version"]
    return {name: _or_why(command) for name, command in commands.items()}


def _or_why(command: list[str]) -> str:
    try:
        return said(command, CALL_S).strip()
    except NotCollected as error:
        return str(error)


def _record(database: Path) -> dict[str, Any]:
    sizes = {
        one.name: one.stat().st_size
        for one in sorted(database.parent.glob(f"{database.name}*"))
        if one.is_file()
    }
    with History(database) as history:
        (version,), *_ = history.select("PRAGMA user_version")
        last = {
            table: next(history.select(f"SELECT max(rowid) FROM {table}"))[0]  # noqa: S608 (fixed)
            for table in ("leases", "owners", "words", "changes")
        }
        facts = dict(history.select("SELECT key, value FROM meta"))
        open_now = next(history.select("SELECT count(*) FROM leases WHERE closed_ms IS NULL"))[0]
        with history.database() as db:
            made = {
                "tables": {table.name: list(table.columns_dict) for table in db.tables},
                "views": db.view_names(),
                "triggers": [trigger.name for trigger in db.triggers],
            }
    found = {"bytes": sizes, "schema": version, "last_row": last, "meta": facts, "open": open_now}
    return {**found, **made}


def _integrity(database: Path) -> str:
    with History(database) as history:
        return "\n".join(str(row[0]) for row in history.select("PRAGMA quick_check(20)"))


_LAST = f"(SELECT id FROM leases ORDER BY id DESC LIMIT {LEASES})"  # noqa: S608 (fixed)
_RUNS = (
    "lease_log",
    "id scheduler job_id run worker cpus phase user account partition name opened_at closed_at"
    " close_reason outcome exit_code",
    f"id IN {_LAST} ORDER BY id",
)
_EVENTS = (
    "event_log",
    "at worker lease_id from_vcpus to_vcpus got_vcpus reason result detail took_s",
    f"lease_id IN {_LAST} ORDER BY at DESC LIMIT {ROWS}",
)
_DECISIONS = (
    "decision_log",
    "at worker lease_id from_vcpus to_vcpus reason",
    f"lease_id IN {_LAST} ORDER BY at DESC LIMIT {ROWS}",
)


def _rows(database: Path, asked: tuple[str, str, str]) -> list[dict[str, Any]]:
    view, columns, which = asked
    names = ", ".join(columns.split()).replace(" name,", " name AS job_name,")
    with History(database) as history, history.database() as db:
        return list(db.query(f"SELECT {names} FROM {view} WHERE {which}"))  # noqa: S608 (fixed)


def _audit(config: Config) -> dict[str, Any]:
    path = config.audit_file
    if path is None or not all_of(path):
        raise NotCollected(f"there is no audit log at {path}")
    last = last_of(path)
    found = [asdict(line) for line in deque(entries(all_of(path)[-2:]), maxlen=500)]
    return {
        "files": {one.name: one.stat().st_size for one in all_of(path)},
        "head": last.hash if last else None,
        "last": found,
    }
