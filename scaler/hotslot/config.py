"""The configuration: one YAML file, parsed and checked whole, then frozen.

Every problem is reported at once with its dotted path; an unknown key with the nearest known one.
The shipped ``config/hotslot.yaml`` holds every key with its default, unit and reason; a test
keeps the two equal.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from hotslot.errors import ConfigError, Problem

DEFAULT_PATH = Path("/etc/hotslot/hotslot.yaml")
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"

Name = Annotated[str, Field(pattern=NAME)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class Section(BaseModel):
    """A part of the configuration: unknown keys refused, no silent conversions, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Plugged(BaseModel):
    """A part that is chosen by name; the keys beside it are checked by what it names."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    name: Name

    @property
    def settings(self) -> Mapping[str, object]:
        """Return the keys beside ``name``."""
        return dict(self.model_extra or {})


class Host(Section):
    """The machine that runs the worker VMs."""

    name: Name | None = None
    cores: Annotated[int, Field(ge=1, le=4096)] | None = None


class Worker(Section):
    """A worker VM: its name in the scheduler and in the hypervisor, and its bounds in vCPUs.

    ``scheduler`` names whose jobs it runs, where this host has workers of several schedulers.
    """

    name: Name
    vm: Name | None = None
    scheduler: Name | None = None
    floor: Annotated[int, Field(ge=1, le=1024)] = 1
    ceiling: Annotated[int, Field(ge=1, le=1024)]

    @property
    def vm_name(self) -> str:
        """The VM's name in the hypervisor."""
        return self.vm or self.name

    @model_validator(mode="after")
    def _floor_below_ceiling(self) -> Worker:
        if self.floor > self.ceiling:
            raise ValueError(f"floor {self.floor} is above ceiling {self.ceiling}")
        return self


class Limits(Section):
    """What wraps every policy: how fast and how far a worker may be changed."""

    cooldown_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    max_step_down: Annotated[int, Field(ge=1, le=1024)] = 1024


class Lending(Section):
    """Whether cores that jobs do not use start other jobs, how carefully, and who gives way."""

    enabled: bool = True
    overcommit: Annotated[float, Field(ge=1, le=8)] = 1.0
    tolerated_pct: Annotated[float, Field(ge=0, le=100)] = 0.0
    lent_part: Annotated[float, Field(ge=0, le=1)] = 0.0
    start_part: Annotated[float, Field(ge=0.05, le=1)] = 1.0
    horizon_s: Annotated[float, Field(ge=1, le=86_400)] = 60.0
    risk: Annotated[float, Field(ge=0, le=1)] = 0.1
    growth: Annotated[float, Field(ge=0, le=16)] = 0.0
    requeue_after_s: Annotated[float, Field(ge=5, le=86_400)] | None = None


class Preferences(Section):
    """What jobs' owners may ask for."""

    elastic_no: bool = True
    min_part: Annotated[float, Field(ge=0, le=1)] = 1.0
    burst: bool = True
    deadline: bool = True
    deadline_days: Annotated[float, Field(gt=0, le=3650)] = 30.0


