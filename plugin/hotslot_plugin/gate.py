"""Tell the startd how many CPUs a job may ask for on this worker now, as the agent says.

Run in the worker by the startd (STARTD_CRON, mode WaitForExit) for as long as the startd lives:
``gate.py [KICK [CONF]]``, where KICK is condor_update_machine_ad.
It asks ``GET /v1/gate?worker=NAME&have=N&wait=S``. The agent answers at once when the number is
not ``have``, else after ``wait`` seconds: 200 with lines ``Name=value``; 421: no such worker.
It prints ClassAd attributes: ``HotslotAdmitCpus``, which START reads, 0 once the agent has been
silent for agent_wait_s; ``HotslotGate``, why; the figures of the worker's job. All are checked:
the answer comes over a network that a job can reach. Needs the standard library, and hook.py.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

if __package__:
    from hotslot_plugin import hook
else:  # as installed in a worker: both in /usr/lib/hotslot
    import hook  # type: ignore[import-not-found,no-redef]  # pyright: ignore

HOLD_S = 20  # how long the agent is asked to hold a question
SLACK_S = 10.0  # and how long it may then take
FIRST_S = 2.0  # a gate that has just started waits so long before it closes
PACE_S = 0.5  # between two questions, whatever the agent answers
LONGEST_PAUSE_S = 5.0
CONF_S = 10.0  # between two looks at a hook.conf that is wrong
KICK_S = 1.0  # between two kicks; the startd gathers updates as long
STUCK_S = 90.0  # a question that lasts longer ends the gate; the startd starts another
WATCHDOG_S = 120  # and so does a gate that cannot even print

ADMIT = "HotslotAdmitCpus"
JOB = re.compile(r"[0-9]{1,10}\.[0-9]{1,9}@[A-Za-z0-9._@-]{1,253}")
WHOLE = re.compile(r"[0-9]{1,6}")
REAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")
FIGURES: dict[str, tuple[re.Pattern[str], Callable[[str], str]]] = {
    ADMIT: (WHOLE, lambda value: str(int(value))),
    "HotslotRequestedCpus": (WHOLE, lambda value: str(int(value))),
    "HotslotGrantedCpus": (WHOLE, lambda value: str(int(value))),
    "HotslotUsedCores": (REAL, lambda value: f"{float(value):.3f}"),
    "HotslotHeldCoreSeconds": (REAL, lambda value: f"{float(value):.3f}"),
    "HotslotUsedCoreSeconds": (REAL, lambda value: f"{float(value):.3f}"),
    "HotslotJob": (JOB, lambda value: f'"{value}"'),
}
"""What the agent may tell: how it must look, and how it looks in a ClassAd."""

Figures = dict[str, str]


class UnknownWorker(Exception):
    """The agent has no such worker: this worker is closed at once."""


def question(conf: hook.Conf, worker: str, have: int, hold_s: int) -> bytes:
    """Return the HTTP request; all parts must have been checked."""
    return (
        f"GET /v1/gate?worker={worker}&have={have}&wait={hold_s} HTTP/1.1\r\n"
        f"Host: {conf.address}\r\nConnection: close\r\n\r\n"
    ).encode()


def parse(answer: bytes) -> Figures:
    """Return the figures of an answer, ready to print; ValueError when any is not as it must be.

    Names that are not known are left out: the agent may be newer than the worker.
    """
    status, words = hook.parse_answer(answer)
    if status == 421:
        raise UnknownWorker
    if status != 200:
        raise ValueError(f"{status} {words}" if status else words)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length:[ \t]*([0-9]{1,9})[ \t]*\r?$", head)
    if length is None or int(length[1]) != len(body):
        raise ValueError("an answer that is cut off or has no length")
    figures: Figures = {}
    for line in body.decode("ascii", "replace").splitlines():
        name, equals, value = line.partition("=")
        pattern, shown = FIGURES.get(name, (None, str))
        if not equals or name in figures or (pattern and not pattern.fullmatch(value)):
            raise ValueError(f"an answer with {hook.shown(line)}")
        if pattern:
            figures[name] = shown(value)
    if ADMIT not in figures:
        raise ValueError(f"an answer without {ADMIT}")
    return figures


def ad(figures: Figures, why: str, update: bool) -> bytes:
    """Return what the startd reads: every attribute, and whether the collector is told at once."""
    lines = [f"{name} = {figures.get(name, 'undefined')}" for name in FIGURES]
    words = "".join(c if c not in '"\\' and " " <= c <= "~" else " " for c in why)
    lines += [f'HotslotGate = "{words}"', "- update:true" if update else "-"]
    return ("\n".join(lines) + "\n").encode()


class Gate:
    """What was printed last, and what is to be printed next; open only while the agent answers."""

    def __init__(self, wait_s: float, say: Callable[[bytes], None], now: float) -> None:
        self._wait_s = wait_s
        self._say = say
        self._heard = now - wait_s + min(FIRST_S, wait_s)
        self._shown: tuple[Figures, str] | None = None
        self.last = "nothing tried"

    @property
    def have(self) -> int:
        """The CPUs that a job may ask for, as the startd knows."""
        return int(self._shown[0][ADMIT]) if self._shown else 0

    def hear(self, figures: Figures, now: float) -> None:
        """Show what the agent says."""
        self._heard = now
        self._show(figures, "open" if int(figures[ADMIT]) else "closed by the agent")

    def shut(self, why: str) -> None:
        """Close, for a reason."""
        self._show({ADMIT: "0"}, f"closed: {why}")

    def look(self, now: float) -> None:
        """Close when the agent has been silent for too long."""
        if now - self._heard >= self._wait_s and not self._closed_for("agent"):
            self.shut(f"agent silent for {self._wait_s:g} s (last: {self.last})")

    def _closed_for(self, why: str) -> bool:
        return self._shown is not None and self._shown[1].startswith(f"closed: {why}")

    def _show(self, figures: Figures, why: str) -> None:
        before = self._shown
        if before == (figures, why):
            return
        update = before is None or (before[0][ADMIT], before[1]) != (figures[ADMIT], why)
        self._shown = figures, why
        self._say(ad(figures, why, update))


class Kicks:
    """Make the startd send its ad to the collector now.

    "- update:true" should do so. But until 24.0.21 it sends nothing unless an update of the slot is
    due for another reason, and condor_update_machine_ad is one. What it sets says nothing.
    """

    def __init__(self, command: str) -> None:
        self._command = command
        self._wanted = threading.Event()
        if command:
            threading.Thread(target=self._run, daemon=True).start()

    def want(self) -> None:
        """Kick soon; kicks that are wanted in the same second are one."""
        self._wanted.set()

    def _run(self) -> None:
        while self._wanted.wait():
            self._wanted.clear()
            try:
                subprocess.run([self._command], input=b"HotslotKick = 1\n", timeout=10, check=True)
            except (OSError, subprocess.SubprocessError) as error:
                os.write(2, f"hotslot: {error}\n".encode("ascii", "replace"))
            time.sleep(KICK_S)


Heard = Figures | UnknownWorker | str


def ask_for_ever(
    conf: hook.Conf, worker: str, have: Callable[[], int], heard: queue.SimpleQueue[Heard]
) -> None:
    """Ask one question after the other: figures, UnknownWorker, or why there is no answer."""
    hold_s, pause, jitter = 0, PACE_S, 0.75 + os.getpid() % 64 / 128
    slack_s = min(SLACK_S, conf.wait_s / 3)
    while True:
        asked = time.monotonic()
        message = question(conf, worker, have(), hold_s)
        said: Heard
        try:
            said = parse(hook.exchange(conf, message, asked + hold_s + slack_s))
            pause, hold_s = PACE_S, min(HOLD_S, int(conf.wait_s / 3))
        except UnknownWorker as unknown:
            said, pause = unknown, LONGEST_PAUSE_S
        except OSError as error:
            said, pause = hook.in_words(error), min(pause * 2, LONGEST_PAUSE_S)
        except ValueError as odd:
            said, pause = str(odd), min(pause * 2, LONGEST_PAUSE_S)
        heard.put(said)
        if isinstance(said, dict):
            time.sleep(max(0.0, asked + PACE_S - time.monotonic()))
        else:
            time.sleep(pause * jitter)


def keep(conf: hook.Conf, worker: str, say: Callable[[bytes], None]) -> None:
    """Keep the gate until the startd is gone, or a question does not end."""
    startd = os.getppid()
    heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
    gate = Gate(conf.wait_s, say, time.monotonic())
    asker = (conf, worker, lambda: gate.have, heard)
    threading.Thread(target=ask_for_ever, args=asker, daemon=True).start()
    alive = time.monotonic()
    while os.getppid() == startd and time.monotonic() < alive + STUCK_S:
        signal.alarm(WATCHDOG_S)
        try:
            said = heard.get(timeout=0.25)
        except queue.Empty:
            gate.look(time.monotonic())
            continue
        alive = time.monotonic()
        if isinstance(said, dict):
            gate.hear(said, alive)
        elif isinstance(said, UnknownWorker):
            gate.shut(
                f"agent at {conf.address} has no worker {worker}: in hook.conf set agent= to this "
                "host's agent or node= to the name it knows, or add the worker to its hotslot.yaml"
            )
        else:
            gate.last = said
        gate.look(alive)
    gate.shut("the name service hangs")


def settings(path: str, shut: Callable[[str], None]) -> tuple[hook.Conf, str]:
    """Read hook.conf; as long as it is wrong, the worker is closed."""
    told = ""
    while True:
        try:
            conf = hook.read_conf(path)
            return conf, hook.this_worker(conf)
        except ValueError as mistake:
            if told != str(mistake):
                told = str(mistake)
                shut(told)
        time.sleep(CONF_S)


def main() -> None:
    """Run until the startd ends; closed at the end, whatever the end is."""
    kick, path = (*sys.argv[1:3], *("", hook.CONF)[len(sys.argv[1:3]) :])
    kicks = Kicks(kick)

    def say(lines: bytes) -> None:
        os.write(1, lines)  # in one piece: less than a pipe takes at once
        if lines.endswith(b"true\n"):
            kicks.want()

    def shut(why: str) -> None:
        say(ad({ADMIT: "0"}, f"closed: {why}", update=True))

    def stop(*_: object) -> None:
        try:
            shut("the gate was stopped")
        finally:
            os._exit(0)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        keep(*settings(path, shut), say)
    except BrokenPipeError:  # the startd is gone
        pass
    except Exception as error:  # noqa: BLE001
        shut(f"a defect of the gate: {type(error).__name__}: {error}")
    os._exit(1)


if __name__ == "__main__":
    main()
