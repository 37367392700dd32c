"""The files that slurm.conf names: what they do when something of hotslot is missing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fakes.hook_agent import READY, HookAgent
from hotslot_plugin import hook

REPO = Path(__file__).resolve().parents[2]
PROLOG, EPILOG = REPO / "prolog/slurm-prolog", REPO / "epilog/slurm-epilog"
ENVIRONMENT = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "w1"}


def installed(script: Path, lib: Path, conf: str = "", python: str = sys.executable) -> list[str]:
    """Return a script's command, as if hotslot's files were in ``lib``."""
    text = script.read_text()
    assert "\nlib=/usr/lib/hotslot\n" in text
    text = text.replace("lib=/usr/lib/hotslot\n", f"lib={lib}\n")
    text = text.replace("in /usr/bin/python3 ", f"in /no/python3 {python} # ")
    text = text.replace(" # /usr/local/bin/python3 /usr/libexec/platform-python; do", "; do")
    path = lib / script.name
    path.write_text(text)
    path.chmod(0o755)
    if conf:
        source = Path(hook.__file__).read_text()
        assert 'CONF = "/etc/hotslot/hook.conf"' in source
        (lib / "hook.conf").write_text(conf)
        source = source.replace('"/etc/hotslot/hook.conf"', f'"{lib}/hook.conf"')
        (lib / "hook.py").write_text(source)
    return [str(path)]


def ran(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a script as slurmd does: with no PATH and no HOME."""
    return subprocess.run(
        command, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=30
    )


def test_prolog_and_epilog_poke_the_agent(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        for script in (PROLOG, EPILOG):
            done = ran(installed(script, tmp_path, f"agent={agent.address}\n"))
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert [b"event=start" in poke for poke in agent.pokes] == [True, False]


def test_the_hook_is_kept_compiled(tmp_path: Path) -> None:
    with HookAgent(READY) as agent:
        ran(installed(PROLOG, tmp_path, f"agent={agent.address}\n"))
    assert [path.name for path in (tmp_path / "__pycache__").iterdir()] == [
        f"hook.{sys.implementation.cache_tag}.pyc"
    ]


@pytest.mark.parametrize("python", [sys.executable, "/no/python3.99"])
def test_a_prolog_without_its_hook_or_python_fails_and_says_so(tmp_path: Path, python: str) -> None:
    conf = "agent=a:1\n" if python != sys.executable else ""
    done = ran(installed(PROLOG, tmp_path, conf, python))
    assert done.returncode == 1
    assert done.stderr == (
        f"hotslot: {tmp_path}/hook.py or python3 is missing on w1; install them, then: "
        "scontrol update nodename=w1 state=resume\n"
    )


@pytest.mark.parametrize("python", [sys.executable, "/no/python3.99", "/bin/false"])
def test_an_epilog_never_fails(tmp_path: Path, python: str) -> None:
    conf = "agent=a:1\n" if python != sys.executable else ""
    assert ran(installed(EPILOG, tmp_path, conf, python)).returncode == 0


def test_an_epilog_with_a_wrong_configuration_says_so_and_does_not_fail(tmp_path: Path) -> None:
    done = ran(installed(EPILOG, tmp_path, "agent=nobody\n"))
    assert done.returncode == 0
    assert "agent: 'nobody' is not HOST:PORT" in done.stderr


def test_an_epilog_that_slurmd_stops_does_not_fail(tmp_path: Path) -> None:
    with HookAgent() as agent:
        command = installed(EPILOG, tmp_path, f"agent={agent.address}\n")
        process = subprocess.Popen(
            command, env=ENVIRONMENT, stderr=subprocess.PIPE, start_new_session=True
        )
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.3)
        process.send_signal(signal.SIGTERM)
        _, words = process.communicate(timeout=10)
    assert process.returncode == 0
    assert b"hotslot: agent at" in words


@pytest.mark.parametrize("script", [PROLOG, EPILOG])
def test_a_script_is_clean_and_executable(script: Path) -> None:
    assert script.stat().st_mode & 0o111 == 0o111
    shellcheck = shutil.which("shellcheck") or shutil.which("shellcheck", path=f"{sys.prefix}/bin")
    assert shellcheck is not None, "make dev installs it"
    done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""
