"""What the agent and its commands read: configuration, requests, preferences, accounting, files."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import math
import re
import tempfile
from pathlib import Path
from typing import Any

from fuzz.target import ROOT, Target, as_json, must, parsed, shown_on_one_line
from hotslot import accounting, config, doors, foresight_file, gates, pokes, settings
from hotslot.act import qemu, virtualbox
from hotslot.api import hook_app
from hotslot.assess import Account
from hotslot.audit import chain
from hotslot.decide import preferences
from hotslot.decide.forecast import Forecast
from hotslot.errors import ConfigError
from hotslot.pokes import Answer, Say
from hotslot.replay import traces
from hotslot.replay.columns import JOBS, SAMPLES, TraceError
from hotslot.report.audit import audit_table
from hotslot.talk import talk
from hotslot_plugin import condor_settings, slurm_settings


def configuration(data: bytes) -> None:
    """Check a configuration."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    try:
        found = config.parse(text)
    except ConfigError as error:
        must(bool(error.problems), "refused for no reason")
        must(len(str(error)) < 20 * len(data) + 20_000, f"{len(str(error))} characters of problems")
        raise
    must(len(found.workers) > 0, "no worker")


KINDS: tuple[type, ...] = (
    qemu.DriverSettings,
    virtualbox.DriverSettings,
    slurm_settings.Settings,
    condor_settings.Settings,
    config.Config,
)


def keys(data: bytes) -> None:
    """Check the keys beside a part's name; JSON says what YAML can, and more."""
    tree = parsed(data)
    if not isinstance(tree, dict):
        return
    for kind in KINDS:
        try:
            made: object = settings.read(kind, tree)
        except settings.Faults as wrong:
            for fault in wrong.faults:
                for words in (*map(str, fault.path), fault.what, settings.shown(fault.value)):
                    shown_on_one_line(words, 400)
        else:
            json.dumps(settings.plain(made), allow_nan=False)


def address(data: bytes) -> None:
    """Split an address of the configuration."""
    _, port = config.host_port(data.decode("utf-8", "replace"))
    must(1 <= port <= 65535, f"port {port}")


def request(data: bytes) -> None:
    """Answer what comes over the network, through the doors, h11 and the two routes."""
    asked, answered = _loop().run_until_complete(_exchanged(data))
    must(len(asked) <= len(data), "asked more often than was sent")
    statuses = set(STATUS.findall(answered))
    must(not answered or bool(statuses), f"what is no HTTP: {answered[:40]!r}")
    must(all(one < b"5" or one == b"501" for one in statuses), "answered with a fault")
    must(len(answered) <= 1000 + 8 * len(data), f"answered {len(answered)} bytes")


def poke(data: bytes) -> None:
    """Check a poke's and a gate's words."""
    event, job, worker, have = (data.decode("utf-8", "replace").split("&") + [""] * 4)[:4]
    if not pokes._problem(event, job, worker):
        must((job + worker).isascii() and len(job + worker) < 400, "a poke that is no poke")
    number = gates._whole(have)
    must(number is None or 0 <= number < 10**9, f"{number} CPUs")


def asked(data: bytes) -> None:
    """Check what a job's owner asked for."""
    found = preferences.asked_for(data.decode("utf-8", "replace"), 8, 1.8e9)
    must(0 <= found.least <= 8, f"keeps {found.least} of 8")
    must(1 <= found.floor(1, 8) <= 8, "a floor outside 1 to 8")
    must(len(found.said) <= preferences.MOST_WORDS, "all was said again")
    must(len(found.refused) <= 2 * preferences.MOST_WORDS, "much was refused")
    must(found.deadline_at is None or 1.8e9 < found.deadline_at < 2e9, "an odd deadline")
    for words in preferences.sentences(found):
        shown_on_one_line(words)


def sacct(data: bytes) -> None:
    """Read accounting of Slurm."""
    _accounts(accounting.from_slurm(data.decode("utf-8", "replace")))


def history(data: bytes) -> None:
    """Read accounting of HTCondor."""
    _accounts(accounting.from_condor(data.decode("utf-8", "replace")))


def recall(data: bytes) -> None:
    """Go on from what the forecast had learned."""
    path = _scratch() / "forecast.json"
    path.write_bytes(data)
    forecast = Forecast()
    if foresight_file.recall(forecast, path):
        json.dumps(forecast.remembered(), allow_nan=False)
        must(0 <= forecast.exceeded <= 1e15 and forecast.told >= 0, "an odd account")


def audit(data: bytes) -> None:
    """Follow the chain over lines, with right hashes and without, and show them."""
    followed = chain.Chain()
    for number, raw in enumerate(data.split(b"\n")):
        for line in (raw, _signed(raw)):
            followed.take(line, f"line {number}")
            try:
                read = chain.read(line)
            except chain.NotALine:
                continue
            must(math.isfinite(read.at), f"a line of the time {read.at}")
            audit_table([read])
    followed.end()
    must(followed.lost >= 0 and followed.expired >= 0, "fewer than none were lost")


