"""Artifacts that are slow to build, kept outside the repository and keyed by their recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import progress

Build = Callable[[Path, int], None]
"""Fills an empty directory; the second argument is the lock's descriptor, for its commands.

A command that inherits the descriptor keeps the lock should its builder be killed, so that no
second builder starts while the first one's commands still write.
"""


def cache_dir() -> Path:
    """Return the cache directory: HOTSLOT_CACHE, else hotslot below XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("HOTSLOT_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base).absolute() / "hotslot"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A directory that is made once for each version of its recipe."""

    name: str
    recipe: str
    build: Build

    @property
    def key(self) -> str:
        return f"{self.name}-{hashlib.sha256(self.recipe.encode()).hexdigest()[:16]}"

    @property
    def path(self) -> Path:
        return cache_dir() / self.key

    def ensure(self) -> Path:
        """Build the artifact unless it exists, and return its directory."""
        if not self.path.is_dir():
            with _lock(self.key, exclusive=True, waiting=f"{self.name} is being built") as lock:
                if not self.path.is_dir():
                    self._build(lock)
        self._remove_stale()
        return self.path

    @contextmanager
    def in_use(self) -> Iterator[Path]:
        """Yield the artifact's directory, which is not removed meanwhile."""
        while True:
            self.ensure()
            with _lock(self.key, exclusive=False, waiting=f"{self.name} is locked"):
                if self.path.is_dir():
                    yield self.path
                    return

    def _build(self, lock: int) -> None:
        for left_over in cache_dir().glob(f"{self.key}.part*"):
            shutil.rmtree(left_over)
        part = cache_dir() / f"{self.key}.part{os.getpid()}"
        part.mkdir(parents=True)
        try:
            with progress.step(f"building {self.name}"):
                self.build(part, lock)
            part.rename(self.path)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _remove_stale(self) -> None:
        """Remove what older recipes left behind, except what somebody builds or uses."""
        for old in cache_dir().glob(f"{self.name}-????????????????*"):
            key = old.name.split(".")[0]
            if key == self.key or not old.is_dir():
                continue
            with _try_lock(key) as locked:
                if locked:
                    progress.say(f"removing {old.name}, which an older recipe made")
                    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _lock(key: str, *, exclusive: bool, waiting: str) -> Iterator[int]:
    cache_dir().mkdir(parents=True, exist_ok=True)
    mode = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    descriptor = os.open(cache_dir() / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"waiting: {waiting} by another process")
            fcntl.flock(descriptor, mode)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _try_lock(key: str) -> Iterator[bool]:
    descriptor = os.open(cache_dir() / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
