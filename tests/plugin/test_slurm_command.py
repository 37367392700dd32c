"""Slurm's commands are run without a shell, in bounded time and memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from hotslot.errors import SchedulerError, SchedulerUnavailable
from hotslot_plugin.slurm_command import Command, clean, failure


def test_a_command_that_does_not_end_is_killed_with_its_children(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    command = Command(("sh", "-c", f"sleep 60 >{alive} & wait", "sh"), 0.5)
    begun = time.monotonic()
    with pytest.raises(SchedulerUnavailable, match=r"squeue did not answer within 0\.5 s"):
        command.ask("squeue")
    assert time.monotonic() - begun < 5
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b"", "the fifo has no writer left"
    os.close(reader)


def test_a_grandchild_that_keeps_the_output_open_is_not_waited_for() -> None:
    begun = time.monotonic()
    assert Command(("sh", "-c", "sleep 5 & echo said", "sh"), 30.0).ask("squeue") == b"said\n"
    assert time.monotonic() - begun < 4


def test_an_endless_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hotslot_plugin.slurm_command.ANSWER_BYTES", 1000)
    with pytest.raises(SchedulerError, match="more than 1000 bytes"):
        Command(("head", "-c", "2000", "/dev/zero"), 5.0).ask("--")


def test_words_are_never_read_by_a_shell(tmp_path: Path) -> None:
    hostile = f"$(touch {tmp_path}/x); `id`"
    assert Command(("printf", "%s"), 5.0).ask(hostile).decode() == hostile
    assert list(tmp_path.iterdir()) == []


def test_a_missing_command_says_which_setting_to_look_at() -> None:
    with pytest.raises(
        SchedulerUnavailable, match=r"/no/such/sudo cannot be run: .*scheduler\.command"
    ):
        Command(("/no/such/sudo",), 5.0).ask("squeue")


def test_the_last_line_of_its_errors_is_told() -> None:
    with pytest.raises(SchedulerError, match="squeue: Invalid user id"):
        Command(
            ("sh", "-c", "echo noise >&2; printf 'Invalid\\033user id' >&2; exit 1", "x"), 5.0
        ).ask("squeue")


def test_a_command_that_fails_in_silence_has_its_exit_status_told() -> None:
    with pytest.raises(SchedulerError, match="squeue: exit status 7"):
        Command(("sh", "-c", "exit 7", "sh"), 5.0).ask("squeue")


@pytest.mark.parametrize(
    "words",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "slurm_load_jobs error: Slurm backup controller in standby mode",
        "sacctmgr: error: Sending PersistInit msg: Connection refused",
        "slurm_load_jobs error: Zero Bytes were transmitted or received",
    ],
)
def test_a_controller_that_is_away_is_unavailable(words: str) -> None:
    assert isinstance(failure("squeue", words), SchedulerUnavailable)


def test_any_other_error_is_not() -> None:
    assert not isinstance(failure("scontrol", "Invalid user id"), SchedulerUnavailable)


def test_variables_that_change_the_output_are_not_inherited() -> None:
    mine = {"SQUEUE_FORMAT": "%A", "SLURM_CONF": "/etc/x", "SLURM_JSON": "v0.0.1", "PATH": "/bin"}
    assert clean(mine) == {"SLURM_CONF": "/etc/x", "PATH": "/bin", "LC_ALL": "C", "TZ": "UTC"}
