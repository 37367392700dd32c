"""Files of the log: crashes, full disks, other writers, symbolic links, turning over."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotslot.audit.chain import GENESIS, Draft, Kind
from hotslot.audit.files import all_of, last_of
from hotslot.audit.verify import entries, holds, verify
from hotslot.audit.writing import AuditFile, Keep
from hotslot.errors import AuditError

NOW = 1_000_000.0


def draft(number: int = 0) -> Draft:
    return Draft(NOW + number, Kind.VCPUS, "hotslotd", {"n": number}, "peak of 60 s is 2.1 cores")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.log"


def numbers(path: Path) -> list[int]:
    return [line.what["n"] for line in entries(all_of(path)) if "n" in line.what]


def is_whole(path: Path) -> bool:
    return verify(all_of(path)).broken is None


def test_lines_are_added_by_one_after_another(path: Path) -> None:
    for number in range(3):
        file = AuditFile(path)
        file.append([draft(number)])
        file.append([draft(10 + number)])
        file.close()
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.lines, verdict.first_seq) == (None, 7, 1)
    assert numbers(path) == [0, 10, 1, 11, 2, 12]
    assert path.stat().st_mode & 0o777 == 0o640
    assert (path.parent / "audit.log.lock").stat().st_mode & 0o777 == 0o600


def test_two_that_write_in_turns_make_one_chain(path: Path) -> None:
    one, other = AuditFile(path), AuditFile(path)
    for number in range(0, 10, 2):
        one.append([draft(number)])
        other.append([draft(number + 1)])
    assert is_whole(path)
    assert numbers(path) == list(range(10))


def test_many_processes_make_one_chain(path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from hotslot.audit.chain import Draft, Kind\n"
        "from hotslot.audit.writing import AuditFile, Keep\n"
        "file = AuditFile(pathlib.Path(sys.argv[1]), Keep(file_bytes=4000))\n"
        "for n in range(20): file.append([Draft(1.0, Kind.VCPUS, 'x', {'n': n}, 'y' * 200)])\n"
    )
    going = [subprocess.Popen([sys.executable, "-c", code, str(path)]) for _ in range(3)]
    assert [one.wait(30) for one in going] == [0, 0, 0]
    assert is_whole(path)
    assert sorted(numbers(path)) == sorted(list(range(20)) * 3)
    assert len(all_of(path)) > 3


@settings(max_examples=30)
@given(st.integers(1, 400))
def test_a_crash_in_the_middle_of_a_write_is_marked_and_counted(
    tmp_path_factory: pytest.TempPathFactory, lost: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.log"
    first = AuditFile(path)
    first.append([draft(0)])
    first.append([draft(1), draft(2)])
    first.close()
    whole = path.read_bytes()
    cut = max(len(whole) - lost, whole.index(b"\n") + 1)
    os.truncate(path, cut)
    assert is_whole(path) == (b"\n" in whole[cut - 1 : cut + 1])
    AuditFile(path).append([draft(3)])
    verdict = verify(all_of(path))
    assert verdict.broken is None
    assert numbers(path)[-1] == 3
    left = whole[:cut].rpartition(b"\n")[2]
    assert len(verdict.torn) == (bool(left) and left + b"\n" not in whole)


def test_a_crash_while_marking_is_marked_too(path: Path) -> None:
    AuditFile(path).append([draft(0)])
    with path.open("ab") as file:
        file.write(b'{"seq":3,"at\n\x00\x00\x00{"seq":3,"at":')
    AuditFile(path).append([draft(1)])
    verdict = verify(all_of(path))
    assert (verdict.broken, len(verdict.torn)) == (None, 1)


def test_a_line_that_lacks_nothing_but_its_newline_is_whole(path: Path) -> None:
    AuditFile(path).append([draft(0), draft(1)])
    os.truncate(path, path.stat().st_size - 1)
    assert is_whole(path)
    AuditFile(path).append([draft(2)])
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.torn) == (None, ())
    assert numbers(path) == [0, 1, 2]


@pytest.mark.parametrize("left", [b"", b'{"seq":1,"at":17', b"\n\n"])
def test_a_crash_before_the_first_line_loses_nothing(path: Path, left: bytes) -> None:
    path.write_bytes(left)
    AuditFile(path).append([draft(1)])
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.lines) == (None, 2)
    assert len(verdict.aside) == bool(left)


def failing(times: int, after: int, how: int = errno.ENOSPC) -> Callable[[int, bytes], int]:
    """A disk that takes ``after`` bytes, and then fails so many times."""
    room, left = after, times

    def write(file: int, text: bytes) -> int:
        nonlocal room, left
        if room >= len(text) or left <= 0:
            room -= len(text)
            return os.write(file, text)
        if room > 0:
            part, room = room, 0
            return os.write(file, text[:part])
        left -= 1
        raise OSError(how, os.strerror(how))

    return write


@settings(max_examples=40)
@given(st.integers(0, 1500), st.integers(1, 3))
def test_after_a_full_disk_every_line_is_there_once(
    tmp_path_factory: pytest.TempPathFactory, after: int, times: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "audit.log"
    file = AuditFile(path, write=failing(times, after))
    waiting = [draft(number) for number in range(5)]
    while waiting:
        try:
            file.append(waiting[:3])
            waiting = waiting[3:]
        except AuditError as error:
            assert "No space left" in str(error)
            waiting = waiting[error.written :]
    assert numbers(path) == list(range(5))
    assert is_whole(path)


def test_files_turn_over_by_size_and_by_time_and_the_chain_goes_on(path: Path) -> None:
    now = NOW
    file = AuditFile(path, Keep(file_bytes=900, file_s=3600), wall=lambda: now)
    for number in range(10):
        file.append([draft(number)])
    by_size = len(all_of(path))
    assert by_size >= 3
    now += 4000
    file.append([draft(10)])
    assert len(all_of(path)) == by_size + 1
    assert [one.name for one in all_of(path)[:2]] == ["audit.log.1", "audit.log.2"]
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.missing) == (None, 0)
    assert numbers(path) == list(range(11))
    assert verify(all_of(path)[1:]).missing > 0
    assert verify([all_of(path)[0], *all_of(path)[2:]]).broken is not None
    assert verify([all_of(path)[1], all_of(path)[0]]).broken is not None


def test_a_new_file_begins_with_the_last_hash_of_the_old_one(path: Path) -> None:
    file = AuditFile(path, Keep(file_bytes=1))
    file.append([draft(0)])
    last = last_of(path)
    file.append([draft(1)])
    first = next(iter(entries([path])))
    assert last is not None
    assert (first.kind, first.prev, first.what["after"]) == ("file", last.hash, "audit.log.1")
    assert next(iter(entries(all_of(path)))).prev == GENESIS


def test_what_is_older_than_kept_goes_and_the_log_says_so(path: Path) -> None:
    now = time.time()
    file = AuditFile(path, Keep(file_bytes=1, keep_s=1000), wall=lambda: now)
    file.append([draft(0)])
    file.append([draft(1)])
    os.utime(path.with_name("audit.log.1"), (now - 2000, now - 2000))
    file.append([draft(2)])
    assert numbers(path) == [1, 2]
    verdict = verify(all_of(path))
    assert (verdict.broken, verdict.missing) == (None, 0)
    assert verdict.first_seq > 1
    all_of(path)[0].unlink()
    assert verify(all_of(path)).missing > 0


def test_a_symbolic_link_is_not_followed(path: Path) -> None:
    victim = path.parent / "victim"
    victim.write_text("as it was")
    path.symlink_to(victim)
    with pytest.raises(AuditError):
        AuditFile(path).append([draft()])
    path.unlink()
    AuditFile(path).append([draft()])
    lock = path.parent / "audit.log.lock"
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(AuditError):
        AuditFile(path).append([draft()])
    assert victim.read_text() == "as it was"
    os.mkfifo(path.parent / "pipe")
    with pytest.raises(AuditError, match="not a plain file"):
        AuditFile(path.parent / "pipe").append([draft()])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_begins_belongs_to_the_folders_owner(path: Path) -> None:
    os.chown(path.parent, 1234, 1234)
    AuditFile(path).append([draft()])
    for one in (path, path.with_name("audit.log.lock")):
        assert (one.stat().st_uid, one.stat().st_gid) == (1234, 1234)


def test_a_mode_that_lets_others_write_is_mended(path: Path) -> None:
    AuditFile(path).append([draft()])
    path.chmod(0o666)
    AuditFile(path).append([draft()])
    assert path.stat().st_mode & 0o777 == 0o640


def test_who_waits_for_a_writer_that_hangs_gives_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    AuditFile(path).append([draft()])
    monkeypatch.setattr("hotslot.audit.writing.LOCK_S", 0.1)
    with path.with_name("audit.log.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(AuditError, match="another process"):
            AuditFile(path).append([draft()])


def test_a_kept_head_is_found_as_long_as_its_line_is_there(path: Path) -> None:
    AuditFile(path).append([draft(0)])
    head = last_of(path)
    assert head is not None
    AuditFile(path).append([draft(1)])
    assert holds(all_of(path), head.hash)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:1]))
    assert is_whole(path)
    assert not holds(all_of(path), head.hash)


def test_a_file_of_something_else_is_put_aside_and_read_in_pieces(path: Path) -> None:
    path.write_bytes(b"\x00" * 5_000_000)
    assert not is_whole(path)
    AuditFile(path).append([draft(1)])
    verdict = verify(all_of(path))
    assert (verdict.broken, len(verdict.aside)) == (None, 1)
    aside = path.with_name(verdict.aside[0])
    found = verify([aside]).broken
    assert found is not None
    assert found.where == f"{aside}, line 1"
