"""hotslotd: signals, the steady beat, readiness to systemd."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import fcntl
import gc
import logging
import os
import resource
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from hotslot import __version__, foresight_file
from hotslot.access import access_of
from hotslot.api import command_app, hook_app, serve_commands, serve_hooks
from hotslot.audit.pump import AuditLog
from hotslot.audited import kept, watch
from hotslot.config import DEFAULT_PATH, Config, Worker, load
from hotslot.doors import Bounds
from hotslot.drains import Span
from hotslot.errors import AlreadyClaimed, ConfigError, DriverError, HotslotError, Problem
from hotslot.metrics import Metrics
from hotslot.metrics_guard import guarded
from hotslot.readiness import notify
from hotslot.reconcile import Reconciler
from hotslot.record.anew import open_or_begin_anew
from hotslot.record.writer import Writer
from hotslot.status import snapshot
from hotslot.wiring import Parts, Past, past_of, wire

log = logging.getLogger("hotslotd")

AWAY_S = 3.0
"""A pause between two beats that counts as having been away: a stopped or starved agent."""

CLAIM_S = 10.0
"""How long a claim may take at the start; what is not claimed then is so at its first action."""

REMEMBER_S = 600.0
"""How often what the forecast has learned is written down."""

LAST_WRITE_S = 10.0
"""How long the agent waits at its end for the record to be written."""


async def run(
    config: Config,
    writer: Writer,
    past: Past,
    stop: asyncio.Event,
    audit: AuditLog | None = None,
) -> None:
    """Run the agent until ``stop`` is set; VMs and jobs go on after it."""
    parts = wire(config, writer, past)
    metrics = _metrics(config, parts, audit)
    if audit is not None:
        watch(audit, parts.loop, parts.desks.values())
    try:
        await _claim(config, parts)
        await parts.loop.look_at_all()
        async with _serving(config, parts, metrics, audit):
            notify("READY=1")
            log.info("hotslot %s on %s: %d workers", __version__, parts.host, len(config.workers))
            async with asyncio.TaskGroup() as tasks:
                beats = [
                    tasks.create_task(_beat(parts, config.agent.interval_s, metrics)),
                    tasks.create_task(_observe(parts, config.agent.observe_s)),
                    *(
                        tasks.create_task(_compare(parts, one, config.agent.reconcile_s))
                        for one in parts.reconcilers
                    ),
                    *(tasks.create_task(one.run()) for one in parts.writers.values()),
                    tasks.create_task(parts.offers.run()),
                    tasks.create_task(_remember(config, parts)),
                ]
                if parts.returns is not None:
                    beats.append(tasks.create_task(parts.returns.run()))
                await stop.wait()
                for beat in beats:
                    beat.cancel()
    finally:
        notify("STOPPING=1")
        await parts.offers.lower()
        await _keep(config, parts)
        await parts.close()


def _metrics(config: Config, parts: Parts, audit: AuditLog | None) -> Metrics | None:
    """Count for Prometheus only where it may ask."""
    if config.agent.metrics_listen is None:
        return None
    metrics = Metrics(lambda: _status(config, parts, audit))
    parts.loop.on_event = metrics.changed
    return metrics


async def _claim(config: Config, parts: Parts) -> None:
    """Be the only agent that sizes these VMs; AlreadyClaimed when another one is."""
    claims = [_claimed(parts, worker) for worker in config.workers]
    await asyncio.gather(*claims)


async def _claimed(parts: Parts, worker: Worker) -> None:
    try:
        async with asyncio.timeout(CLAIM_S):
            await parts.driver.claim(worker.vm_name)
    except AlreadyClaimed:
        raise
    except (DriverError, TimeoutError) as error:
        log.warning("%s: not claimed yet: %s", worker.name, error or f"{CLAIM_S:g} s have passed")


async def _beat(parts: Parts, interval_s: float, metrics: Metrics | None = None) -> None:
    """Run a cycle at each beat; a late one is not made up for."""
    clock = asyncio.get_running_loop().time
    due, before = clock(), _since_boot_s()
    while True:
        now = _since_boot_s()
        away_s = now - before
        if away_s > max(AWAY_S, 3 * interval_s):
            wall = time.time()
            parts.away.append(Span(wall - away_s, wall))
            log.warning("was away for %.1f s (stopped, or the host is overloaded)", away_s)
            soon, parts.compare_soon = parts.compare_soon, asyncio.Event()
            soon.set()
        before = now
        try:
            began = clock()
            log.debug("%s", parts.loop.cycle())
            if metrics is not None:
                metrics.cycled(parts.loop, clock() - began)
        except Exception:
            log.exception("a cycle failed; the next one goes on")
        notify("WATCHDOG=1")
        due = max(due + interval_s, clock())
        await asyncio.sleep(due - clock())


def _since_boot_s() -> float:
    """Return s that no setting of the clock changes, those in which the host slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


async def _observe(parts: Parts, interval_s: float) -> None:
    """Look at what the hypervisor says, to notice changes by others."""
    while True:
        await asyncio.sleep(interval_s)
        parts.loop.observe()


