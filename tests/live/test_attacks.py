"""Users of the host, root in a worker, and whoever names a job: none of them gains anything.

What HTCondor's jobs may try in particular is in test_condor_attacks.py.
"""

from __future__ import annotations

import csv
import io
import json
import re
import stat
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_string
from pathlib import Path

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from hotslot.api import command_app
from hotslot.cli import cli
from hotslot.client import ask
from hotslot.record.history import History
from live.attack_stage import (
    FLOOD,
    HOSTILE_NAMES,
    IDLE,
    METRICS,
    SECRET,
    TRESPASS,
    Attacked,
    poke,
    request,
)
from live.cluster import BIN, eventually
from testbed import Testbed

ALICE, BOB = "alice", "bob"
STATUS_S = 5.0
"""What root's question may take, whatever others do."""


@pytest.fixture(scope="module")
def attacked() -> Iterator[Attacked]:
    hook_conf = "agent=10.77.0.1:8765\nagent_wait_s=20\n"
    with (
        Testbed(workers=2, condor_workers=1, vcpus=4, hook_conf=hook_conf) as bed,
        Attacked(
            bed,
            agent_wait_s=20,
            socket_readers="everyone",
            users_see_own_jobs_only=True,
            metrics_listen=METRICS,
        ) as cluster,
    ):
        yield cluster


def sizes(cluster: Attacked) -> dict[str, object]:
    return {name: worker["granted_vcpus"] for name, worker in cluster.workers().items()}


# --- a user of the host -------------------------------------------------------------------------

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X-ODD")
UNKNOWN = ("/", "/v1/jobs", "/v1/poke", "/v1/gate", "/metrics", "//v1/status", "/v1/status/../x")


def routes() -> list[str]:
    """Return the paths that the agent's socket knows."""

    async def look() -> list[dict[str, object]]:
        return []

    return command_app(dict, look).paths


@pytest.mark.timeout(400)
def test_users_of_the_host_see_their_own_jobs_and_change_nothing(attacked: Attacked) -> None:
    cluster = attacked
    with (
        cluster.runs("w1", 3, SECRET) as alices,
        cluster.runs("w2", 2, user=BOB) as bobs,
    ):
        before = sizes(cluster)
        _seen_of_others(cluster, alices, bobs)
        _asked_over_the_socket(cluster)
        _every_command(cluster, alices)
        _files_and_processes(cluster)
        assert sizes(cluster) == before
        for job in (alices, bobs):
            assert cluster.leases(job)[0].lease.closed_at is None
    cluster.wait_settled(120)
    assert "Traceback" not in cluster.log.read_text()


def _seen_of_others(cluster: Attacked, alices: str, bobs: str) -> None:
    for user, own in ((BOB, bobs), (ALICE, alices), ("54321", None)):
        ((status, body),) = cluster.asks(user, request("GET /v1/status"))
        assert status == 200
        workers = json.loads(body)["workers"]
        assert {one["job"] for one in workers} == {own, None}, user
        assert (SECRET in body) == (user == ALICE)
        assert [one["granted_vcpus"] for one in workers][:2] == [3, 2], "figures are for all"
    assert {alices, bobs} <= {one["job"] for one in cluster.workers().values()}, "root sees all"


def _asked_over_the_socket(cluster: Attacked) -> None:
    calls = [f"{method} {path}" for path in (*routes(), *UNKNOWN) for method in METHODS]
    said = dict(zip(calls, cluster.asks(BOB, *map(request, calls)), strict=True))
    assert {call for call, (status, _) in said.items() if status == 200} == {
        "GET /v1/status",
        "HEAD /v1/status",
    }
    assert {status for status, _ in said.values()} <= {200, 400, 403, 404, 405}
    assert said["GET /v1/driver-check"][0] == 403
    odd = {
        request("POST /v1/status", body="worker=w1&vcpus=4"): {403},
        request("POST /v1/status", "X-HTTP-Method-Override: GET", body="a=1"): {403},
        request("GET /v1/driver-check", "X-Forwarded-User: root", "Authorization: root"): {403},
        request("GET http://root@localhost/v1/driver-check"): {400, 403, 404},
        request("GET /v1/status", host=""): {200, 400},
        request("GET /v1/status", host="Host: evil.example\r\nHost: other"): {200, 400},
        request("GET /v1/status", "X-Long: " + "x" * 20_000): {0, 400, 431},
        request("GET /" + "x" * 4000): {403},
        request("GET /" + "x" * 20_000): {0, 400, 414, 431},
        request("GET /v1/status", *(f"X-{n}: {'y' * 1000}" for n in range(40))): {0, 400},
        request("POST /v1/status", body="z" * 100_000): {0, 403, 413},
        request("POST /v1/status", "Transfer-Encoding: chunked", body="0\r\n\r\n"): {400, 403},
        "\x16\x03\x01 this is no HTTP\r\n\r\n": {0, 400},
    }
    for (sent, good), (status, body) in zip(odd.items(), cluster.asks(BOB, *odd), strict=True):
        assert status in good, (sent[:200], status, body[:200])
        assert SECRET not in body


