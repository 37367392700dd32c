"""The hook as slurmd runs it: a process, against a real socket."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from fakes.hook_agent import READY, WAIT, HookAgent, Way, flood, held, http, raw, trickle
from hotslot_plugin import hook

ENVIRONMENT = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "w1", "SLURM_JOB_CPUS_PER_NODE": "4"}
POKE = (
    b"POST /v1/poke HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s"
)


class Ran:
    """A hook that has run: its exit status, its words, and how long it took."""

    def __init__(
        self,
        directory: Path,
        event: str,
        conf: str,
        environment: Mapping[str, str] = ENVIRONMENT,
    ) -> None:
        begun = time.monotonic()
        done = subprocess.run(
            argv(directory, event, conf),
            env=dict(environment),
            capture_output=True,
            check=False,
            timeout=40,
        )
        self.took_s = time.monotonic() - begun
        self.status = done.returncode
        self.words = done.stderr.decode("ascii")
        assert done.stdout == b""
        assert self.words.count("\n") == (1 if self.words else 0)


def argv(directory: Path, event: str, conf: str) -> list[str]:
    """Return the hook's command, with this configuration."""
    path = directory / "hook.conf"
    path.write_text(conf)
    return [sys.executable, "-I", "-S", hook.__file__, event, str(path)]


def start(directory: Path, agent: HookAgent, wait_s: float = 20) -> Ran:
    return Ran(directory, "start", f"agent={agent.address}\nagent_wait_s={wait_s}\n")


def test_a_job_starts_when_the_agent_says_ready(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        ran = start(tmp_path, agent)
        body = b"event=start&job=7&worker=w1"
        assert agent.pokes == [POKE % (agent.address.encode(), len(body), body)]
    assert (ran.status, ran.words) == (0, "")


def test_a_job_whose_worker_is_being_sized_waits_for_it(tmp_path: Path) -> None:
    with HookAgent(WAIT, WAIT, held(0.3, WAIT), READY) as agent:
        ran = start(tmp_path, agent)
        assert len(agent.pokes) == 4
    assert (ran.status, ran.words) == (0, "")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (410, "over this run of job 7 has ended"),
        (404, "no_such_job the scheduler knows no such job 7"),
        (409, "elsewhere job 7 runs elsewhere: w2"),
    ],
)
def test_a_hint_that_is_not_believed_fails_no_prolog(
    tmp_path: Path, status: int, words: str
) -> None:
    with HookAgent(http(status, words)) as agent:
        ran = start(tmp_path, agent)
        assert len(agent.pokes) == 1
    assert ran.status == 0
    said = words.replace("_", " ")
    assert ran.words == f"hotslot: agent at {agent.address}: {said}; going on\n"


def test_an_unknown_worker_fails_at_once_and_says_what_to_set(tmp_path: Path) -> None:
    with HookAgent(http(421, "unknown_worker this agent does not manage 'w1'")) as agent:
        ran = start(tmp_path, agent)
    assert ran.status == 1
    assert ran.took_s < 10
    assert ran.words.startswith(f"hotslot: agent at {agent.address} does not manage worker w1: ")
    assert "agent=" in ran.words
    assert "node=" in ran.words


@pytest.mark.parametrize(
    "way",
    [
        http(503, "ask_later the scheduler does not answer"),
        http(429, "slow_down"),
        http(500, "Server got itself in trouble"),
        http(404, "404: Not Found"),
        http(409, "conflict"),
        http(200, "<html>It works!</html>"),
        http(410, "Gone"),
        raw(b""),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
        raw(b"HTTP/1.1"),
        raw(b"HTTP/1.1 200\r\n\r\n"),
        raw(b"HTTP/1.1 2000 OK\r\n\r\nready"),
        raw(b"\x00\xff" * 3000),
    ],
)
def test_what_is_no_useful_answer_is_tried_again(tmp_path: Path, way: Way) -> None:
    with HookAgent(way, READY) as agent:
        ran = start(tmp_path, agent)
        assert len(agent.pokes) == 2
    assert (ran.status, ran.words) == (0, "")


