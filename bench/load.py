"""A whole host under load: a real agent over fake VMs with real threads, pokes, and a report.

The agent is ``hotslotd`` with its record, its APIs, lending and metrics; load_plugins.py is its
hypervisor and its scheduler. Figures are of the agent's process, as the kernel counts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from load_plugins import LONG_ID, VCPUS, Plan, write_site

HERE = Path(__file__).parent
PREFERRED = -10
"""Nice value of the agent's session."""

# Forks processes with threads named like VirtualBox's vCPUs; the first ``awake`` of each run for a
# moment every second, thread 0 of every 32nd process for 5 ms.
PROGRAM = r"""
import os, signal, sys, threading, time

def vcpu(index, awake, busy):
    with open(f"/proc/self/task/{threading.get_native_id()}/comm", "w") as comm:
        comm.write(f"EMT-{index}")
    if index >= awake:
        threading.Event().wait()
    while True:
        until = time.thread_time() + (0.005 if busy and index == 0 else 0)
        while time.thread_time() < until:
            pass
        time.sleep(1)

def worker(number, threads, awake):
    for index in range(threads):
        busy = number % 32 == 0
        threading.Thread(target=vcpu, args=(index, awake, busy), daemon=True).start()
    os.write(1, b"%d\n" % os.getpid())
    signal.pause()

threading.stack_size(65536)
os.nice(5)
count, threads, awake = map(int, sys.argv[1:])
for number in range(count):
    if os.fork() == 0:
        worker(number, threads, awake)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""

# Says how late a sleeper that does nothing else is, in s, every second.
SLEEPER = r"""
import time
due = time.monotonic()
while True:
    due = max(due + 1, time.monotonic())
    time.sleep(due - time.monotonic())
    print(time.monotonic() - due, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What the host has to bear.

    ``awake`` of the 16 vCPU threads of each worker run every second. ``steady``: workers with one
    job all the time; the others take ``starts_per_s`` jobs of ``life_s`` each.
    """

    workers: int = 256
    steady: int = 128
    awake: int = 4
    starts_per_s: float = 50.0
    life_s: float = 2.0
    warm_s: float = 20.0
    measured_s: float = 60.0


class Cycle(NamedTuple):
    """One cycle of the agent; ``late_s`` after the beat at which it was due."""

    late_s: float
    wall_s: float
    cpu_s: float


class Usage(NamedTuple):
    """What the agent has used up so far, in s: its loop's thread, all others, and the loop's time
    ready to run without a core."""

    loop_s: float
    others_s: float
    loop_waited_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured over ``span_s``; ``rss_mb`` and ``descriptors`` at its begin and end.

    ``own_mb`` of the resident memory at the end are no pages of files.
    """

    span_s: float
    cycles: tuple[Cycle, ...]
    usage: Usage
    rss_mb: tuple[float, float]
    own_mb: float
    descriptors: tuple[int, int]
    answers: dict[int, int]
    answer_s: tuple[float, ...]
    reports: int
    sleeper_s: tuple[float, ...]
    machine_load: float


@contextmanager
def fake_vms(load: Load) -> Iterator[dict[str, int]]:
    """Run the processes; return the pid of each VM."""
    arguments = (load.workers, VCPUS, load.awake)
    command = [sys.executable, "-S", "-E", "-c", PROGRAM, *map(str, arguments)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as spawner:
        assert spawner.stdout is not None
        yield {f"v{n}": int(spawner.stdout.readline()) for n in range(load.workers)}
        spawner.communicate()


def settings(where: Path, load: Load) -> dict[str, Any]:
    """Return the agent's configuration but for what load_plugins.py adds."""
    return {
        "host": {"name": "load", "cores": load.workers * 6},
        "workers": [
            {"name": f"w{n}", "vm": f"v{n}", "ceiling": VCPUS} for n in range(load.workers)
        ],
        "agent": {
            "socket": str(where / "agent.sock"),
            "listen": "127.0.0.1:48991",
            "metrics_listen": "127.0.0.1:48992",
            "log_level": "error",
        },
    }


@contextmanager
def agent(where: Path, config: Path) -> Iterator[int]:
    """Run hotslotd; return its pid once it answers."""
    path = os.pathsep.join([str(where), str(HERE)])
    program = "from hotslot.agent import main; main()"
    command = [sys.executable, "-c", program, "--config", str(config)]
    env = {**os.environ, "PYTHONPATH": path}
    with subprocess.Popen(command, env=env, start_new_session=True) as running:
        try:
            _prefer(running.pid)
            until = time.monotonic() + 60
            while not (where / "agent.sock").exists():
                if running.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("the agent did not start; see what it says above")
                time.sleep(0.1)
            yield running.pid
        finally:
            running.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(30)
            running.kill()


def _prefer(pid: int) -> None:
    """Weigh a session more; a nice value would only count within it where sessions are grouped."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, PREFERRED)
        Path(f"/proc/{pid}/autogroup").write_text(str(PREFERRED))


@dataclass
class Pokes:
    """Pokes for each job of the plan at its start and at its end, as its worker's hooks do."""

    plan: Plan
    answers: dict[int, int]
    answer_s: list[float]

    async def run(self) -> None:
        """Poke for ever."""
        async with asyncio.TaskGroup() as tasks:
            for index in range(self.plan.steady):
                tasks.create_task(self._job(LONG_ID + index))
            job = 0
            while True:
                await asyncio.sleep(max(0.0, self.plan.started_at(job) - time.time()))
                tasks.create_task(self._job(job))
                job += 1

    async def _job(self, job: int) -> None:
        worker = self.plan.worker(job)
        await asyncio.sleep(max(0.0, self.plan.started_at(job) - time.time()))
        began = time.monotonic()
        said = await self._poke("start", job, worker)
        self.answer_s.append(time.monotonic() - began)
        self.answers[said] = self.answers.get(said, 0) + 1
        if job < LONG_ID:
            over_at = self.plan.started_at(job) + self.plan.life_s
            await asyncio.sleep(max(0.0, over_at + 0.01 - time.time()))
            await self._poke("end", job, worker)

    async def _poke(self, event: str, job: int, worker: int) -> int:
        """Ask from an address of the worker's own; 0 when there was no answer."""
        body = f"event={event}&job={job}&worker=w{worker}"
        head = (
            "POST /v1/poke HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        home = (f"127.1.{worker // 250}.{worker % 250 + 1}", 0)
        try:
            async with asyncio.timeout(15):
                reader, writer = await asyncio.open_connection("127.0.0.1", 48991, local_addr=home)
                writer.write((head + body).encode())
                answer = await reader.read()
                writer.close()
                return int(answer.split(b" ", 2)[1])
        except (OSError, TimeoutError, ValueError, IndexError):
            return 0


async def reports(config: Path, count: list[int]) -> None:
    """Run one report after the other."""
    program = "from hotslot.cli import main; main()"
    command = ["nice", "-n", "5", sys.executable, "-c", program, "--config", str(config), "report"]
    while True:
        child = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            _, said = await child.communicate()
        except asyncio.CancelledError:
            child.kill()
            await child.wait()
            raise
        if child.returncode:
            raise RuntimeError(f"the report failed: {said.decode()[-500:]}")
        count[0] += 1


@contextlib.asynccontextmanager
async def sleeper(late_s: list[float]) -> AsyncIterator[None]:
    """Run the sleeper beside, and keep what it says."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-E", "-c", SLEEPER, stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    stdout = child.stdout

    async def listen() -> None:
        while line := await stdout.readline():
            late_s.append(float(line))

    task = asyncio.create_task(listen())
    try:
        yield
    finally:
        child.kill()
        await child.wait()
        await task


def usage(pid: int) -> Usage:
    """Read what an agent's threads have used up."""
    loop_s = others_s = waited_s = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            run_ns, wait_ns, _ = map(int, (task / "schedstat").read_text().split())
        except OSError:
            continue
        if task.name == str(pid):
            loop_s, waited_s = run_ns / 1e9, wait_ns / 1e9
        else:
            others_s += run_ns / 1e9
    return Usage(loop_s, others_s, waited_s)


def rss_mb(pid: int) -> float:
    """Return a process's resident memory, in MB of 10^6 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def own_mb(pid: int) -> float:
    """Return what of that is no page of a file, which the kernel could drop or others share."""
    resident, of_files = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
    return (resident - of_files) * os.sysconf("SC_PAGE_SIZE") / 1e6


def descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cycles(diary: str, interval_s: float = 1.0) -> Iterator[Cycle]:
    """Yield a diary's cycles; when each was due is told as the agent's beat does."""
    due = float("-inf")
    for line in diary.splitlines():
        began, ended, cpu_s = map(float, line.split())
        due = began if due == float("-inf") else due
        yield Cycle(began - due, ended - began, cpu_s)
        due = max(due + interval_s, ended)


async def measured(load: Load, where: Path, pid: int, config: Path, plan: Plan) -> Found:
    """Put the load on an agent, and measure when it has warmed up."""
    pokes, count, late_s = Pokes(plan, {}, []), [0], list[float]()
    tasks = [asyncio.create_task(pokes.run()), asyncio.create_task(reports(config, count))]
    async with sleeper(late_s):
        await asyncio.sleep(load.warm_s)
        skipped = len((where / "diary").read_text(encoding="ascii").splitlines())
        late_s.clear()
        pokes.answers.clear()
        pokes.answer_s.clear()
        count[0] = 0
        began, used = time.monotonic(), usage(pid)
        rss, fds = rss_mb(pid), descriptors(pid)
        await asyncio.sleep(load.measured_s)
        span_s, after = time.monotonic() - began, usage(pid)
        diary = (where / "diary").read_text(encoding="ascii")
        found = Found(
            span_s,
            tuple(cycles(diary))[skipped:],
            Usage(*(new - old for old, new in zip(used, after, strict=True))),
            (rss, rss_mb(pid)),
            own_mb(pid),
            (fds, descriptors(pid)),
            dict(pokes.answers),
            tuple(pokes.answer_s),
            count[0],
            tuple(late_s),
            os.getloadavg()[0],
        )
    for task in tasks:
        task.cancel()
    for ended in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(ended, Exception):
            raise ended
    return found


def run(load: Load) -> Found:
    """Start everything, measure, end everything."""
    with tempfile.TemporaryDirectory(prefix="hotslot-load-") as name, fake_vms(load) as pids:
        where = Path(name)
        plan = Plan(load.workers, load.steady, load.starts_per_s, load.life_s, time.time() + 12)
        config = write_site(where, pids, plan, settings(where, load))
        with agent(where, config) as pid:
            return asyncio.run(measured(load, where, pid, config, plan))


def part(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