EVERY_COMMAND = {
    "advise": "", "assess": "--slurm none", "audit": "", "audit head": "", "audit show": "",
    "audit verify": "", "check": "", "doctor": "-o bobs.tar.gz", "explain": "w1",
    "export": "leases stolen.csv", "job": "{job}", "jobs": "", "prune": "--keep 1d",
    "replay": "none", "report": "", "report accounts": "", "report cluster": "--html stolen.html",
    "report hosts": "", "report jobs": "-o stolen.parquet", "report partitions": "",
    "report user": "alice", "report users": "", "status": "", "verify": "", "workers": "",
    "workers add": "w3 --template w1", "workers remove": "w1 --yes", "workers repair": "w1",
    "workers start": "w1", "workers stop": "w1",
}  # fmt: skip
"""Each with what to give it so that it does its worst."""

HARMLESS = {"check", "doctor", "explain", "status", "workers"}
"""Those that may end well for a user who is in no group."""


def commands(group: click.Group = cli, before: str = "") -> Iterator[str]:
    """Return every command's words."""
    for name, command in group.commands.items():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{before}{name}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{before}{name} ")


def _every_command(cluster: Attacked, job: str) -> None:
    assert set(commands()) == EVERY_COMMAND.keys(), "a new command is tried here, too"

    def run(words: str) -> tuple[str, int, str]:
        argv = [*words.split(), *EVERY_COMMAND[words].format(job=job).split()]
        done = cluster.as_user([str(BIN / "hotslot"), "-c", str(cluster.config), *argv])
        return words, done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(2) as pool:
        for words, code, said in pool.map(run, EVERY_COMMAND):
            assert SECRET not in said, words
            assert "Traceback" not in said, (words, said)
            assert code != 0 or words in HARMLESS, (words, said)
    home = cluster.home(BOB)
    assert not [path for path in home.glob("stolen*") if path.stat().st_size]
    with tarfile.open(home / "bobs.tar.gz") as tar:
        texts = [(member.name, tar.extractfile(member)) for member in tar.getmembers()]
        told = {name: file.read().decode() for name, file in texts if file}
    assert not [name for name, text in told.items() if SECRET in text]


def _files_and_processes(cluster: Attacked) -> None:
    said = json.loads(
        cluster.script_as(BOB, TRESPASS, str(cluster.bed.path), str(cluster.agent_pid))
    )
    assert len(said) > 30
    assert {what: how for what, how in said.items() if how != "PermissionError"} == {}
    for path in cluster.database.parent.iterdir():
        mode = stat.S_IMODE(path.stat().st_mode)
        assert not mode & 0o027, f"{path.name} has mode {mode:o}"


@pytest.mark.timeout(300)
def test_connections_that_idle_hold_nobody_else_up(attacked: Attacked) -> None:
    """300 of one user, some silent, some with half a head: root and others are answered."""
    cluster = attacked
    with ThreadPoolExecutor(1) as pool:
        bob = pool.submit(cluster.script_as, BOB, IDLE, str(cluster.socket))
        slowest, asked = 0.0, 0
        while not bob.done():
            began = time.monotonic()
            ask(cluster.socket, "/v1/status")
            slowest, asked = max(slowest, time.monotonic() - began), asked + 1
            time.sleep(0.1)
            if asked == 20:
                assert cluster.asks(ALICE, request("GET /v1/status"))[0][0] == 200
        assert int(bob.result()) > 100, "bob could try"
    assert asked > 20
    assert slowest < STATUS_S
    assert "too many connections from ('user', 1001)" in cluster.log.read_text()
    eventually(
        lambda: cluster.asks(BOB, request("GET /v1/status"))[0][0] == 200, 30, "bob may look again"
    )