class Agent(Section):
    """How the agent beats, waits and listens."""

    socket: Path = Path("/run/hotslot/hotslotd.sock")
    socket_readers: Literal["group", "everyone"] = "group"
    socket_group: str | None = None
    socket_admin_group: str | None = None
    users_see_own_jobs_only: bool = False
    listen: str | None = None
    metrics_listen: str | None = None
    metrics_token_file: Path | None = None
    metrics_tls_cert: Path | None = None
    metrics_tls_key: Path | None = None
    interval_s: Annotated[float, Field(ge=0.1, le=60)] = 1.0
    observe_s: Seconds = 10.0
    reconcile_s: Seconds = 60.0
    offers_s: Seconds = 5.0
    action_deadline_s: Annotated[float, Field(ge=1, le=60)] = 15.0
    actions_at_once: Annotated[int, Field(ge=1, le=256)] = 4
    agent_wait_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    pokes_per_s: Annotated[float, Field(gt=0, le=1000)] = 5.0
    connections_per_address: Annotated[int, Field(ge=2, le=1024)] = 64
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @field_validator(
        "socket", "metrics_token_file", "metrics_tls_cert", "metrics_tls_key", mode="before"
    )
    @classmethod
    def _path(cls, value: object) -> object:
        return Path(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _guarded(self) -> Agent:
        if (self.metrics_tls_cert is None) != (self.metrics_tls_key is None):
            raise ValueError("metrics_tls_cert and metrics_tls_key go together; one is missing")
        if self.metrics_listen is None and (self.metrics_token_file or self.metrics_tls_cert):
            raise ValueError("metrics_token_file and metrics_tls_cert need metrics_listen")
        return self

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None:
            host_port(value)
        return value


class Record(Section):
    """Where the history is kept."""

    database: Path = Path("/var/lib/hotslot/hotslot.db")
    samples_kept_per_lease: Annotated[int, Field(ge=50, le=100_000)] = 600

    @field_validator("database", mode="before")
    @classmethod
    def _path(cls, value: object) -> object:
        return Path(value) if isinstance(value, str) else value


class Audit(Section):
    """Where it is kept who changed what, and for how long."""

    enabled: bool = True
    file: Path | None = None
    file_mb: Annotated[int, Field(ge=1, le=4096)] = 32
    file_days: Annotated[float, Field(gt=0, le=3660)] = 30.0
    keep_days: Annotated[float, Field(gt=0, le=36_600)] | None = 400.0

    @field_validator("file", mode="before")
    @classmethod
    def _path(cls, value: object) -> object:
        return Path(value) if isinstance(value, str) else value


class Config(Section):
    """All settings of one host's agent."""

    host: Host = Host()
    workers: Annotated[tuple[Worker, ...], Field(strict=False)]
    driver: Plugged
    scheduler: Annotated[tuple[Plugged, ...], Field(strict=False, min_length=1, max_length=8)]
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

    @field_validator("scheduler", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _known_schedulers(self) -> Config:
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
        return self

    @model_validator(mode="after")
    def _one_of_each(self) -> Config:
        if not self.workers:
            raise ValueError("workers is empty; name at least one worker VM")
        for what, seen in (
            ("name", [w.name for w in self.workers]),
            ("vm", [w.vm_name for w in self.workers]),
        ):
            doubled = sorted({name for name in seen if seen.count(name) > 1})
            if doubled:
                raise ValueError(f"workers share the {what} {', '.join(doubled)}")
        return self

    def worker(self, name: str) -> Worker | None:
        """Return the worker of this name, None if this host has none."""
        return next((worker for worker in self.workers if worker.name == name), None)

    def workers_of(self, scheduler: str) -> list[str]:
        """Return the names of the workers that run this scheduler's jobs."""
        first = self.scheduler[0].name
        return [w.name for w in self.workers if (w.scheduler or first) == scheduler]


def host_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` or ``[v6]:port``; ValueError says what is wrong."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65535:
        raise ValueError(f"{text!r} is not an address with a port, like 192.168.56.1:8765")
    return match[1] or match[2], int(match[3])


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
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        problems = [_problem(item) for item in error.errors(include_url=False)]
        if isinstance(tree.get("scheduler"), dict):  # the only one has no number in the file
            one = "scheduler[0]"
            problems = [replace(p, where=p.where.replace(one, "scheduler")) for p in problems]
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


def _problem(item: ErrorDetails) -> Problem:
    where = _dotted(item["loc"]) or "configuration"
    if item["type"] == "extra_forbidden":
        known = _known_keys(item["loc"])
        near = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
        return Problem(where, f"unknown key; {hint}")
    if item["type"] == "missing":
        return Problem(where, "is required and missing")
    what = item["msg"].removeprefix("Value error, ")
    shown = "" if isinstance(item["input"], dict | list | BaseModel) else f" (is {item['input']!r})"
    return Problem(where, what[0].lower() + what[1:] + shown[:200])


def _dotted(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in loc[:-1]:
        if isinstance(part, str) and part in model.model_fields:
            model = _section_of(model.model_fields[part].annotation) or model
    return list(model.model_fields)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_section_of(argument) for argument in get_args(annotation))
    return next((section for section in inner if section), None)
