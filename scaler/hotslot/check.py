"""What ``hotslot check`` looks at: everything that would hurt later, before it does.

Reads only; each finding says how it is and, when it is not well, what to type.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import psutil

from hotslot import schedulers
from hotslot.access import access_of
from hotslot.act import driver as drivers
from hotslot.client import ask
from hotslot.config import Agent, Config, Plugged, host_port
from hotslot.errors import AgentUnreachable, ConfigError, HotslotError
from hotslot.measure.procfs import supported
from hotslot.metrics_guard import guarded
from hotslot.model import Finding, Level
from hotslot.routes import App

LOOK_S = 30.0
"""Time limit of one group of checks."""


def check(config: Config, groups: Callable[[str], None] = lambda _: None) -> list[Finding]:
    """Run all checks; ``groups`` is told what is being looked at."""
    found: list[Finding] = []
    looks: list[tuple[str, Callable[[Config], Iterable[Finding]]]] = [
        ("this host", _host),
        ("the record", _record),
        ("the audit log", _audit),
        ("the agent", _agent),
        ("who may ask", _asking),
        (f"driver {config.driver.name}", _driver),
        *((f"scheduler {one.name}", partial(_scheduler, one)) for one in config.scheduler),
    ]
    for name, look in looks:
        groups(name)
        try:
            found.extend(look(config))
        except ConfigError as error:
            words = "; ".join(f"{one.where}: {one.what}" for one in error.problems)
            found.append(Finding(name, Level.WRONG, words, "see the message"))
        except HotslotError as error:
            found.append(Finding(name, Level.WRONG, str(error), "see the message"))
    return found


def _host(config: Config) -> Iterator[Finding]:
    if supported():
        yield Finding("vCPU clock", Level.OK, "the kernel counts run and wait time of threads")
    else:
        yield Finding(
            "vCPU clock",
            Level.WRONG,
            "/proc/self/schedstat gives no run-queue wait",
            "boot a kernel with CONFIG_SCHED_INFO (every distribution's has it)",
        )
    there = psutil.cpu_count() or 1
    cores = config.host.cores or there
    level = Level.OK if cores <= there else Level.WARN
    yield Finding(
        "host.cores",
        level,
        f"{cores} for workers, the machine has {there}",
        "" if level is Level.OK else f"set host.cores to {there} or less; jobs will share cores",
    )


def _record(config: Config) -> Iterator[Finding]:
    path = config.record.database
    folder = path.parent
    if path.exists():
        can = os.access(path, os.W_OK)
        how = "can be written" if can else "cannot be written by this user"
        remedy = "" if can else f"run as the agent's user, or chown it: chown USER {path}"
        yield Finding("record.database", Level.OK if can else Level.WRONG, f"{path} {how}", remedy)
    elif os.access(folder, os.W_OK):
        yield Finding("record.database", Level.OK, f"{path} will be made")
    else:
        remedy = f"mkdir -p {folder} && chown USER {folder}"
        what = f"{folder} does not exist or cannot be written by this user"
        yield Finding("record.database", Level.WRONG, what, remedy)


def _audit(config: Config) -> Iterator[Finding]:
    path = config.audit_file
    if path is None:
        yield Finding("audit.file", Level.OK, "no audit log is kept: audit.enabled is false")
        return
    there = path if path.exists() else path.parent
    if path.is_symlink():
        what = f"{path} is a symbolic link, which is not followed"
        yield Finding("audit.file", Level.WRONG, what, "name the file itself")
    elif problem := _audit_problem(config):
        what = f"the agent cannot write {path}: {problem}"
        yield Finding("audit.file", Level.WRONG, what, "entries wait, and are lost in the end")
    elif os.access(there, os.W_OK):
        yield Finding("audit.file", Level.OK, f"{path} can be written")
    else:
        what = f"{path} cannot be written by this user"
        remedy = f"run as the agent's user, or chown it: chown USER {there}"
        yield Finding("audit.file", Level.WRONG, what, remedy)


def _audit_problem(config: Config) -> str:
    """Return what the running agent says of its log, '' while all is well or it does not say."""
    try:
        kept = ask(config.agent.socket, "/v1/status")["agent"]["audit"]
        return str(kept["last_error"])
    except (AgentUnreachable, KeyError, TypeError):
        return ""


def _asking(config: Config) -> Iterator[Finding]:
    """Look at who may ask the agent, and what metrics ask for."""
    agent = config.agent
    try:
        access_of(agent)
    except ConfigError as error:
        for one in error.problems:
            remedy = "groupadd it, or name another one"
            yield Finding(one.where, Level.WRONG, one.what, remedy)
    if agent.metrics_listen is None:
        return
    with contextlib.suppress(OSError):
        owner = config.record.database.parent.stat().st_uid
        if os.geteuid() in (0, owner):
            yield from _guard(agent, owner)
    host, _ = host_port(agent.metrics_listen)
    plain = agent.metrics_token_file is not None and agent.metrics_tls_cert is None
    if plain and host not in ("127.0.0.1", "::1", "localhost"):
        what = f"the token goes over {host} as it is: who listens there can use it"
        yield Finding("agent.metrics_tls_cert", Level.WARN, what, "set certificate and key")


def _guard(agent: Agent, owner: int) -> Iterator[Finding]:
    """Look at token, certificate and key as the agent's user would."""
    try:
        guarded(App(), agent, owner)
    except ConfigError as error:
        for one in error.problems:
            yield Finding(one.where, Level.WRONG, one.what, "hotslotd would not start")