@pytest.mark.timeout(300)
def test_roots_commands_write_through_no_link_of_a_user(attacked: Attacked) -> None:
    cluster, home = attacked, attacked.home(BOB)
    victim, fresh = cluster.bed.path / "victim", cluster.bed.path / "made-by-root"
    victim.write_text("as it was")
    victim.chmod(0o600)
    attempts = {
        "leases.csv": ("export", "leases", "{}"),
        "events.parquet": ("export", "events", "{}"),
        "traces/samples.parquet": ("export", "traces", str(home / "traces")),
        "jobs.csv": ("report", "jobs", "-o", "{}"),
        "week.txt": ("report", "users", "-o", "{}"),
        "week.html": ("report", "cluster", "--html", "{}"),
        "doctor.tar.gz": ("doctor", "-o", "{}"),
    }
    cluster.as_user(["mkdir", "traces"])
    for target, (name, words) in zip((victim, fresh) * 4, attempts.items(), strict=False):
        link = home / name
        assert cluster.as_user(["ln", "-s", str(target), name]).returncode == 0
        done = cluster.hotslot(*(word.format(link) for word in words), check=False, timeout=200)
        assert done.returncode == 1, (name, done.stdout, done.stderr)
        assert "link of somebody else's" in done.stderr or "cannot be made" in done.stderr
        assert victim.read_text() == "as it was", name
        assert not fresh.exists(), name


# --- root in a worker ---------------------------------------------------------------------------


@pytest.mark.timeout(400)
def test_root_in_a_worker_may_poke_and_learns_and_changes_nothing(attacked: Attacked) -> None:
    cluster = attacked
    with cluster.runs("w2", 3, SECRET) as job:
        before = sizes(cluster)
        _only_pokes_and_gates(cluster, job)
        _pokes_in_anothers_name(cluster, job)
        assert sizes(cluster) == before
        (row,) = cluster.leases(job)
        assert row.lease.closed_at is None
        began = time.time()
    cluster.wait_settled(120)
    (row,) = cluster.leases(job)
    assert row.lease.closed_at is not None
    assert row.lease.closed_at > began, "no second is lost by what others said"
    assert row.lease.totals.held_core_s >= 3 * (began - row.lease.opened_at) - 20


def _only_pokes_and_gates(cluster: Attacked, job: str) -> None:
    paths = (*routes(), "/v1/jobs", "/metrics", "/", "/v1/poke/../status", "//v1/status")
    calls = [f"{method} {path}" for path in paths for method in METHODS]
    calls += [f"{method} /v1/poke" for method in METHODS if method != "POST"]
    calls += [f"{method} /v1/gate" for method in METHODS if method not in ("GET", "HEAD")]
    sent = [request(call, host="Host: localhost") for call in calls]
    for call, (status, body) in zip(calls, cluster.asks_from("w1", *sent), strict=True):
        assert status in (400, 404, 405), (call, status, body)
    port = METRICS.partition(":")[2]
    assert cluster.asks_from("w1", sent[0], where=f"10.77.0.1:{port}")[0][0] == -1
    gates = [request(f"GET /v1/gate?worker={worker}") for worker in ("w2", "c1")]
    (_, slurms), (_, condors) = cluster.asks_from("w1", *gates)
    assert job not in slurms
    public = {"HotslotAdmitCpus", "HotslotGrantedCpus", "HotslotUsedCores"}
    assert {line.partition("=")[0] for line in condors.split()} == public, "as in c1's ad"


def _pokes_in_anothers_name(cluster: Attacked, job: str) -> None:
    hostile = [
        poke(**{"event": "start", "job": job, "worker": "w2", field: name})
        for name in HOSTILE_NAMES.values()
        for field in ("event", "job", "worker")
        if len(name) < 900
    ]
    assert {status for status, _ in cluster.asks_from("w1", *hostile)} <= {400, 421}
    (long,) = cluster.asks_from("w1", poke(event="start", job="1", worker=HOSTILE_NAMES["long"]))
    assert long[0] == 413
    forged = {
        poke(event="end", job=job, worker="w2"): {200},
        poke(event="exit", job=job, worker="w2"): {200},
        poke(event="start", job=job, worker="w1"): {409},
        poke(event="end", job=job, worker="w1"): {200},
        poke(event="start", job=job, worker="c1"): {404, 409, 503},
    }
    said = cluster.asks_from("w1", *forged)
    for (sent, good), (status, body) in zip(forged.items(), said, strict=True):
        assert status in good, (sent, status, body)
        assert SECRET not in body
    assert cluster.workers()["w1"]["job"] is None


