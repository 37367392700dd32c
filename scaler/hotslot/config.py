"""The configuration: one YAML file, parsed and checked whole, then frozen.

Every problem is reported at once with its dotted path; an unknown key with the nearest known one.
The shipped ``config/hotslot.yaml`` holds every key with its default, unit and reason; a test
keeps the two equal.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from hotslot.bounds import above, like, up_to, within
from hotslot.errors import ConfigError, Problem
from hotslot.settings import Fault, Faults, Kind, Rest, Steps, read, shown

DEFAULT_PATH = Path("/etc/hotslot/hotslot.yaml")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

Name = Annotated[str, like(NAME)]
Seconds = Annotated[float, above(0, 86_400)]


def host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``; ValueError says what is wrong."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65535:
        raise ValueError(f"{text!r} is not an address with a port, like 192.168.56.1:8765")
    return match[1] or match[2], int(match[3])


Address = Annotated[str, host_port]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugged:
    """A part that is chosen by name; the keys beside it are checked by what it names."""

    name: Name
    beside: Rest = field(default_factory=dict, hash=False)

    @property
    def settings(self) -> Mapping[str, object]:
        """Return the keys beside ``name``, a copy."""
        return dict(self.beside)


@dataclass(frozen=True, kw_only=True, slots=True)
class Host:
    """The machine that runs the worker VMs."""

    name: Name | None = None
    cores: Annotated[int, within(1, 4096)] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker VM: its name in the scheduler and in the hypervisor, and its bounds in vCPUs.

    ``scheduler`` names whose jobs it runs, where this host has workers of several schedulers.
    """

    name: Name
    vm: Name | None = None
    scheduler: Name | None = None
    floor: Annotated[int, within(1, 1024)] = 1
    ceiling: Annotated[int, within(1, 1024)]

    @property
    def vm_name(self) -> str:
        """The VM's name in the hypervisor."""
        return self.vm or self.name

    def __post_init__(self) -> None:
        if self.floor > self.ceiling:
            raise ValueError(f"floor {self.floor} is above ceiling {self.ceiling}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What wraps every policy: how fast and how far a worker may be changed."""

    cooldown_s: Annotated[float, within(0, 3600)] = 10.0
    max_step_down: Annotated[int, within(1, 1024)] = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Lending:
    """Whether cores that jobs do not use start other jobs, how carefully, and who gives way."""

    enabled: bool = True
    overcommit: Annotated[float, within(1, 8)] = 1.0
    tolerated_pct: Annotated[float, within(0, 100)] = 0.0
    lent_part: Annotated[float, within(0, 1)] = 0.0
    start_part: Annotated[float, within(0.05, 1)] = 1.0
    horizon_s: Annotated[float, within(1, 86_400)] = 60.0
    risk: Annotated[float, within(0, 1)] = 0.1
    growth: Annotated[float, within(0, 16)] = 0.0
    requeue_after_s: Annotated[float, within(5, 86_400)] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Preferences:
    """What jobs' owners may ask for."""

    elastic_no: bool = True
    min_part: Annotated[float, within(0, 1)] = 1.0
    burst: bool = True
    deadline: bool = True
    deadline_days: Annotated[float, above(0, 3650)] = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Agent:
    """How the agent beats, waits and listens."""

    socket: Path = Path("/run/hotslot/hotslotd.sock")
    socket_readers: Literal["group", "everyone"] = "group"
    socket_group: str | None = None
    socket_admin_group: str | None = None
    users_see_own_jobs_only: bool = False
    listen: Address | None = None
    metrics_listen: Address | None = None
    metrics_token_file: Path | None = None
    metrics_tls_cert: Path | None = None
    metrics_tls_key: Path | None = None
    interval_s: Annotated[float, within(0.1, 60)] = 1.0
    observe_s: Seconds = 10.0
    reconcile_s: Seconds = 60.0
    offers_s: Seconds = 5.0
    action_deadline_s: Annotated[float, within(1, 60)] = 15.0
    actions_at_once: Annotated[int, within(1, 256)] = 4
    agent_wait_s: Annotated[float, within(1, 3600)] = 60.0
    pokes_per_s: Annotated[float, above(0, 1000)] = 5.0
    connections_per_address: Annotated[int, within(2, 1024)] = 64
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def __post_init__(self) -> None:
        if (self.metrics_tls_cert is None) != (self.metrics_tls_key is None):
            raise ValueError("metrics_tls_cert and metrics_tls_key go together; one is missing")
        if self.metrics_listen is None and (self.metrics_token_file or self.metrics_tls_cert):
            raise ValueError("metrics_token_file and metrics_tls_cert need metrics_listen")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Where the history is kept."""

    database: Path = Path("/var/lib/hotslot/hotslot.db")
    samples_kept_per_lease: Annotated[int, within(50, 100_000)] = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Audit:
    """Where it is kept who changed what, and for how long."""

    enabled: bool = True
    file: Path | None = None
    file_mb: Annotated[int, within(1, 4096)] = 32
    file_days: Annotated[float, above(0, 3660)] = 30.0
    keep_days: Annotated[float, above(0, 36_600)] | None = 400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """All settings of one host's agent."""

    host: Host = Host()
    workers: tuple[Worker, ...]
    driver: Plugged
    scheduler: Annotated[tuple[Plugged, ...], up_to(8)]
    policy: Plugged = Plugged(name="hotslot")
    limits: Limits = Limits()
    lending: Lending = Lending()
    preferences: Preferences = Preferences()
    agent: Agent = Agent()
    record: Record = Record()
    audit: Audit = Audit()

    @property
    def audit_file(self) -> Path | None:
        """Where the audit log is written; None: nowhere."""
        if not self.audit.enabled:
            return None
        return self.audit.file or self.record.database.with_name("audit.log")

    def __post_init__(self) -> None:
        self._known_schedulers()
        self._one_of_each()

    def _known_schedulers(self) -> None:
        known = [scheduler.name for scheduler in self.scheduler]
        if doubled := sorted({name for name in known if known.count(name) > 1}):
            raise ValueError(f"scheduler has {', '.join(doubled)} twice")
        for worker in self.workers:
            if worker.scheduler is None and len(known) > 1:
                raise ValueError(
                    f"worker {worker.name} does not say whose jobs it runs; scheduler: one of "
                    f"{', '.join(known)}"
                )
            if worker.scheduler is not None and worker.scheduler not in known:
                raise ValueError(
                    f"worker {worker.name} has the scheduler {worker.scheduler}; known: "
                    f"{', '.join(known)}"
                )

    def _one_of_each(self) -> None:
        if not self.workers:
            raise ValueError("workers is empty; name at least one worker VM")
        for what, seen in (
            ("name", [w.name for w in self.workers]),
            ("vm", [w.vm_name for w in self.workers]),
        ):
            doubled = sorted({name for name in seen if seen.count(name) > 1})
            if doubled:
                raise ValueError(f"workers share the {what} {', '.join(doubled)}")

    def worker(self, name: str) -> Worker | None:
        """Return the worker of this name, None if this host has none."""
        return next((worker for worker in self.workers if worker.name == name), None)

    def workers_of(self, scheduler: str) -> list[str]:
        """Return the names of the workers that run this scheduler's jobs."""
        first = self.scheduler[0].name
        return [w.name for w in self.workers if (w.scheduler or first) == scheduler]


def load(path: Path) -> Config:
    """Read and check a configuration file; ConfigError lists every problem with its path."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(str(path), [Problem("file", f"cannot be read: {what}")]) from error
    return parse(text, str(path))


def parse(text: str, source: str = "configuration") -> Config:
    """Check the text of a configuration; see ``load``."""
    try:
        tree = yaml.load(text, Loader=_OnceLoader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(source, [Problem("yaml", " ".join(str(error).split()))]) from error
    except RecursionError as error:
        raise ConfigError(source, [Problem("yaml", "is nested too deeply")]) from error
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # of PyYAML's scalars
        what = f"has a value that is not of its kind: {ascii(str(error))[:200]}"
        raise ConfigError(source, [Problem("yaml", what)]) from error
    if not isinstance(tree, dict):
        raise ConfigError(source, [Problem("yaml", "is not a mapping of keys to settings")])
    only_one = isinstance(tree.get("scheduler"), dict)
    if only_one:
        tree["scheduler"] = [tree["scheduler"]]
    try:
        return read(Config, tree)
    except Faults as error:
        problems = [_problem(fault, only_one) for fault in error.faults]
        raise ConfigError(source, problems) from error


class _OnceLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key given twice, instead of keeping the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _problem(fault: Fault, only_one: bool) -> Problem:
    path = fault.path
    if only_one and path[:2] == ("scheduler", 0):  # the only one has no number in the file
        path = ("scheduler", *path[2:])
    what = f"unknown key; {fault.what}" if fault.kind is Kind.UNKNOWN else fault.what
    if fault.kind is Kind.WRONG and not isinstance(fault.value, dict | list):
        what += f" (is {shown(fault.value)})"
    return Problem(_dotted(path) or "configuration", what)


def _dotted(path: Steps) -> str:
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}"
    return text.lstrip(".")
