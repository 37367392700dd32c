"""Adding lines to an audit log's file, by one process at a time.

Lines are written and synced (fdatasync) before ``append`` returns; a file is only ever added to.
What a crash has left in the middle of a line is marked by the next one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotslot.audit import files
from hotslot.audit.chain import Draft, Head, Kind, torn, written
from hotslot.errors import AuditError

FILE_MODE = 0o640
LOCK_MODE = 0o600

LOCK_S = 5.0
"""How long another process may be writing before it counts as hanging; one write takes ms."""

Write = Callable[[int, bytes], int]


@dataclass(frozen=True, slots=True)
class Keep:
    """A file is written until it has so many bytes or is so old; then it stays for ``keep_s``.

    ``keep_s`` None: for ever.
    """

    file_bytes: int = 32 * 1024 * 1024
    file_s: float = 30 * 86_400.0
    keep_s: float | None = 400 * 86_400.0


class AuditFile:
    """The file to which lines are added; not for several threads at once.

    Other processes may add to it between two calls, rename it, or die while writing.
    """

    def __init__(
        self,
        path: Path,
        keep: Keep | None = None,
        wall: Callable[[], float] = time.time,
        write: Write = os.write,
    ) -> None:
        self._path = path
        self._keep = keep or Keep()
        self._wall = wall
        self._write = write
        self._file: int | None = None
        self._size = -1
        self._began = 0.0
        self.head = Head()
        self.torn = 0

    def append(self, drafts: Sequence[Draft]) -> None:
        """Add lines; AuditError says what stops that, and how many are in the file all the same."""
        try:
            with _locked(self._path):
                left = self._look()
                if self._file is None or self._is_full():
                    self._begin(left)
                    left = b""
                self._add(drafts, left)
        except AuditError:
            raise
        except OSError as error:
            raise AuditError(f"{self._path}: {error.strerror or error}") from error

    def close(self) -> None:
        """Close the file; the next ``append`` opens it again."""
        if self._file is not None:
            os.close(self._file)
        self._file, self._size = None, -1

    def _look(self) -> bytes:
        """Find the last whole line, and return what is behind it."""
        if self._file is not None and not self._is_current():
            self.close()
        if self._file is None:
            with contextlib.suppress(FileNotFoundError):
                self._file = files.open_plain(self._path, os.O_RDWR | os.O_APPEND)
                files.to_group(self._file, self._path.parent, FILE_MODE)
        if self._file is None or os.fstat(self._file).st_size == self._size:
            return b""
        first, (last, left) = files.first_line(self._file), files.last_line(self._file)
        if last is None:
            self.close()
            return left
        self.head, self._began = last.head, first.at if first else last.at
        return left

    def _is_current(self) -> bool:
        assert self._file is not None  # noqa: S101 (the caller has looked)
        mine = os.fstat(self._file)
        try:
            there = self._path.lstat()
        except FileNotFoundError:
            return False
        return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)

    def _is_full(self) -> bool:
        assert self._file is not None  # noqa: S101 (the caller has looked)
        old = self._wall() - self._began >= self._keep.file_s
        return old or os.fstat(self._file).st_size >= self._keep.file_bytes

    def _begin(self, left: bytes) -> None:
        """Begin a new file; its first line names the last one of the file before.

        A file without any whole line is put aside: nothing in it had been written to its end.
        """
        known = files.before(self._path)
        number = int(files.number_of(known[-1])) if known else 0
        what: dict[str, object] = {}
        if self._file is not None:
            if left or files.lacks_newline(self._file):
                self._add([], left)
            self.close()
            number += 1
            self._path.rename(self._path.with_name(f"{self._path.name}.{number}"))
        else:
            self.head = _head_of(known[-1]) if known else Head()
            if left:
                aside = self._path.with_name(f"{self._path.name}.aside-{self._wall():.0f}")
                self._path.rename(aside)
                what["put_aside"] = aside.name
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        self._file = files.open_plain(self._path, flags, FILE_MODE)
        files.to_group(self._file, self._path.parent, FILE_MODE)
        self._began = self._wall()
        what["after"] = f"{self._path.name}.{number}" if number else None
        self._add_own(Kind.FILE, what, "a new file")
        _sync_folder(self._path.parent)
        self._let_go()

    def _let_go(self) -> None:
        """Delete files that are older than they are kept; a line says so before they go."""
        if self._keep.keep_s is None:
            return
        until = self._wall() - self._keep.keep_s
        for path in files.before(self._path):
            if path.lstat().st_mtime >= until:
                return
            what = {"file": path.name, "through_seq": _head_of(path).seq}
            self._add_own(Kind.EXPIRED, what, "older than kept")
            path.unlink()

    def _add_own(self, kind: Kind, what: Mapping[str, object], why: str) -> None:
        try:
            self._add([Draft(self._wall(), kind, "hotslot", what, why)], b"")
        except AuditError as error:
            raise AuditError(str(error)) from error

    def _add(self, drafts: Sequence[Draft], left: bytes) -> None:
        assert self._file is not None  # noqa: S101 (`append` has opened it)
        head, ends = self.head, []
        text = b"\n" if files.lacks_newline(self._file) else b""
        if left:
            raw, head = written(torn(self._wall(), left.removesuffix(b"\n")), head)
            text += raw
            self.torn += 1
        for draft in drafts:
            raw, head = written(draft, head)
            text += raw
            ends.append(len(text))
        done = 0
        try:
            while done < len(text):
                done += self._write(self._file, text[done:])
            os.fdatasync(self._file)
        except OSError as error:
            self._size = -1
            whole = sum(end - 1 <= done for end in ends)  # its newline comes with the next write
            raise AuditError(f"{self._path}: {error.strerror or error}", whole) from error
        self.head, self._size = head, os.fstat(self._file).st_size


def _head_of(path: Path) -> Head:
    file = files.open_plain(path, os.O_RDONLY)
    try:
        last, left = files.last_line(file)
    finally:
        os.close(file)
    if last is None or left:
        raise AuditError(f"{path} does not end in a whole line: move it away")
    return last.head


def _sync_folder(folder: Path) -> None:
    """Have a new file's name survive a power cut."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Be the only process that writes; the lock is a file that readers of the log cannot open."""
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    lock = files.open_plain(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, LOCK_MODE)
    try:
        files.to_group(lock, path.parent, LOCK_MODE)
        until = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise AuditError(f"{path}: another process has been writing for long") from None
                time.sleep(0.01)
        yield
    finally:
        os.close(lock)
