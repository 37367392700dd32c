"""What reaches the hooks in a worker: settings, environments, job ads, the agent's answers."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from fuzz.target import ROOT, Target, must
from hotslot_plugin import gate, hook

CONF = hook.Conf("10.77.0.1", 8765, 60.0, "")


def conf(data: bytes) -> None:
    """Read hook.conf."""
    read = hook.parse_conf(data.decode(), "hook.conf")
    must(1 <= read.port <= 65535 and 1 <= read.wait_s <= 3600, "a number out of bounds")
    must(hook.NAME.issuperset(read.node), "a node that is no name")


def environment(data: bytes) -> None:
    """Take job and node from Slurm's environment."""
    pairs = (line.partition(b"=") for line in data.split(b"\0"))
    job, worker = hook.job_and_worker({key: value for key, _, value in pairs}, CONF)
    _sent(hook.request("start", job, worker, CONF.address))


def ad(data: bytes) -> None:
    """Take the job from an HTCondor job's ad."""
    job, worker = hook.condor_job_and_worker(data, CONF)
    _sent(hook.request("start", job, worker, CONF.address))


def answer(data: bytes) -> None:
    """Read what the agent answers to a poke."""
    status, words = hook.parse_answer(data)
    must(0 <= status <= 9999 and len(words) <= 200, "an answer out of bounds")
    must(words.isascii() and (words.isprintable() or not words), "words that are not printable")
    hook.verdict(CONF, "w1", status, words)


def gated(data: bytes) -> None:
    """Read what the agent answers to a gate, and print it as ClassAd attributes."""
    lines = gate.ad(gate.parse(data), "open", update=True).decode("ascii").splitlines()
    must(len(lines) == len(gate.FIGURES) + 2, f"{len(lines)} lines")
    must(all(line.isprintable() and len(line) < 400 for line in lines), "an odd line")


def script(data: bytes) -> None:
    """Run prolog and epilog by sh in a hostile environment, with a hook that ends at once."""
    which, _, rest = data.partition(b"\0")
    name, status = SCRIPTS[sum(which) % len(SCRIPTS)]
    pairs = (line.partition(b"=") for line in rest.split(b"\0"))
    found = {key: value for key, equals, value in pairs if key and equals}
    done = subprocess.run(
        ["/bin/sh", str(_lib() / name)],
        env={**found, b"PATH": os.fsencode(os.defpath)},
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    must(done.returncode == status, f"{name} ended with {done.returncode}")
    must(not done.stdout and done.stderr.count(b"\n") <= 3, f"{name} printed {done.stderr[:200]!r}")


def _sent(message: bytes) -> None:
    head, _, body = message.partition(b"\r\n\r\n")
    must(head.count(b"\r\n") == 4 and b"\n" not in body, "a request that was injected into")
    must(body.count(b"&") == 2 and body.count(b"=") == 3, "a form that was injected into")


def _lib() -> Path:
    """Return a directory with the scripts, which find a hook that ends at once beside them."""
    if not _made:
        _made.append(tempfile.TemporaryDirectory())
        lib = Path(_made[0].name)
        (lib / "hook.py").write_text("def main():\n    pass\n")
        for name, _ in SCRIPTS:
            text = (ROOT / name).read_text().replace("lib=/usr/lib/hotslot\n", f"lib={lib}\n")
            (lib / name).parent.mkdir(exist_ok=True)
            (lib / name).write_text(text)
    return Path(_made[0].name)


_made: list[tempfile.TemporaryDirectory[str]] = []

SCRIPTS = (
    ("prolog/slurm-prolog", 0),
    ("prolog/condor-prepare-job", 0),
    ("epilog/slurm-epilog", 0),
    ("epilog/condor-job-exit", 0),
)

ENVIRONMENT = b"SLURM_JOB_ID=4711\0SLURMD_NODENAME=w1\0SLURM_JOB_USER=alice\0LANG=C"
POKED = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready \n"
GATE = (
    b"HotslotAdmitCpus=4\nHotslotGrantedCpus=4\nHotslotUsedCores=1.25\nHotslotJob=12.0@ctl\n"
    b"HotslotRequestedCpus=4\nHotslotHeldCoreSeconds=10.5\nHotslotUsedCoreSeconds=3.1\n"
)
GATED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(GATE), GATE)
JOB_AD = (
    b'ClusterId = 12\nProcId = 0\nGlobalJobId = "ctl.hotslot.test#12.0#1795254337"\n'
    b'Environment = "A=1 B=2"\n'
)

TARGETS = (
    Target(
        "hook.conf",
        conf,
        [b"agent=192.168.56.1:8765\n", b"# c\nagent = [fe80::1]:1\nagent_wait_s=2.5\nnode=w1\n"],
        (ValueError,),
        (b"agent=", b"agent_wait_s=", b"node=", b"[", b"]", b":"),
        share=100,
    ),
    Target(
        "hook's environment",
        environment,
        [ENVIRONMENT],
        (ValueError,),
        (b"\0SLURM_JOB_ID=", b"\0SLURMD_NODENAME="),
        share=100,
    ),
    Target(
        "hook's job ad",
        ad,
        [JOB_AD],
        (ValueError,),
        (b'\nGlobalJobId = "', b"#", b"@", b"."),
        share=100,
    ),
    Target(
        "agent's answer to a poke",
        answer,
        [POKED, b"HTTP/1.1 421 X\r\n\r\nunknown_worker w9\n"],
        words=(b"HTTP/1.1 ", b"\r\n\r\n", b"ready", b"200"),
        share=100,
    ),
    Target(
        "agent's answer to a gate",
        gated,
        [GATED],
        (ValueError, gate.UnknownWorker),
        (b"Content-Length: ", b"\r\n", b"HotslotAdmitCpus=", b"HotslotJob="),
        share=30,
    ),
    Target(
        "prolog and epilog",
        script,
        [b"%c\0%b\0IFS=/\0ENV=/dev/zero" % (number, ENVIRONMENT) for number in range(4)],
        words=(b"\0IFS=", b"\0PYTHONPATH=", b"\0PS4=$(id)", b"\0lib=/", b"\0ENV="),
        share=0.1,
        limit_s=20,
    ),
)