def trace_set(data: bytes) -> None:
    """Read a trace set, of columns of any type, or with any byte changed."""
    folder = _scratch()
    if data[:1] == b"{":
        written = _tables(parsed(data), folder)
    else:
        at = data.find(b"PAR1", 4) + 4
        (folder / JOBS).write_bytes(data[:at])
        (folder / SAMPLES).write_bytes(data[at:])
        written = True
    if written:
        for jobs in traces.chunks(folder, traces.Choose(everything=True), most=1 << 20):
            must(len(jobs.cores) <= 1 << 20, "more samples than were sent")


def _accounts(found: list[Account]) -> None:
    for one in found:
        must(one.cpus > 0 and one.nodes > 0, "a job without CPUs")
        must(0 < one.elapsed_s < math.inf and 0 <= one.cpu_s < math.inf, f"times of {one}")


def _signed(raw: bytes) -> bytes:
    """Return a line with the hash that it would have had."""
    body = raw.partition(b',"hash":"')[0].removesuffix(b"}") + b"}"
    return body[:-1] + b',"hash":"%b"}' % hashlib.sha256(body).hexdigest().encode()


def _tables(columns: Any, folder: Path) -> bool:
    """Write columns as Parquet; False where Arrow has no type for them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        for name in (JOBS, SAMPLES):
            pq.write_table(pa.table(columns[name]), folder / name)
    except (pa.ArrowException, TypeError, ValueError, KeyError, OverflowError, AttributeError):
        return False
    return True


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def writelines(self, list_of_data: Any) -> None:
        for piece in list_of_data:
            self.write(piece)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


STATUS = re.compile(rb"HTTP/[0-9]\.[0-9] ([0-9]{3})")

HELD: dict[str, Any] = {}
"""The one loop and server of a run, made at the first request."""


async def _exchanged(data: bytes) -> tuple[list[tuple[str, ...]], bytes]:
    heard: list[tuple[str, ...]] = HELD["heard"]
    heard.clear()
    wire, door = Wire(), doors.Door(HELD["doors"])
    door._begin(wire)
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        if not wire.closed:
            door.data_received(piece)
        await asyncio.sleep(0)
    for _ in range(4):
        await asyncio.sleep(0)
    door.connection_lost(None)
    while talks := HELD["doors"]._talks:
        _, hang = await asyncio.wait(tuple(talks), timeout=5)
        must(not hang, "the end of a connection is not noticed")
    door.heard()
    return heard, bytes(wire.written)


async def _answer(*words: str) -> Answer:
    HELD["heard"].append(words)
    problem = pokes._problem(*words[:3])
    return Answer(Say.BAD, problem) if problem else Answer(Say.READY, "noted")


async def _gate(worker: str, have: str, wait: str, source: str) -> Answer:
    HELD["heard"].append((worker, have, wait, source))
    try:
        return Answer(Say.READY, f"{gates._whole(have)} {gates._whole(wait)}")
    except ValueError:
        return Answer(Say.BAD, "have and wait: must be whole numbers")


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    HELD["heard"] = []
    HELD["doors"] = doors.Doors(talk(hook_app(_answer, _gate)), doors.Bounds())
    return asyncio.new_event_loop()


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def _scratch() -> Path:
    return Path(_folder().name)


MINIMAL = b"""driver: {name: qemu, sockets: /run/hotslot/qmp}
scheduler: {name: slurm, partition: vm}
workers:
  - {name: w1, ceiling: 4}