def _agent(config: Config) -> Iterator[Finding]:
    if config.agent.listen is None:
        yield Finding(
            "agent.listen",
            Level.WARN,
            "not set: hooks in workers cannot reach the agent, jobs are found within "
            f"{config.agent.reconcile_s:g} s only",
            "set agent.listen to the host's address on the host-only network, with a port",
        )
    else:
        yield _listen(config.agent.listen)
    yield from _answering(config.agent.socket)


def _listen(address: str) -> Finding:
    host, _ = host_port(address)
    try:
        wanted = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        return Finding(
            "agent.listen", Level.WRONG, f"{host}: {error}", "name an address of this host"
        )
    mine = {a.address.split("%")[0] for nic in psutil.net_if_addrs().values() for a in nic}
    if wanted & (mine | {"0.0.0.0", "::"}):  # noqa: S104 - compared, not bound
        if wanted & {"0.0.0.0", "::"}:  # noqa: S104
            what = f"{address} listens on every network of this host"
            return Finding("agent.listen", Level.WARN, what, "name the host-only network's address")
        return Finding("agent.listen", Level.OK, f"{address} is an address of this host")
    return Finding(
        "agent.listen", Level.WRONG, f"{host} is no address of this host", "see: ip -brief address"
    )


def _answering(path: Path) -> Iterator[Finding]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError as error:
            what = f"no agent answers at {path}: {error.strerror or error}"
            yield Finding("hotslotd", Level.WARN, what, "start it: systemctl start hotslotd")
            return
    yield Finding("hotslotd", Level.OK, f"answers at {path}")


def _driver(config: Config) -> list[Finding]:
    """Ask the running agent, which holds the hypervisor's connections; else look directly."""
    with contextlib.suppress(AgentUnreachable):
        answer = ask(config.agent.socket, "/v1/driver-check", LOOK_S)
        return [
            Finding(one["subject"], Level(one["level"]), one["found"], one["remedy"])
            for one in answer["findings"]
        ]
    return asyncio.run(_look_at_driver(config))


async def _look_at_driver(config: Config) -> list[Finding]:
    driver = drivers.connect(config.driver.name, config.driver.settings)
    try:
        async with asyncio.timeout(LOOK_S):
            return await driver.check([worker.vm_name for worker in config.workers])
    except TimeoutError:
        what = f"no answer within {LOOK_S:g} s"
        return [Finding(f"driver {driver.name}", Level.WRONG, what, "is the hypervisor stuck?")]
    finally:
        await driver.close()


def _scheduler(wanted: Plugged, config: Config) -> list[Finding]:
    scheduler = schedulers.connect(wanted.name, wanted.settings)
    try:
        return list(scheduler.check(config.workers_of(wanted.name), config.agent.agent_wait_s))
    finally:
        scheduler.close()