async def _remember(config: Config, parts: Parts) -> None:
    """Keep what the forecast has learned, now and then."""
    while True:
        await asyncio.sleep(REMEMBER_S)
        await _keep(config, parts)


async def _keep(config: Config, parts: Parts) -> None:
    path = foresight_file.beside(config.record.database)
    remembered = parts.loop.sharing.forecast.remembered()
    await asyncio.to_thread(foresight_file.remember, remembered, path)


async def _compare(parts: Parts, reconciler: Reconciler, interval_s: float) -> None:
    """Compare with a scheduler every ``interval_s``, and at once after having been away."""
    while True:
        soon = parts.compare_soon
        try:
            await reconciler.run_once()
        except Exception:
            log.exception("comparing failed; it is tried again in %g s", interval_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await soon.wait()


@contextlib.asynccontextmanager
async def _serving(
    config: Config, parts: Parts, metrics: Metrics | None, audit: AuditLog | None
) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        commands = command_app(
            lambda: _status(config, parts, audit), partial(_driver_check, config, parts)
        )
        served = await serve_commands(commands, config.agent.socket, access_of(config.agent))
        stack.push_async_callback(served.close)
        if config.agent.listen is not None:
            hooks = hook_app(parts.pokes.answer, parts.gates.answer)
            bounds = Bounds(each=config.agent.connections_per_address)
            served = await serve_hooks(hooks, config.agent.listen, bounds=bounds)
            stack.push_async_callback(served.close)
        if metrics is not None and config.agent.metrics_listen is not None:
            address = config.agent.metrics_listen
            app, tls = guarded(metrics.app(), config.agent)
            served = await serve_hooks(app, address, "agent.metrics_listen", tls=tls)
            stack.push_async_callback(served.close)
        yield


def _status(config: Config, parts: Parts, audit: AuditLog | None) -> dict[str, Any]:
    """Return what ``hotslot status`` shows; the audit log is the process's, not a part's."""
    status = snapshot(config, parts)
    kept = None if audit is None else dataclasses.asdict(audit.state)
    return {**status, "agent": {**status["agent"], "audit": kept}}


async def _driver_check(config: Config, parts: Parts) -> list[dict[str, object]]:
    """Look at the hypervisor over the agent's own connections: it may allow only one."""
    found = await parts.driver.check([worker.vm_name for worker in config.workers])
    return [dataclasses.asdict(one) for one in found]


@contextlib.contextmanager
def sole_agent(database: Path) -> Iterator[None]:
    """Hold the lock of this database; ConfigError when another agent holds it."""
    path = database.with_name(database.name + ".lock")
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        what = f"{path} cannot be made: {error.strerror}"
        raise ConfigError("configuration", [Problem("record.database", what)]) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what = f"another agent uses {database}; stop it first (systemctl stop hotslotd)"
            raise ConfigError("configuration", [Problem("record.database", what)]) from error
        yield
    finally:
        os.close(lock)


async def _until_signalled(
    config: Config, writer: Writer, past: Past, audit: AuditLog | None
) -> None:
    _leave_alone_what_stays()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run(config, writer, past, stop, audit)


def main() -> None:
    """Start hotslotd; exit 2 when its configuration cannot be used, 1 when it cannot start now."""
    parser = argparse.ArgumentParser(prog="hotslotd", description="The agent of one host.")
    parser.add_argument(
        "--config", "-c", type=Path, default=DEFAULT_PATH, help="default: %(default)s"
    )
    parser.add_argument("--version", action="version", version=f"hotslotd {__version__}")
    arguments = parser.parse_args()
    code = 2
    try:
        config = load(arguments.config)
        code = 1
        logging.basicConfig(
            level=config.agent.log_level.upper(),
            format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        )
        _raise_descriptor_limit()
        with sole_agent(config.record.database), kept(config) as audit:
            store, aside = open_or_begin_anew(config.record.database, config.host.name or "")
            past = past_of(store)
            writer = Writer(store, points=config.record.samples_kept_per_lease, set_aside=aside)
            writer.start()
            try:
                asyncio.run(_until_signalled(config, writer, past, audit))
            finally:
                if not writer.close(LAST_WRITE_S):
                    log.error("the end of the record could not be written: %s", writer.state)
    except* HotslotError as group:
        for error in _leaves(group):
            print(f"hotslotd: {error}", file=sys.stderr)  # noqa: T201 - before logging is there
        raise SystemExit(code) from None


def _leave_alone_what_stays() -> None:
    """Have garbage collections look at what the agent makes from now on: modules and settings stay.

    A full one takes 15 to 31 ms then instead of 66, in the middle of a cycle or not.
    """
    gc.collect()
    gc.freeze()


def _raise_descriptor_limit() -> None:
    """Take all the descriptors that the hard limit allows: each vCPU thread needs one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _leaves(group: BaseExceptionGroup[HotslotError]) -> Iterator[HotslotError]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
