"""A host with users who may look, workers whose root is hostile, and what they try with."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from live.cluster import eventually
from live.condor_cluster import CondorCluster
from testbed import Testbed
from testbed.run_dir import USERS

METRICS = "127.0.0.1:9323"
SECRET = "alices-secret"

HOSTILE_NAMES = {
    "lines": "one\ntwo\r\n2026-01-01 00:00:00,000 ERROR hotslotd: three",
    "quotes": "a'; DROP TABLE leases; --\"`$(touch /tmp/owned)`",
    "paths": "../../../../etc/cron.d/owned",
    "options": "--help",
    "long": "n" * 4096,
    "bytes": "caf\udce9\udcff\udc80",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt",
    "html": "</script><script>alert(1)</script><img src=x onerror=alert(1)>",
    "markup": "[red]x[/red] {0} %s =1+1",
}

HTTP = r"""
import json, socket, sys
where, said = sys.argv[1], []
for one in json.load(sys.stdin):
    try:
        if where.startswith("/"):
            wire = socket.socket(socket.AF_UNIX)
            wire.settimeout(30)
            wire.connect(where)
        else:
            host, port = where.split(":")
            wire = socket.create_connection((host, int(port)), 30)
        with wire:
            heard = b""
            try:
                wire.sendall(one.encode("latin-1"))
                while part := wire.recv(65536):
                    heard += part
            except ConnectionError:
                pass
        words = heard.split(b" ", 2)
        status = int(words[1]) if words[0].startswith(b"HTTP/") else 0
        said.append([status, heard.partition(b"\r\n\r\n")[2].decode("latin-1")])
    except OSError as error:
        said.append([-1, type(error).__name__])
print(json.dumps(said))
"""
"""Sends requests as they are; status 0: disconnected without an answer, -1: cannot connect."""

FLOOD = r"""
import collections, re, select, socket, sys, time
body = b"event=start&job=999999&worker=" + sys.argv[1].encode()
head = b"POST /v1/poke HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n"
one = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
until, said, lines = time.monotonic() + float(sys.argv[2]), collections.Counter(), []
while time.monotonic() < until:
    try:
        while len(lines) < 12:
            lines.append(socket.create_connection(("10.77.0.1", 8765), 10))
            lines[-1].sendall(one * 20)
        for line in select.select(lines, [], [], 1)[0]:
            codes = re.findall(rb"HTTP/1.1 ([0-9]+)", line.recv(65536))
            said.update(codes)
            line.sendall(one * len(codes))
    except OSError:
        for line in lines:
            line.close()
        lines = []
print(said[b"429"], sum(said.values()))
"""

IDLE = r"""
import socket, sys, time
held = []
for n in range(300):
    wire = socket.socket(socket.AF_UNIX)
    wire.settimeout(10)
    try:
        wire.connect(sys.argv[1])
        if n % 2:
            wire.sendall(b"GET /v1/status HTTP/1.1\r\nX: ")
        held.append(wire)
    except OSError:
        pass
print(len(held), flush=True)
time.sleep(9)
"""
"""Holds 300 connections, some silent, some with half a head."""

TRESPASS = r"""
import json, os, signal, socket, sys
said = {}
def attempt(what, how):
    try:
        how()
        said[what] = "done"
    except OSError as error:
        said[what] = type(error).__name__
def connect(path):
    with socket.socket(socket.AF_UNIX) as wire:
        wire.connect(path)
folder, pid, record = sys.argv[1], int(sys.argv[2]), sys.argv[1] + "/record"
for name in ("hotslot.db", "hotslot.db-wal", "hotslot.db-shm", "hotslot.db.lock", "audit.log",
             "audit.log.lock"):
    attempt("read " + name, lambda: open(f"{record}/{name}", "rb").read(1))
    attempt("write " + name, lambda: open(f"{record}/{name}", "ab"))
    attempt("remove " + name, lambda: os.unlink(f"{record}/{name}"))
    attempt("replace " + name, lambda: os.symlink("/etc/passwd", f"{record}/{name}.new"))
attempt("list", lambda: os.listdir(record))
attempt("settings", lambda: open(folder + "/hotslot.yaml", "ab"))
attempt("socket", lambda: os.unlink(folder + "/hotslotd.sock"))
attempt("link", lambda: os.symlink("/etc/passwd", folder + "/hotslotd.sock.new"))
for worker in ("w1", "w2", "c1"):
    attempt("hypervisor of " + worker, lambda: connect(f"{folder}/{worker}.qmp"))