agent: {listen: "192.168.56.1:8765", interval_s: 1.0}
lending: {overcommit: 1.5}
"""
HTTP = (
    b"POST /v1/poke HTTP/1.1\r\nHost: 10.77.0.1:8765\r\nConnection: close\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 30\r\n\r\n"
    b"event=start&job=4711&worker=w1"
)
PARTS = HTTP.replace(b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=x")
GATE = b"GET /v1/gate?worker=c1&have=4&wait=20 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
LINES = b"""JobID|User|JobName|AllocCPUS|Elapsed|TotalCPU|NNodes|State
12|alice|align|8|00:01:40|04:10.000|1|COMPLETED
12.batch|||8|00:01:40|04:10.000|1|COMPLETED
13|bob|idle|4|1-00:00:00|00:00:00|1|RUNNING
"""
SACCT = {
    "jobs": [
        {
            "user": "alice",
            "name": "align",
            "allocation_nodes": 1,
            "tres": {"allocated": [{"type": "mem", "count": 4}, {"type": "cpu", "count": 8}]},
            "time": {
                "elapsed": {"set": True, "infinite": False, "number": 100},
                "total": {"seconds": 250, "microseconds": 500_000},
                "end": 1795288735,
            },
            "state": {"current": ["COMPLETED"]},
            "steps": [{"time": {"total": {"seconds": 5, "microseconds": 0}}}],
        }
    ]
}
HISTORY = [
    {
        "Owner": "alice", "Cmd": "/home/alice/run.sh", "RequestCpus": 4, "CpusProvisioned": 4,
        "RemoteWallClockTime": 100.0, "CumulativeSuspensionTime": 0, "RemoteUserCpu": 250.0,
        "RemoteSysCpu": 5.0, "JobStatus": 4, "CompletionDate": 1795288735,
        "JobCurrentStartDate": 1795288635, "CumulativeRemoteUserCpu": 250.0,
    }
]  # fmt: skip
LEARNED = Forecast().remembered() | {"families": {"align": Forecast().remembered()["host"]}}
FILE = chain.Draft(1.795e9, chain.Kind.FILE, "hotslotd", {"version": "0.1.0"})
CHANGE = {"worker": "w1", "from_vcpus": 4, "got_vcpus": 2, "job": "12", "user": "alice"}


def _log() -> bytes:
    head, text = chain.Head(), b""
    drafts = [
        FILE,
        *(chain.Draft(1.795e9, kind, "hotslotd", CHANGE, "idle") for kind in chain.Kind),
    ]
    for draft in drafts:
        line, head = chain.written(draft, head)
        text += line
    return text


TRACE = {
    JOBS: {
        "job": [1, 2], "name": ["a", "b"], "app": ["x", "y"], "cap": [2, 4], "dt": [60.0, 60.0],
        "n": [2, 3], "start": [0.0, 5.0],
    },
    SAMPLES: {"job": [1, 1, 2, 2, 2], "k": [0, 1, 0, 1, 2], "cores": [0.5, 1.5, 2.0, 3.0, 0.1]},
}  # fmt: skip


def _parquet() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        _tables(TRACE, Path(folder))
        return b"".join((Path(folder) / name).read_bytes() for name in (JOBS, SAMPLES))


TARGETS = (
    Target(
        "configuration",
        configuration,
        [MINIMAL, MINIMAL, MINIMAL, (ROOT / "config" / "hotslot.yaml").read_bytes()[-1500:]],
        (ConfigError,),
        (
            b"&a ",
            b"*a",
            b"!!int ",
            b"!!float ",
            b"!!bool ",
            b"!!timestamp ",
            b"!!set ",
            b"!!binary ",
            b"!!python/object:os.system ",
            b"<<: ",
            b"2024-13-45",
            b"0b",
            b"0x",
            b"? ",
            b"- ",
            b"\n",
            b": ",
            b"1:99",
            b"~",
        ),
        share=1,
        limit_s=5.0,  # PyYAML takes 1.3 s until thousands of [ are too deep for it
    ),
    Target(
        "settings",
        keys,
        as_json(
            {"qmp_socket": "/run/hotslot/qmp/{vm}.sock"},
            {"command": ["sudo", "-n", "VBoxManage"], "root": "/", "execution_cap": True},
            {"source": "auto", "command": ["sudo"], "timeout_s": 10, "partition": "vm"},
            {
                "config": "/etc/c",
                "schedds": ["a@b"],
                "python": "/usr/bin/python3",
                "timeout_s": 1.5,
            },
            {
                "workers": [{"name": "w1", "ceiling": 4}],
                "driver": {"name": "qemu", "x": [1]},
                "scheduler": [{"name": "slurm"}],
                "agent": {"interval_s": 1e3},
            },
        ),
        share=20,
    ),
    Target("address", address, [b"192.168.56.1:8765", b"[fe80::1]:1"], (ValueError,), share=100),
    Target(
        "requests",
        request,
        [HTTP, PARTS, GATE, GATE + HTTP],
        words=(
            b"\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Expect: 100-continue\r\n",
            b"Content-Length: 99999\r\n",
            b"Upgrade: websocket\r\n",
            b"GET ",
            b"%00",
            b"&worker=",
            b"Content-Encoding: deflate\r\n",
            b"--x\r\n",
        ),
        share=2,
    ),
    Target(
        "pokes and gates",
        poke,
        [b"start&4711&w1&4", b"exit&12.0@ctl.hotslot.test&c1&", b"end&1&w1&999999999"],
        (ValueError,),
        (b"&", b"start", b"@"),
        share=100,
    ),
    Target(
        "preferences",
        asked,
        [b"min=4,burst=no", b"elastic=no,deadline=2027-12-01T12:00", b"deadline=2027-01-20T08:00Z"],
        words=(b"min=", b"burst=", b"elastic=", b"deadline=", b",", b"yes", b"T12:00", b"+14:59"),
        share=12,
    ),
    Target(
        "sacct's lines",
        sacct,
        [LINES],
        (accounting.AccountingError,),
        (b"|", b"\n13|", b"9-"),
        share=12,
    ),
    Target(
        "sacct's JSON", sacct, as_json(SACCT), (accounting.AccountingError,), json=True, share=6
    ),
    Target(
        "condor_history",
        history,
        as_json(HISTORY),
        (accounting.AccountingError,),
        json=True,
        share=6,
    ),
    Target("forecast's file", recall, as_json(LEARNED), json=True, share=1),
    Target(
        "audit log",
        audit,
        [_log()],
        json=False,
        words=(b"\n", b'"at":1e400,', b'"what":{'),
        share=0.3,
    ),
    Target(
        "trace sets",
        trace_set,
        [*as_json(TRACE), _parquet()],
        (TraceError,),
        json=True,
        share=0.1,
        limit_s=5,
    ),
)
