"""What START may read: a number that the agent said, checked, and 0 whenever there is none."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.hook_agent import HookAgent, Way, flood, held, hold, http, raw, trickle
from hotslot_plugin import gate, hook

PROGRAM = (
    f"import sys; sys.path.insert(0, {str(Path(gate.__file__).parent)!r}); import gate; gate.main()"
)
FOUR = http(200, "HotslotAdmitCpus=4")
CLOSED = "0"


def answer(body: str, head: str = "HTTP/1.1 200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"{head}\r\nContent-Length: {size}\r\n\r\n{body}".encode()


def test_figures_are_shown_as_a_classad_wants_them() -> None:
    body = (
        "HotslotAdmitCpus=004\nHotslotUsedCores=2.5\nHotslotHeldCoreSeconds=7\n"
        "HotslotJob=12.0@second@ap-1.site\nHotslotFuture=&%\n"
    )
    assert gate.parse(answer(body)) == {
        "HotslotAdmitCpus": "4",
        "HotslotUsedCores": "2.500",
        "HotslotHeldCoreSeconds": "7.000",
        "HotslotJob": '"12.0@second@ap-1.site"',
    }


@pytest.mark.parametrize(
    "line",
    [
        "",
        "HotslotAdmitCpus=-1",
        "HotslotAdmitCpus=4.0",
        "HotslotAdmitCpus=1000000",
        "HotslotAdmitCpus=٤",
        "HotslotAdmitCpus=4 || true",
        "HotslotAdmitCpus=4\nHotslotAdmitCpus=8",
        "HotslotAdmitCpus=4\nSTART",
        "HotslotAdmitCpus=4\nHotslotUsedCores=inf",
        "HotslotAdmitCpus=4\nHotslotUsedCores=1e9",
        'HotslotAdmitCpus=4\nHotslotJob=12.0@ap"',
        "HotslotAdmitCpus=4\nHotslotJob=12.0@",
        "HotslotAdmitCpus=4\n- update:true",
        "HotslotRequestedCpus=4",
    ],
)
def test_a_figure_that_is_not_as_it_must_be_is_no_answer(line: str) -> None:
    with pytest.raises(ValueError, match="an answer"):
        gate.parse(answer(line))


def test_an_answer_that_is_cut_off_is_none() -> None:
    """Of 16 CPUs the first digit is a number, too."""
    with pytest.raises(ValueError, match="cut off"):
        gate.parse(answer("HotslotAdmitCpus=1", length=19))
    with pytest.raises(ValueError, match="no length"):
        gate.parse(b"HTTP/1.1 200 OK\r\n\r\nHotslotAdmitCpus=1")


NAMES = st.sampled_from([*gate.FIGURES, "HotslotGate", "START", "- update:true"])
LINES = st.lists(
    st.tuples(NAMES, st.text(max_size=30) | st.from_regex(r"[0-9.@a-z]{1,12}")).map("=".join)
).map("\n".join)


@given(LINES)
def test_whatever_is_answered_the_ad_has_its_own_lines_only(body: str) -> None:
    encoded = body.encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(encoded), encoded)
    try:
        figures = gate.parse(whole)
    except ValueError as error:
        assert "\n" not in str(error)
        return
    lines = gate.ad(figures, "open", update=True).decode().splitlines()
    assert lines[-2:] == ['HotslotGate = "open"', "- update:true"]
    assert [line.partition(" = ")[0] for line in lines[:-2]] == list(gate.FIGURES)
    for line in lines[:-2]:
        assert re.fullmatch(r'[A-Za-z]+ = (undefined|[0-9.]+|"[0-9]+\.[0-9]+@[\w.@-]+")', line)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_none(received: bytes) -> None:
    with contextlib.suppress(ValueError, gate.UnknownWorker):
        gate.parse(received)


@given(st.text(max_size=200))
def test_a_reason_stays_in_its_string(why: str) -> None:
    line = gate.ad({gate.ADMIT: "0"}, why, update=False).decode("ascii").splitlines()[-2]
    assert re.fullmatch(r'HotslotGate = "[^"\\]*"', line)


class Printed:
    """What a gate printed: the number, why, whether the collector is told."""

    def __init__(self) -> None:
        self.ads: list[tuple[str, str, bool]] = []

    def say(self, lines: bytes) -> None:
        text = lines.decode()
        found = re.search(r'HotslotAdmitCpus = (\w+)\n(?s:.*)HotslotGate = "(.*)"\n', text)
        assert found
        self.ads.append((found[1], found[2], text.endswith("- update:true\n")))


@pytest.fixture
def printed() -> Printed:
    return Printed()


def test_a_gate_opens_when_the_agent_says_so_and_closes_when_it_is_silent(printed: Printed) -> None:
    held_open = gate.Gate(60.0, printed.say, 100.0)
    held_open.hear({gate.ADMIT: "4"}, 101.0)
    held_open.last = "connection refused"
    held_open.look(160.9)
    assert printed.ads == [("4", "open", True)]
    held_open.look(161.0)
    held_open.look(300.0)
    silent = "closed: agent silent for 60 s (last: connection refused)"
    assert printed.ads[1:] == [(CLOSED, silent, True)]
    held_open.hear({gate.ADMIT: "4"}, 301.0)
    assert printed.ads[2:] == [("4", "open", True)]


def test_a_gate_that_starts_without_an_agent_closes_after_two_seconds(printed: Printed) -> None:
    fresh = gate.Gate(60.0, printed.say, 100.0)
    fresh.look(101.9)
    assert printed.ads == []
    fresh.look(102.0)
    assert [ad[0] for ad in printed.ads] == [CLOSED]


def test_the_collector_is_told_of_a_change_only(printed: Printed) -> None:
    fresh = gate.Gate(60.0, printed.say, 100.0)
    fresh.hear({gate.ADMIT: "4", "HotslotUsedCores": "1.000"}, 101.0)
    fresh.hear({gate.ADMIT: "4", "HotslotUsedCores": "1.000"}, 121.0)
    fresh.hear({gate.ADMIT: "4", "HotslotUsedCores": "2.000"}, 141.0)
    fresh.hear({gate.ADMIT: "2", "HotslotUsedCores": "2.000"}, 142.0)
    assert [(ad[0], ad[2]) for ad in printed.ads] == [("4", True), ("4", False), ("2", True)]
    assert fresh.have == 2


class Running:
    """A gate that runs as the startd runs it."""

    def __init__(self, directory: Path, conf: str, kick: str = "") -> None:
        path = directory / "hook.conf"
        path.write_text(conf)
        command = [sys.executable, "-I", "-S", "-c", PROGRAM, kick, str(path)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.DEVNULL, env={})
        self._read = b""

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def ads(self, within_s: float = 10) -> Iterator[dict[str, str]]:
        """Yield what it prints, ad by ad, until it ends or prints nothing for so long."""
        assert self.process.stdout is not None
        out = self.process.stdout.fileno()
        while select.select([out], [], [], within_s)[0] and (piece := os.read(out, 65536)):
            self._read += piece
            while found := re.match(rb"((?:[^-].*\n)*)(- ?.*)\n", self._read):
                self._read = self._read[found.end() :]
                lines = found[1].decode().splitlines()
                ad = dict(line.split(" = ", 1) for line in lines)
                yield {**ad, "update": found[2].decode()}

    def next(self) -> tuple[str, str]:
        ad = next(self.ads())
        return ad["HotslotAdmitCpus"], ad["HotslotGate"].strip('"')


def conf(agent: HookAgent, wait_s: float = 30) -> str:
    return f"agent={agent.address}\nagent_wait_s={wait_s}\nnode=c1\n"


def test_a_gate_asks_with_what_it_has_and_follows_the_agent(tmp_path: Path) -> None:
    with (
        HookAgent(FOUR, held(0.2, http(200, "HotslotAdmitCpus=0")), hold) as agent,
        Running(tmp_path, conf(agent)) as running,
    ):
        assert running.next() == ("4", "open")
        assert running.next() == ("0", "closed by the agent")
        asked = [poke.split(b" HTTP")[0] for poke in agent.pokes[:2]]
        assert asked == [
            b"GET /v1/gate?worker=c1&have=0&wait=0",
            b"GET /v1/gate?worker=c1&have=4&wait=10",
        ]


@pytest.mark.parametrize(
    "way",
    [
        trickle,
        flood,
        raw(b""),
        raw(answer("HotslotAdmitCpus=8", length=99)),
        raw(answer("HotslotAdmitCpus=8\n" * 2)),
        http(200, "<html>It works!</html>"),
        http(500, "HotslotAdmitCpus=8"),
        http(503, "ask_later not known yet"),
    ],
)
def test_what_is_no_answer_closes_after_the_wait(tmp_path: Path, way: Way) -> None:
    with HookAgent(FOUR, way) as agent, Running(tmp_path, conf(agent, wait_s=1)) as running:
        assert running.next() == ("4", "open")
        cpus, why = running.next()
        assert cpus == CLOSED
        assert why.startswith("closed: agent silent for 1 s (last: ")


def test_an_agent_that_accepts_and_says_nothing_closes_it(tmp_path: Path) -> None:
    with HookAgent() as agent, Running(tmp_path, conf(agent, wait_s=1)) as running:
        assert running.next()[0] == CLOSED


def test_an_unknown_worker_is_closed_at_once_and_told_what_to_do(tmp_path: Path) -> None:
    unknown = http(421, "unknown_worker this agent does not manage a worker 'c1'")
    with HookAgent(FOUR, unknown) as agent, Running(tmp_path, conf(agent, 3600)) as running:
        assert running.next() == ("4", "open")
        cpus, why = running.next()
        assert cpus == CLOSED
        assert "has no worker c1: in hook.conf set agent=" in why


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_gate_that_is_stopped_closes(tmp_path: Path, number: int) -> None:
    with HookAgent(FOUR, hold) as agent, Running(tmp_path, conf(agent)) as running:
        assert running.next() == ("4", "open")
        running.process.send_signal(number)
        assert running.next() == (CLOSED, "closed: the gate was stopped")
        assert running.process.wait(10) == 0


def test_a_wrong_configuration_closes_once_and_is_looked_at_again(tmp_path: Path) -> None:
    with Running(tmp_path, "agent=here\n") as running:
        cpus, why = running.next()
        assert cpus == CLOSED
        assert "agent: 'here' is not HOST:PORT" in why
        assert running.process.poll() is None


def test_a_gate_ends_with_its_startd(tmp_path: Path) -> None:
    """Not only when it prints: an agent with nothing new to say would keep it for ever."""
    with HookAgent(FOUR, hold) as agent:
        (tmp_path / "hook.conf").write_text(conf(agent))
        command = f'{sys.executable} -I -S -c "$1" "" "$2" & echo pid $!; read line'
        shell = subprocess.Popen(
            ["sh", "-c", command, "startd", PROGRAM, str(tmp_path / "hook.conf")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert shell.stdout is not None
        pid = int(shell.stdout.readline().split()[1])
        for line in iter(shell.stdout.readline, b"- update:true\n"):
            assert line
        shell.kill()
        shell.wait(10)
        deadline = time.monotonic() + 10
        while Path(f"/proc/{pid}/cmdline").exists() and _alive(pid):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        shell.stdout.close()
        assert shell.stdin is not None
        shell.stdin.close()


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_startd_is_kicked_once_for_each_change(tmp_path: Path) -> None:
    kicked = tmp_path / "kicked"
    kick = tmp_path / "condor_update_machine_ad"
    kick.write_text(f"#!/bin/sh\n/bin/cat >>{kicked}\n")
    kick.chmod(0o755)
    same = http(200, "HotslotAdmitCpus=4\nHotslotUsedCores=1.5")
    with (
        HookAgent(FOUR, same, hold) as agent,
        Running(tmp_path, conf(agent), str(kick)) as running,
    ):
        first, second = (ad for _, ad in zip(range(2), running.ads(), strict=False))
        assert (first["update"], second["update"]) == ("- update:true", "-")
        assert second["HotslotUsedCores"] == "1.500"
        deadline = time.monotonic() + 10
        while not kicked.exists() or not kicked.read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert kicked.read_text() == "HotslotKick = 1\n"


def test_a_kick_that_fails_changes_nothing(tmp_path: Path) -> None:
    with HookAgent(FOUR, hold) as agent, Running(tmp_path, conf(agent), "/no") as running:
        assert running.next() == ("4", "open")
        time.sleep(0.3)
        assert running.process.poll() is None


def test_a_worker_without_a_name_in_hook_conf_asks_with_its_machines() -> None:
    settled, worker = gate.settings(str(_shipped()), pytest.fail)
    assert (settled.wait_s, worker) == (60.0, os.uname().nodename)


def _shipped() -> Path:
    return Path(hook.__file__).resolve().parents[2] / "config/slurm/hook.conf"
