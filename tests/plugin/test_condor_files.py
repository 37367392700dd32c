"""The files that condor_config names: what they do when something is missing, what they say."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.hook_agent import READY, HookAgent, http
from hotslot_plugin import gate, hook

REPO = Path(__file__).resolve().parents[2]
PREPARE = REPO / "prolog/condor-prepare-job"
EXIT = REPO / "epilog/condor-job-exit"
GATE = REPO / "packaging/worker/condor-gate"
WORKER = REPO / "config/condor/40-hotslot-worker.conf"
SUBMIT = REPO / "config/condor/40-hotslot-submit.conf"
AD = b'GlobalJobId = "ap1#12.0#1795254337"\n'
NO_PYTHON = "/no/python3.99"


def installed(script: Path, lib: Path, conf: str = "", python: str = sys.executable) -> list[str]:
    """Return a script's command, as if hotslot's files were in ``lib``; its long waits last 0 s."""
    text = script.read_text()
    assert "\nlib=/usr/lib/hotslot\n" in text
    text = text.replace("lib=/usr/lib/hotslot\n", f"lib={lib}\n")
    text = text.replace("in /usr/bin/python3 ", f"in /no/python3 {python} # ")
    text = text.replace(" # /usr/local/bin/python3 /usr/libexec/platform-python; do", "; do")
    path = lib / script.name
    path.write_text(text.replace("sleep 60\n", "sleep 0\n"))
    path.chmod(0o755)
    if conf:
        (lib / "hook.conf").write_text(conf)
        source = Path(hook.__file__).read_text()
        source = source.replace('"/etc/hotslot/hook.conf"', f'"{lib}/hook.conf"')
        (lib / "hook.py").write_text(source)
        shutil.copy(gate.__file__, lib / "gate.py")
    return [str(path)]


def ran(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a script as the starter does: with no PATH, and the job's ad on stdin."""
    return subprocess.run(command, env={}, input=AD, capture_output=True, check=False, timeout=30)


def test_both_hooks_poke_the_agent(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        for script in (PREPARE, EXIT):
            done = ran(installed(script, tmp_path, f"agent={agent.address}\nnode=c1\n"))
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert [poke.partition(b"\r\n\r\n")[2] for poke in agent.pokes] == [
            b"event=start&job=12.0@ap1&worker=c1",
            b"event=exit&job=12.0@ap1&worker=c1",
        ]


def test_a_hook_that_gives_up_tells_the_jobs_log_and_dies(tmp_path: Path) -> None:
    with HookAgent(http(503, "later")) as agent:
        conf = f"agent={agent.address}\nagent_wait_s=1\nnode=c1\n"
        done = ran(installed(PREPARE, tmp_path, conf))
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.startswith(b'HookStatusMessage = "hotslot: agent at ')
    assert b"missing or broken" not in done.stderr


@pytest.mark.parametrize("python", [sys.executable, NO_PYTHON, "/bin/false"])
def test_a_start_without_hook_or_python_holds_no_job(tmp_path: Path, python: str) -> None:
    conf = "" if python == sys.executable else "agent=a:1\n"
    done = ran(installed(PREPARE, tmp_path, conf, python))
    assert done.returncode == -signal.SIGKILL
    assert b"missing or broken on this worker" in done.stderr


def test_a_hook_that_python_cannot_read_holds_no_job(tmp_path: Path) -> None:
    command = installed(PREPARE, tmp_path, "agent=a:1\n")
    (tmp_path / "hook.py").write_text("match 1:\n")
    assert ran(command).returncode == -signal.SIGKILL


@pytest.mark.parametrize("python", [sys.executable, NO_PYTHON, "/bin/false"])
def test_an_exit_never_fails(tmp_path: Path, python: str) -> None:
    conf = "" if python == sys.executable else "agent=a:1\n"
    assert ran(installed(EXIT, tmp_path, conf, python)).returncode == 0


def test_a_worker_without_gate_or_python_is_closed(tmp_path: Path) -> None:
    done = ran(installed(GATE, tmp_path, python=NO_PYTHON))
    assert done.stdout.decode().splitlines() == [
        "HotslotAdmitCpus = 0",
        f'HotslotGate = "closed: {tmp_path}/gate.py, hook.py or python3 is missing"',
        "- update:true",
    ]


def test_the_gate_runs_beside_the_hook(tmp_path: Path) -> None:
    with HookAgent(http(200, "HotslotAdmitCpus=4")) as agent:
        command = installed(GATE, tmp_path, f"agent={agent.address}\nnode=c1\n")
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env={})
        assert process.stdout is not None
        assert process.stdout.readline() == b"HotslotAdmitCpus = 4\n"
        process.terminate()
        assert b"closed: the gate was stopped" in process.communicate(timeout=10)[0]
        assert process.returncode == 0