@pytest.mark.timeout(400)
def test_a_flood_in_anothers_name_does_not_keep_its_jobs_from_starting(attacked: Attacked) -> None:
    """Each poke of the flood names w2; a job that starts there pokes from w2's own address."""
    cluster = attacked
    with ThreadPoolExecutor(1) as pool:
        argv = ["python3", "-c", FLOOD, "w2", "35"]
        flood = pool.submit(cluster.bed.worker("w1").exec, argv, timeout=120)
        time.sleep(4)
        assert not flood.done()
        job = cluster.sbatch("-w", "w2", "-c2", wrap="nproc")
        cluster.wait_gone(job, 120)
        refused, asked = map(int, flood.result().stdout.split())
    assert asked > 1000
    assert refused > 0.8 * asked
    assert cluster.state(job) == "COMPLETED"
    assert (cluster.home() / f"slurm-{job}.out").read_text().split() == ["2"]
    assert len(cluster.leases(job)) == 1, "it started at its first attempt"
    cluster.wait_settled(120)


@pytest.mark.timeout(400)
def test_root_in_a_worker_who_replaces_its_hooks_is_sized_and_counted(attacked: Attacked) -> None:
    cluster, w1 = attacked, attacked.bed.worker("w1")
    hooks = [f"/usr/lib/hotslot/{name}" for name in ("slurm-prolog", "slurm-epilog", "hook.py")]
    for hook in hooks:
        w1.exec(["mount", "--bind", "/bin/true", hook])
    try:
        job = cluster.sbatch("-w", "w1", "-c3", wrap="sleep 25")
        cluster.wait_running(job)
        eventually(lambda: cluster.leases(job), 60, "it is found", cluster.explain)
        assert cluster.workers()["w1"]["requested_vcpus"] == 3
        cluster.wait_gone(job)
        eventually(
            lambda: cluster.leases(job)[0].lease.closed_at, 60, "its end is found", cluster.explain
        )
    finally:
        for hook in hooks:
            w1.exec(["umount", hook])
    (row,) = cluster.leases(job)
    assert (row.lease.request, row.lease.placement.outcome) == (3, "COMPLETED")
    assert row.lease.totals.held_core_s > 10
    cluster.wait_settled(120)


@pytest.mark.timeout(400)
def test_root_in_a_worker_who_moves_its_cpus_is_counted_from_outside(attacked: Attacked) -> None:
    """CPUs that the guest turns off are held all the same; those that it ejects come back."""
    cluster, w1 = attacked, attacked.bed.worker("w1")
    cpu = "/sys/devices/system/cpu/cpu"
    with cluster.runs("w1", 4) as job:
        eventually(lambda: w1.online() == {0, 1, 2, 3}, 60, "all are online", cluster.explain)
        w1.exec(["sh", "-c", f"for n in 1 2; do echo 0 >{cpu}$n/online; done"])
        assert w1.online() == {0, 3}
        began, before = time.time(), cluster.leases(job)[0].lease.totals.held_core_s
        time.sleep(5)
        held = cluster.leases(job)[0].lease.totals.held_core_s - before
        assert held > 3 * (time.time() - began) - 8, "off in the guest is held all the same"
        assert cluster.workers()["w1"]["granted_vcpus"] == len(w1.plugged()) == 4
        w1.exec(["sh", "-c", f"echo 1 >{cpu}3/firmware_node/eject"], check=False)
        eventually(lambda: len(w1.plugged()) == 3, 30, "the guest gave one up", cluster.explain)
        eventually(lambda: len(w1.plugged()) == 4, 90, "it is put right", cluster.explain)
    cluster.wait_settled(120)
    job = cluster.sbatch("-w", "w1", "-c4", wrap="nproc")
    cluster.wait_gone(job)
    assert (cluster.home() / f"slurm-{job}.out").read_text().split() == ["4"]
    cluster.wait_settled(120)
    assert cluster.hotslot("verify", check=False).returncode == 0


# --- who names a job ----------------------------------------------------------------------------