attempt("signal", lambda: os.kill(pid, signal.SIGTERM))
attempt("memory", lambda: open(f"/proc/{pid}/mem", "r+b"))
attempt("environment", lambda: open(f"/proc/{pid}/environ", "rb").read())
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, pid, 19))
print(json.dumps(said))
"""
"""Tries the agent's files, sockets and process; says what came of each."""


def request(call: str, *head: str, body: str = "", host: str = "Host: x") -> str:
    """Return a request as it goes over the wire."""
    lines = [f"{call} HTTP/1.1", host, "Connection: close", *head]
    if body:
        lines += [f"Content-Length: {len(body)}"]
        lines += ["Content-Type: application/x-www-form-urlencoded"]
    return "\r\n".join(line for line in lines if line) + "\r\n\r\n" + body


def poke(**fields: str) -> str:
    """Return a poke as a request."""
    body = urllib.parse.urlencode(fields, errors="surrogateescape")
    return request("POST /v1/poke", body=body)


class Attacked(CondorCluster):
    """A cluster whose users exist on the host, too, and whose agent runs as its unit has it."""

    def __init__(self, bed: Testbed, **agent: Any) -> None:
        super().__init__(bed, **agent)
        names = "".join(f"{n}:x:{uid}:{uid}::{home}:/bin/sh\n" for n, (uid, home) in USERS.items())
        passwd = bed.path / "passwd"
        passwd.write_text(names)
        bed.host(["mount", "--bind", str(passwd), "/etc/passwd"])

    def popen_agent(self, config: Path, out: IO[str]) -> subprocess.Popen[str]:
        """Start an agent with the umask of its unit."""
        command = [str(Path(sys.executable).parent / "hotslotd"), "-c", str(config)]
        shell = ["sh", "-c", 'umask 0027; exec "$@"', "sh", *command]
        return self.bed.popen_host(shell, stdout=out, stderr=out)

    @property
    def agent_pid(self) -> int:
        """The agent's process id in the namespaces."""
        assert self._agent is not None
        return self.bed.namespaces.pid_inside(self._agent)

    def as_user(
        self, argv: Sequence[str], user: str = "bob", *, timeout: float = 120, input: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host as a normal user, in their home directory."""
        uid = str(USERS[user][0]) if user in USERS else user
        become = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", *argv]
        env = {"PATH": "/usr/bin:/bin", "COLUMNS": "120", "LANG": "C.UTF-8"}
        cwd = str(self.bed.home / user) if user in USERS else "/"
        return self.bed.host(become, check=False, timeout=timeout, env=env, cwd=cwd, input=input)

    def script_as(self, user: str, script: str, *arguments: str, input: str = "") -> str:
        """Run a Python script on the host as a normal user; return what it prints."""
        argv = [sys.executable, "-I", "-S", "-c", script, *arguments]
        done = self.as_user(argv, user, input=input)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def asks(self, user: str, *requests: str) -> list[tuple[int, str]]:
        """Send requests to the agent's socket as a user; return statuses and bodies."""
        said = self.script_as(user, HTTP, str(self.socket), input=json.dumps(requests))
        return [(status, body) for status, body in json.loads(said)]

    def asks_from(
        self, worker: str, *requests: str, where: str = "10.77.0.1:8765"
    ) -> list[tuple[int, str]]:
        """Send requests to the agent as root in a worker."""
        argv = ["python3", "-c", HTTP, where]
        done = self.bed.worker(worker).exec(argv, timeout=180, input=json.dumps(requests))
        return [(status, body) for status, body in json.loads(done.stdout)]

    @contextmanager
    def runs(
        self, worker: str, cpus: int, name: str = "sleeps", user: str = "alice"
    ) -> Iterator[str]:
        """Have a job that sleeps on a worker and keeps its CPUs; afterwards it is gone."""
        options = [f"-c{cpus}", "--comment=hotslot:elastic=no", f"--job-name={name}"]
        job = self.sbatch("-w", worker, *options, wrap="sleep 600", user=user)

        def there() -> bool:
            now = self.workers()[worker]
            return bool(now["job"] == job and now["granted_vcpus"] == cpus)

        try:
            eventually(there, 120, f"job {job} has its CPUs", self.explain)
            yield job
        finally:
            self.bed.run(["scancel", job], user="root")
            self.wait_gone(job)
