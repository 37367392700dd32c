"""The files of an audit log: the one that is written, and those before it, by number.

``audit.log`` is written; when it is large or old it becomes ``audit.log.1``, the next one
``audit.log.2``, and so on: a higher number is newer, and the chain goes on from one to the next.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hotslot.audit.chain import LEFT_BYTES, Line, NotALine, read

TAIL_BYTES = LEFT_BYTES
"""The last whole line of a file is within its last so many bytes, else the file is put aside."""

STEP_BYTES = 256 * 1024


def number_of(path: Path) -> float:
    """Return a file's place in the order of files; the one that is being written is the last."""
    last = path.name.rpartition(".")[2]
    return int(last) if last.isdecimal() else float("inf")


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order in which they were written."""
    return sorted(paths, key=lambda path: (number_of(path), path.name))


def before(path: Path) -> list[Path]:
    """Return the files that were written before ``path``, oldest first."""
    found = path.parent.glob(f"{path.name}.*")
    return in_order(one for one in found if one.name[len(path.name) + 1 :].isdecimal())


def all_of(path: Path) -> list[Path]:
    """Return the files of a log, oldest first."""
    return [*before(path), *([path] if path.exists() else [])]


def raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield each line's number, from 1 on, and its bytes without the newline.

    A line without a newline is the last one, and is yielded, too. One of more than LEFT_BYTES,
    which is none of ours, comes in pieces.
    """
    with path.open("rb") as file:
        rest, number = b"", 1
        while step := file.read(STEP_BYTES):
            *whole, rest = (rest + step).split(b"\n")
            for raw in whole:
                yield number, raw
                number += 1
            if len(rest) > LEFT_BYTES:
                yield number, rest
                rest = b""
        if rest:
            yield number, rest


def last_line(file: int) -> tuple[Line | None, bytes]:
    """Return an open file's last whole line, and what is behind it (with its newlines).

    A line that lacks nothing but its newline is whole. None: there is none within TAIL_BYTES.
    """
    size = os.fstat(file).st_size
    tail = os.pread(file, min(size, TAIL_BYTES), max(0, size - TAIL_BYTES))
    end = len(tail)
    while end > 0:
        begin = tail.rfind(b"\n", 0, end - 1) + 1
        try:
            return read(tail[begin:end].removesuffix(b"\n")), tail[end:]
        except NotALine:
            end = begin
    return None, tail


def lacks_newline(file: int) -> bool:
    """Whether an open file ends in the middle of a line, or just behind its last letter."""
    size = os.fstat(file).st_size
    return size > 0 and os.pread(file, 1, size - 1) != b"\n"


def first_line(file: int) -> Line | None:
    """Return an open file's first line, None if that is not whole."""
    raw = os.pread(file, TAIL_BYTES, 0).partition(b"\n")[0]
    try:
        return read(raw)
    except NotALine:
        return None


def last_of(path: Path) -> Line | None:
    """Return the last whole line of a log, None if there is none."""
    for one in reversed(all_of(path)):
        file = open_plain(one, os.O_RDONLY)
        try:
            last, _ = last_line(file)
        finally:
            os.close(file)
        if last is not None:
            return last
    return None


def open_plain(path: Path, flags: int, mode: int = 0) -> int:
    """Open a file that is no symbolic link, device or pipe; OSError when it is."""
    file = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, mode)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(None, "it is not a plain file", str(path))
    return file


def to_group(file: int, folder: Path, mode: int) -> None:
    """Give a file its mode; made by root, it goes to the owner of its folder, who writes on."""
    has = os.fstat(file)
    if os.geteuid() not in (0, has.st_uid):
        return
    if os.geteuid() == 0 and has.st_uid == 0:
        owner = folder.stat()
        os.fchown(file, owner.st_uid, owner.st_gid)
    if stat.S_IMODE(has.st_mode) != mode:
        os.fchmod(file, mode)
