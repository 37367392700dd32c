"""The hook as HTCondor runs it: a job ad on stdin, and a way to fail that holds no job."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.hook_agent import READY, WAIT, HookAgent, Way, held, http, trickle
from hotslot_plugin import hook

AD = 'Args = "9"\nClusterId = 12\nGlobalJobId = "ap1.site#12.0#1795254337"\nOwner = "alice"\n'


class Ran:
    """A hook that has run: its exit status (negative: its signal), its words, how long it took."""

    def __init__(self, directory: Path, call: str, conf: str, ad: str = AD) -> None:
        path = directory / "hook.conf"
        path.write_text(conf)
        begun = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-I", "-S", hook.__file__, call, str(path)],
            env={},
            input=ad.encode(),
            capture_output=True,
            check=False,
            timeout=40,
        )
        self.took_s = time.monotonic() - begun
        self.status = done.returncode
        self.words = done.stderr.decode("ascii")
        self.to_the_log = done.stdout.decode("ascii")


def start(directory: Path, agent: HookAgent, wait_s: float = 20, ad: str = AD) -> Ran:
    conf = f"agent={agent.address}\nagent_wait_s={wait_s}\nnode=c1\n"
    return Ran(directory, "condor-start", conf, ad)


def end(directory: Path, agent: HookAgent, ad: str = AD) -> Ran:
    return Ran(directory, "condor-exit", f"agent={agent.address}\nnode=c1\n", ad)


def bodies(agent: HookAgent) -> list[bytes]:
    return [poke.partition(b"\r\n\r\n")[2] for poke in agent.pokes]


def test_a_job_starts_when_the_agent_says_ready(tmp_path: Path) -> None:
    with HookAgent(WAIT, READY) as agent:
        ran = start(tmp_path, agent)
        assert bodies(agent) == [b"event=start&job=12.0@ap1.site&worker=c1"] * 2
    assert (ran.status, ran.words, ran.to_the_log) == (0, "", "")


def test_the_exit_is_answered_when_the_figures_are_written(tmp_path: Path) -> None:
    with HookAgent(held(0.3, http(202, "wait")), http(200, "ready written")) as agent:
        ran = end(tmp_path, agent)
        assert bodies(agent) == [b"event=exit&job=12.0@ap1.site&worker=c1"] * 2
    assert (ran.status, ran.words, ran.to_the_log) == (0, "", "")


def test_a_job_is_never_held_when_the_agent_is_away(tmp_path: Path) -> None:
    """An exit status would hold it; a signal puts it back into the queue."""
    with HookAgent(http(503, 'ask_later the schedd says "no" \\')) as agent:
        ran = start(tmp_path, agent, wait_s=1)
    assert ran.status == -signal.SIGKILL
    assert 0.9 < ran.took_s < 6
    assert "did not answer for 1 s" in ran.words
    assert ran.words.endswith("; HTCondor starts the job again\n")
    assert ran.to_the_log.startswith('HookStatusMessage = "hotslot: agent at ')
    assert ran.to_the_log.count('"') == 2
    assert "\\" not in ran.to_the_log


def test_an_unknown_worker_is_told_when_time_is_up(tmp_path: Path) -> None:
    with HookAgent(http(421, "unknown_worker this agent does not manage 'c1'")) as agent:
        ran = start(tmp_path, agent, wait_s=1)
    assert ran.status == -signal.SIGKILL
    assert ran.took_s > 0.9
    assert "does not manage worker c1: in hook.conf set agent=" in ran.to_the_log


def test_a_worker_that_is_known_in_time_starts_its_job(tmp_path: Path) -> None:
    with HookAgent(http(421, "unknown_worker this agent does not manage 'c1'"), READY) as agent:
        assert start(tmp_path, agent).status == 0


@pytest.mark.parametrize(
    ("status", "words"),
    [(410, "over this run"), (404, "no_such_job 12"), (409, "elsewhere job 12 runs elsewhere: c2")],
)
def test_a_hint_that_is_not_believed_stops_no_job(tmp_path: Path, status: int, words: str) -> None:
    with HookAgent(http(status, words)) as agent:
        for ran in (start(tmp_path, agent), end(tmp_path, agent)):
            assert ran.status == 0
            assert ran.words.endswith("; going on\n")


@pytest.mark.parametrize(
    "ad",
    [
        "",
        'GlobalJobId = "ap1#12.0#1"\nGlobalJobId = "ap2#13.0#1"\n',
        'GlobalJobId = "ap1&worker=c2#12.0#1"\n',
        'GlobalJobId = "#12.0#1"\n',
        'GlobalJobId = "ap1#12#1"\n',
        'GlobalJobId = "ap1#12.0"\n',
        f'GlobalJobId = "{"a" * 254}#12.0#1"\n',
        'GlobalJobId = "ap1#12345678901.0#1"\n',
    ],
)
def test_an_odd_ad_is_the_jobs_own_doing_and_stops_nothing(tmp_path: Path, ad: str) -> None:
    with HookAgent(READY) as agent:
        for ran in (start(tmp_path, agent, ad=ad), end(tmp_path, agent, ad=ad)):
            assert ran.status == 0
            assert "GlobalJobId" in ran.words
            assert ran.to_the_log == ""
        assert agent.pokes == []


def test_a_long_ad_is_read_to_its_job(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        ran = start(tmp_path, agent, ad=f'Args = "{"x" * 3_000_000}"\n{AD}')
        assert bodies(agent) == [b"event=start&job=12.0@ap1.site&worker=c1"]
    assert ran.status == 0


@pytest.mark.parametrize("way", [http(503, "later"), trickle, http(400, "bad")])
def test_the_end_of_a_job_is_not_held_up_for_long(
    tmp_path: Path, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = tmp_path / "hook.py"
    source = Path(hook.__file__).read_text()
    assert "\nEXIT_S = 8.0 " in source
    hurried.write_text(source.replace("\nEXIT_S = 8.0 ", "\nEXIT_S = 1.0 "))
    monkeypatch.setattr(hook, "__file__", str(hurried))
    with HookAgent(way) as agent:
        ran = end(tmp_path, agent)
    assert (ran.status, ran.to_the_log) == (0, "")
    assert ran.words.startswith(f"hotslot: agent at {agent.address} did not answer for 1 s")
    assert ran.took_s < 5


def test_an_ad_that_never_ends_is_not_waited_for(tmp_path: Path) -> None:
    conf = tmp_path / "hook.conf"
    with HookAgent(READY) as agent:
        conf.write_text(f"agent={agent.address}\nagent_wait_s=1\n")
        command = [sys.executable, "-I", "-S", hook.__file__, "condor-start", str(conf)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={})
        assert process.wait(10) == -signal.SIGKILL
        process.communicate()


def test_a_wrong_configuration_takes_its_time_and_holds_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = tmp_path / "hook.py"
    source = Path(hook.__file__).read_text()
    assert "\nWAIT_S = 60.0 " in source
    hurried.write_text(source.replace("\nWAIT_S = 60.0 ", "\nWAIT_S = 1.0 "))
    monkeypatch.setattr(hook, "__file__", str(hurried))
    ran = Ran(tmp_path, "condor-start", "agent=here\n")
    assert ran.status == -signal.SIGKILL
    assert 0.9 < ran.took_s < 6
    assert "agent: 'here' is not HOST:PORT" in ran.to_the_log


def test_a_starter_that_stops_the_hook_holds_no_job(tmp_path: Path) -> None:
    conf = tmp_path / "hook.conf"
    with HookAgent() as agent:
        conf.write_text(f"agent={agent.address}\nnode=c1\n")
        command = [sys.executable, "-I", "-S", hook.__file__, "condor-start", str(conf)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env={})
        assert process.stdin is not None
        process.stdin.write(AD.encode())
        process.stdin.close()
        for _ in range(400):
            if len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 1:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == -signal.SIGKILL
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()