def test_an_agent_that_is_not_there_fails_the_prolog_after_the_wait(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    ran = Ran(tmp_path, "start", f"agent={address}\nagent_wait_s=1.5\n")
    assert ran.status == 1
    assert ran.words == (
        f"hotslot: agent at {address} did not answer for 1.5 s (last: connection refused); "
        "Slurm starts the job elsewhere\n"
    )
    assert 1.4 < ran.took_s < 6


def test_an_agent_that_comes_back_in_time_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = argv(tmp_path, "start", f"agent=127.0.0.1:{port}\nagent_wait_s=30\n")
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    with socket.create_server(("127.0.0.1", port)) as late:
        late.settimeout(20)
        connection, _ = late.accept()
        with connection:
            connection.recv(4096)
            READY(connection)
    _, words = process.communicate(timeout=20)
    assert (process.returncode, words) == (0, b"")


@pytest.mark.parametrize("way", [trickle, flood])
def test_an_agent_that_never_ends_its_answer_is_not_waited_for(tmp_path: Path, way: Way) -> None:
    with HookAgent(way) as agent:
        ran = start(tmp_path, agent, wait_s=1)
    assert ran.status == 1
    assert 0.9 < ran.took_s < 6


def test_a_stopped_agent_is_not_waited_for(tmp_path: Path) -> None:
    """The kernel accepts, nobody answers."""
    with HookAgent() as agent:
        ran = start(tmp_path, agent, wait_s=1)
    assert ran.status == 1
    assert "(last: no answer in time)" in ran.words
    assert ran.took_s < 6


def test_the_end_of_a_job_is_told_once(tmp_path: Path) -> None:
    with HookAgent(http(200, "ready noted")) as agent:
        ran = Ran(tmp_path, "end", f"agent={agent.address}\n")
        assert [poke.split(b"\r\n\r\n")[1] for poke in agent.pokes] == [
            b"event=end&job=7&worker=w1"
        ]
    assert (ran.status, ran.words) == (0, "")


@pytest.mark.parametrize(
    "way", [http(503, "later"), http(421, "unknown_worker"), raw(b""), trickle]
)
def test_the_end_of_a_job_never_fails(tmp_path: Path, way: Way) -> None:
    with HookAgent(way) as agent:
        ran = Ran(tmp_path, "end", f"agent={agent.address}\n")
        assert len(agent.pokes) == 1
    assert ran.status == 0
    assert ran.words.startswith(f"hotslot: agent at {agent.address}: ")
    assert ran.took_s < hook.END_S + 3


def test_the_end_of_a_job_waits_two_seconds_at_most(tmp_path: Path) -> None:
    with HookAgent() as agent:
        ran = Ran(tmp_path, "end", f"agent={agent.address}\n")
    assert ran.status == 0
    assert hook.END_S - 0.1 < ran.took_s < hook.END_S + 3


@pytest.mark.parametrize(("event", "status"), [("start", 1), ("end", 0)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_wait_at_once(
    tmp_path: Path, event: str, status: int, number: int
) -> None:
    with HookAgent() as agent:
        command = argv(tmp_path, event, f"agent={agent.address}\n")
        process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE)
        _wait_until_it_asks(process.pid)
        begun = time.monotonic()
        process.send_signal(number)
        _, words = process.communicate(timeout=10)
    assert (process.returncode, words) == (
        status,
        b"hotslot: stopped while waiting for the agent\n",
    )
    assert time.monotonic() - begun < 1.5


def _wait_until_it_asks(pid: int) -> None:
    """Wait until the hook has its second thread, the one that asks."""
    for _ in range(400):
        if len(list(Path(f"/proc/{pid}/task").iterdir())) > 1:
            return
        time.sleep(0.01)
    raise AssertionError("the hook does not ask")


def test_an_agent_is_found_by_name_and_by_ipv6(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        named = agent.address.replace("127.0.0.1", "localhost")
        assert Ran(tmp_path, "start", f"agent={named}\nagent_wait_s=10\n").status == 0
    try:
        with HookAgent(READY, host="::1") as agent:
            assert start(tmp_path, agent).status == 0
    except OSError:
        pytest.skip("no IPv6 here")


def test_a_name_that_nobody_knows_says_so(tmp_path: Path) -> None:
    ran = Ran(tmp_path, "start", "agent=hotslot.invalid:1\nagent_wait_s=1\n")
    assert ran.status == 1
    assert "cannot be resolved" in ran.words or "name service" in ran.words
    assert ran.took_s < 6


def test_the_node_may_be_named_in_the_configuration(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        conf = f"# this guest\nagent = {agent.address}\n\nnode = vm-1.site\n"
        ran = Ran(tmp_path, "start", conf, {"SLURM_JOB_ID": "7"})
        assert agent.pokes[0].endswith(b"worker=vm-1.site")
    assert ran.status == 0


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"SLURM_JOB_ID": ""}, "SLURM_JOB_ID: is not set; slurmd runs this as Prolog or Epilog"),
        ({"SLURM_JOB_ID": "7\r\nHost: x"}, r"SLURM_JOB_ID: '7\\r\\nHost: x' is not a job id"),
        ({"SLURM_JOB_ID": "7&worker=w2"}, "SLURM_JOB_ID: '7&worker=w2' is not a job id"),
        ({"SLURM_JOB_ID": "9" * 19}, "is not a job id"),
        ({"SLURM_JOB_ID": "٧"}, "is not a job id"),
        ({"SLURMD_NODENAME": ""}, "SLURMD_NODENAME: is not set"),
        ({"SLURMD_NODENAME": "w1\r\nX: y"}, r"SLURMD_NODENAME: 'w1\\r\\nX: y' is not a node name"),
        ({"SLURMD_NODENAME": "w" * 64}, "is not a node name"),
        ({"SLURMD_NODENAME": "ẃ1"}, "is not a node name"),
    ],
)
def test_an_odd_environment_is_refused_by_its_variable(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    environment = {k: v for k, v in {**ENVIRONMENT, **changed}.items() if v}
    with HookAgent(READY) as agent:
        conf = f"agent={agent.address}\n"
        ran = Ran(tmp_path, "start", conf, environment)
        assert Ran(tmp_path, "end", conf, environment).status == 0
        assert agent.pokes == []
    assert ran.status == 1
    assert words.replace("\\\\", "\\") in ran.words


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ("", "agent=HOST:PORT is missing"),
        ("agent=here\n", "agent: 'here' is not HOST:PORT"),
        ("agent=a:b\n", "agent: 'a:b' is not HOST:PORT"),
        ("agent=a:0\n", "agent: '0' is not a number from 1 to 65535"),
        ("agent=a:99999\n", "agent: '99999' is not a number from 1 to 65535"),
        ("agent=a b:1\n", "agent: 'a b:1' is not HOST:PORT"),
        ("agent=::1:80\n", "agent: '::1:80' is not HOST:PORT"),
        ("agent=a:1\nagent=b:1\n", "line 2: agent is given twice"),
        ("agent=a:1\nagent_wait=5\n", "line 2: 'agent_wait=5': known: agent, agent_wait_s, node"),
        ("agent=a:1\nagent_wait_s=soon\n", "agent_wait_s: 'soon' is not a number from 1 to 3600"),
        ("agent=a:1\nagent_wait_s=-1\n", "agent_wait_s: '-1' is not a number"),
        ("agent=a:1\nagent_wait_s=1e3\n", "agent_wait_s: '1e3' is not a number"),
        ("agent=a:1\nagent_wait_s=.\n", "agent_wait_s: '.' is not a number"),
        ("agent=a:1\nagent_wait_s=4000\n", "agent_wait_s: '4000' is not a number from 1 to 3600"),
        ("agent=a:1\nnode=\n", "node: '' is not a node name"),
        ("agent=a:1\nhello\n", "line 2: 'hello': known"),
    ],
)
def test_a_wrong_configuration_is_told_by_file_and_key(
    tmp_path: Path, conf: str, words: str
) -> None:
    ran = Ran(tmp_path, "start", conf)
    assert ran.status == 1
    assert ran.words.startswith(f"hotslot: {tmp_path}/hook.conf")
    assert words in ran.words
    assert Ran(tmp_path, "end", conf).status == 0


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    missing = [sys.executable, "-I", "-S", hook.__file__, "start", str(tmp_path / "none")]
    done = subprocess.run(missing, env=ENVIRONMENT, capture_output=True, check=False, text=True)
    assert done.returncode == 1
    assert done.stderr == f"hotslot: {tmp_path}/none: cannot be read: no such file or directory\n"
    (tmp_path / "none").write_bytes(b"agent=\xff\xfe\n")
    done = subprocess.run(missing, env=ENVIRONMENT, capture_output=True, check=False, text=True)
    assert done.stderr == f"hotslot: {tmp_path}/none: is not UTF-8 text\n"


@pytest.mark.parametrize("words", [[], ["begin"], ["start", "a", "b"]])
def test_a_wrong_usage_is_told(words: list[str]) -> None:
    command = [sys.executable, "-I", "-S", hook.__file__, *words]
    done = subprocess.run(command, env={}, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (
        2,
        "hotslot: usage: hook.py start|end|condor-start|condor-exit [CONF]\n",
    )


def test_the_hook_imports_nothing_that_is_not_built_in() -> None:
    program = (
        "import sys; before = set(sys.modules); "
        f"sys.path.insert(0, {str(Path(hook.__file__).parent)!r}); import hook; "
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-S", "-c", program]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert set(done.stdout.split()) <= {"__future__", "_socket", "hook"}