@pytest.mark.parametrize("script", [PREPARE, EXIT, GATE])
def test_a_script_is_clean_and_executable(script: Path) -> None:
    assert script.stat().st_mode & 0o111 == 0o111
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=f"{sys.prefix}/bin")
    assert shellcheck is not None, "make dev installs it"
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def macros(path: Path) -> dict[str, str]:
    """Return the macros of a fragment, none of which it sets twice."""
    found: dict[str, str] = {}
    block = ""
    for line in path.read_text().splitlines():
        if block:
            found[block] = f"{found[block]}\n{line}".strip()
            block = "" if line == "@end" else block
        elif line.strip() and not line.startswith("#"):
            name, equals, value = (part.strip() for part in line.partition("="))
            assert equals, line
            assert name.rstrip(" @") not in found, f"{name} is set twice"
            if name.endswith("@"):
                block = name.rstrip(" @")
                name, value = block, ""
            found[name] = value
    assert not block
    return found


def test_start_asks_the_gate_and_keeps_what_the_site_says() -> None:
    said = macros(WORKER)
    assert said["START"] == "($(START)) && ($(HOTSLOT_ADMITS))"
    assert said["HOTSLOT_ADMITS"] == (
        "MY.PartitionableSlot =!= True || (isInteger(MY.HotslotAdmitCpus) && "
        "TARGET.RequestCpus <= MY.HotslotAdmitCpus && MY.NumDynamicSlots =?= 0)"
    )
    assert said["NUM_CPUS"] == "$(HOTSLOT_CEILING)"


def test_users_cannot_replace_the_hooks() -> None:
    said = macros(WORKER)
    assert said["STARTER_JOB_HOOK_KEYWORD"] == "HOTSLOT"
    assert not any("DEFAULT_JOB_HOOK_KEYWORD" in name for name in said)


def test_each_file_that_the_fragment_names_is_in_this_repository() -> None:
    said = macros(WORKER)
    shipped = {path.name for path in (PREPARE, EXIT, GATE)}
    named = {value for value in said.values() if value.startswith("/usr/lib/hotslot/")}
    assert {Path(value).name for value in named} == shipped
    assert said["STARTD_CRON_HOTSLOT_MODE"] == "WaitForExit"
    assert said["STARTD_CRON_JOBLIST"].split() == ["$(STARTD_CRON_JOBLIST)", "HOTSLOT"]


def test_the_exit_hook_is_given_longer_than_it_takes() -> None:
    assert float(macros(WORKER)["HOTSLOT_HOOK_JOB_EXIT_TIMEOUT"]) >= hook.EXIT_S + 5


def test_nobody_but_the_pools_daemons_may_tell_the_startd_anything() -> None:
    said = macros(WORKER)
    # DAEMON and ADMINISTRATOR include WRITE.
    for level in ("WRITE", "DAEMON", "ADMINISTRATOR"):
        assert said[f"STARTD.ALLOW_{level}"] == "$(HOTSLOT_DAEMONS)"
    assert "*" not in said["HOTSLOT_DAEMONS"]


def test_what_the_agent_writes_nobody_else_may() -> None:
    said = macros(SUBMIT)
    attributes = said["HOTSLOT_ATTRS"].split()
    assert said["PROTECTED_JOB_ATTRS"] == "$(PROTECTED_JOB_ATTRS) $(HOTSLOT_ATTRS) NumJobMatches"
    deleted = re.findall(r"^ *DELETE (\w+)$", said["JOB_TRANSFORM_Hotslot"], re.MULTILINE)
    assert deleted == attributes
    assert said["JOB_TRANSFORM_NAMES"].split()[-1] == "Hotslot"
    # Only commas separate QUEUE_SUPER_USERS: with a space "condor hotslot@…" is one user.
    assert said["QUEUE_SUPER_USERS"] == "$(QUEUE_SUPER_USERS), $(HOTSLOT_AGENT)"


@pytest.mark.parametrize("path", [WORKER, SUBMIT])
def test_each_macro_that_a_fragment_uses_is_its_own_or_htcondors(path: Path) -> None:
    own = set(macros(path))
    used = set(re.findall(r"\$\((\w+)\)", path.read_text()))
    assert used - own <= {"UID_DOMAIN", "BIN"}


def test_what_the_documentation_names_exists() -> None:
    text = (REPO / "docs/htcondor.md").read_text()
    known = set(macros(WORKER)) | set(macros(SUBMIT)) | set(gate.FIGURES) | {"HotslotGate"}
    known |= set(macros(SUBMIT)["HOTSLOT_ATTRS"].split())
    named = set(re.findall(r"`((?:HOTSLOT_|STARTD_CRON_HOTSLOT_|Hotslot)\w+)`", text))
    assert named
    assert named <= known
