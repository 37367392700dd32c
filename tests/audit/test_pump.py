"""The agent's side: what the log does to it (nothing), and what it says when a disk fails."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from pathlib import Path

import pytest

from builders import placement
from hotslot.audit.chain import Kind
from hotslot.audit.files import all_of
from hotslot.audit.pump import AuditLog
from hotslot.audit.verify import entries, verify
from hotslot.audit.watch import Watch
from hotslot.audit.writing import AuditFile
from hotslot.model import EventResult, Lease
from record.recorded import event


class Disk:
    """Takes all, nothing, or hangs."""

    def __init__(self) -> None:
        self.full = False
        self.moves = threading.Event()
        self.moves.set()

    def write(self, file: int, text: bytes) -> int:
        self.moves.wait(10)
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return os.write(file, text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def numbers(path: Path) -> list[int]:
    return [line.what["n"] for line in entries(all_of(path)) if "n" in line.what]


def put(log: AuditLog, numbers: range) -> None:
    for number in numbers:
        log.put(Kind.VCPUS, {"n": number})


def until_failing(log: AuditLog) -> None:
    end = time.monotonic() + 5
    while not log.state.last_error and time.monotonic() < end:
        time.sleep(0.005)
    assert log.state.last_error


def test_all_that_was_put_is_there_in_order(path: Path) -> None:
    log = AuditLog(AuditFile(path))
    log.start()
    put(log, range(1200))
    assert log.close(10)
    assert numbers(path) == list(range(1200))
    assert verify(all_of(path)).broken is None


def test_a_disk_that_hangs_delays_nobody(path: Path) -> None:
    disk = Disk()
    log = AuditLog(AuditFile(path, write=disk.write), bound=50)
    disk.moves.clear()
    log.start()
    began = time.monotonic()
    put(log, range(1000))
    assert time.monotonic() - began < 0.5
    assert log.state.waiting <= 50
    assert not log.close(0.1)
    disk.moves.set()
    log._thread.join(10)


def test_what_a_full_disk_loses_is_counted_said_once_and_written_down(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = Disk()
    log = AuditLog(AuditFile(path, write=disk.write), bound=10, first_retry_s=0.01)
    log.start()
    disk.full = True
    before = time.time()
    with caplog.at_level(logging.WARNING):
        put(log, range(25))
        until_failing(log)
        time.sleep(0.1)
        assert log.state.lost == 15
        disk.full = False
        assert log.close(10)
    said = [record for record in caplog.records if record.name.startswith("hotslot.audit")]
    assert [record.levelname for record in said if "ok → failing" in record.message] == ["ERROR"]
    assert numbers(path) == list(range(10))
    (gap,) = [line for line in entries(all_of(path)) if line.kind == Kind.GAP]
    assert gap.what["entries"] == 15
    assert before <= gap.what["from"] <= gap.what["to"] <= time.time()
    assert "No space left" in gap.why
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.gaps, verdict.lost) == (None, 1, 15)


def test_it_goes_on_by_itself_once_the_disk_does(path: Path) -> None:
    disk = Disk()
    log = AuditLog(AuditFile(path, write=disk.write), first_retry_s=0.01)
    log.start()
    disk.full = True
    put(log, range(3))
    until_failing(log)
    disk.full = False
    end = time.monotonic() + 5
    while numbers_if(path) != [0, 1, 2] and time.monotonic() < end:
        time.sleep(0.01)
    assert numbers_if(path) == [0, 1, 2]
    assert log.close(5)


def numbers_if(path: Path) -> list[int]:
    return numbers(path) if path.exists() else []


def test_a_folder_that_cannot_be_made_fails_no_agent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = AuditLog(AuditFile(tmp_path / "file" / "audit.log"), first_retry_s=0.01)
    log.start()
    put(log, range(2))
    until_failing(log)
    assert not log.close(1)
    assert log.state.waiting == 2


def test_a_change_is_written_with_its_job_and_its_reason(path: Path) -> None:
    log = AuditLog(AuditFile(path))
    log.start()
    lease = Lease(1, placement(), 0.0)
    watch = Watch(log, lambda _: lease)
    applied = event(1, at=5.0)
    watch.changed(applied)
    watch.changed(event(99, at=6.0))
    watch.limits("slurm", {"n1": 12}, "")
    watch.limits("slurm", {"n1": 8}, "timed out")
    watch.limits("slurm", {"n1": 8}, "")
    watch.resumed("slurm", "w1", "Prolog error", "")
    watch.requeued(placement("13"), "no")
    assert log.close(5)
    lines = [line for line in entries([path]) if line.kind != Kind.FILE]
    assert lines[0].why == applied.reason
    assert lines[0].what["got_vcpus"] == applied.got_vcpus
    assert (lines[0].what["job"], lines[0].what["user"]) == ("12", "alice")
    assert "job" not in lines[1].what, "the lease is another one"
    limits = [line.what for line in lines if line.kind == Kind.LIMITS]
    assert [(one["from_cpus"], one["to_cpus"], one["problem"]) for one in limits] == [
        (None, 12, None), (12, 8, "timed out"), (12, 8, None)]  # fmt: skip
    assert (lines[-2].kind, lines[-2].why) == ("resume", "Prolog error")
    assert (lines[-1].kind, lines[-1].what["job"]) == ("requeue", "13")


def test_attempts_that_changed_nothing_are_not_changes(path: Path) -> None:
    import dataclasses

    log = AuditLog(AuditFile(path))
    watch = Watch(log, lambda _: None)
    one = event(None, at=1.0)
    watch.changed(dataclasses.replace(one, got_vcpus=one.from_vcpus, result=EventResult.REFUSED))
    assert log.state.waiting == 0
    watch.changed(dataclasses.replace(one, got_vcpus=one.from_vcpus + 1, result=EventResult.FAILED))
    assert log.state.waiting == 1