@pytest.mark.timeout(600)
def test_names_of_jobs_are_names_wherever_they_are_shown(attacked: Attacked) -> None:
    cluster = attacked
    jobs = {kind: _submit_slurm(cluster, name) for kind, name in HOSTILE_NAMES.items()}
    condor = [_submit_condor(cluster, HOSTILE_NAMES[kind]) for kind in ("lines", "bytes", "html")]
    taken = {kind: job for kind, job in jobs.items() if job}
    assert taken.keys() >= HOSTILE_NAMES.keys() - {"long", "bytes"}, "Slurm may refuse these"
    for job in taken.values():
        cluster.wait_gone(job, 400)
    for job in condor:
        cluster.wait_left(job, 400)
    cluster.wait_settled(120)
    for kind, job in taken.items():
        assert cluster.state(job) == "COMPLETED", kind
    known = [*taken.values(), *(f"{job}@{cluster.schedd}" for job in condor)]
    for job in known:
        _recorded(cluster, job)
    assert not cluster.bed.namespaces.outer(Path("/tmp/owned")).exists()
    _shown_by_commands(cluster, known)
    _shown_elsewhere(cluster)


def _submit_slurm(cluster: Attacked, name: str) -> str:
    comment = f"--comment=hotslot:min=99999 hotslot:burst={name}"
    argv = ["sbatch", "--parsable", "-c2", f"--job-name={name}", comment, "--wrap", "true"]
    done = cluster.bed.run(argv, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def _submit_condor(cluster: Attacked, name: str) -> str:
    raw = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    lines = [
        "executable = /bin/true", "transfer_executable = false", "should_transfer_files = no",
        "request_cpus = 2", "request_memory = 32", "request_disk = 1M",
        f'+JobBatchName = "{raw}"', f'+AcctGroup = "{raw}"', f'+HotslotMin = "{raw}"', "queue",
    ]  # fmt: skip
    path = cluster.home() / "hostile.sub"
    path.write_bytes("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))
    return cluster.bed.run(["condor_submit", "-terse", "hostile.sub"]).stdout.split()[0]


def _recorded(cluster: Attacked, job: str) -> None:
    rows = cluster.leases(job)
    assert rows, job
    for row in rows:
        where = row.lease.placement
        assert (row.lease.request, where.user) == (2, ALICE), "a comment changes no request"
        for text in (where.name, where.account, where.partition, where.asked, where.outcome):
            assert text.isprintable(), (job, text)
            assert len(text) <= 255, job


def _plain(text: str) -> bool:
    return all(c == "\n" or c.isprintable() for c in text)


def _shown_by_commands(cluster: Attacked, jobs: list[str]) -> None:
    listed = {one["job"]: one for one in cluster.json("jobs")}
    for job in jobs:
        assert job in listed, (job, sorted(listed))
        assert _plain(cluster.hotslot("job", job).stdout), job
        assert cluster.json("job", job)["name"] == listed[job]["name"]
    for words in (("jobs",), ("report", "jobs"), ("status",), ("audit", "show"), ("advise",)):
        assert _plain(cluster.hotslot(*words, columns="400").stdout), words
    rows = list(csv.DictReader(io.StringIO(cluster.hotslot("export", "leases", "-").stdout)))
    with History(cluster.database) as history:
        assert len(rows) == len(history.closed_leases(10_000))
    account = cluster.leases(jobs[-1])[0].lease.placement.account
    assert "<script>" in account, "the last job's"
    page = cluster.bed.path / "page.html"
    for only in ((), ("--account", account)):
        cluster.hotslot("report", "cluster", *only, "--html", str(page))
        text = page.read_text()
        assert not re.search(r"<script>\s*alert|<img src=x", text)
        (data,) = re.findall(
            r'<script type="application/json" id="data">(.*?)</script>', text, re.S
        )
        assert json.loads(data)
    assert "&lt;/script&gt;" in text, "it is there, as a name"
    mail = message_from_string(cluster.hotslot("report", "user", ALICE, "--mail").stdout)
    assert not mail.defects
    assert "owned" not in " ".join(mail.values())


def _shown_elsewhere(cluster: Attacked) -> None:
    said = cluster.bed.host(["curl", "-sf", f"http://{METRICS}/metrics"]).stdout
    names = {family.name for family in text_string_to_metric_families(said)}
    assert any(name.startswith("hotslot_") for name in names)
    assert not re.search("alert|owned|alice", said)
    line = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ [\w.]+: ")
    for one in cluster.log.read_text().split("\n")[:-1]:
        assert line.match(one), one
        assert one.isprintable(), one
        assert not one.startswith("2026-01-01"), one
    for one in cluster.database.with_name("audit.log").read_text().splitlines():
        json.loads(one)
    for words in (("audit", "verify"), ("verify",)):
        done = cluster.hotslot(*words, check=False)
        assert done.returncode == 0, done.stdout
