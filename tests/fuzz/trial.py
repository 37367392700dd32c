"""Trying inputs one after another: what was raised, how long it took, whether memory grows."""

from __future__ import annotations

import ctypes
import gc
import signal
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from fuzz.target import ROOT, Target

GROWTH_MIB = 48
"""More memory than this, from a tenth of a run to its end, is growth; caches have a few MiB."""


class TooSlow(BaseException):
    """An input took more CPU time than it may."""


@dataclass(slots=True)
class Trial:
    """One target's run so far; ``found`` has the first input of each finding, by what it was."""

    target: Target
    inputs: int = 0
    accepted: int = 0
    found: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        signal.signal(signal.SIGVTALRM, _too_slow)

    def take(self, data: bytes) -> None:
        """Try one input."""
        self.inputs += 1
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, self.target.limit_s)
            self.target.run(data)
            self.accepted += 1
        except self.target.allowed:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - that is what is looked for
            self.found.setdefault(_where(error), data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def resident_mib() -> float:
    """Return the memory of this process, without what the allocator has free."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def _too_slow(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow


def _where(error: BaseException) -> str:
    """Return what was raised, and by which line of ours: the same for all inputs that do so."""
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if ".venv" not in one.filename
    ]
    ours = [one for one in frames if "/fuzz/" not in one.filename and str(ROOT) in one.filename]
    last = (ours or frames)[-1] if frames else None
    place = f"{Path(last.filename).name}:{last.lineno}" if last else "?"
    words = "".join(c if c.isprintable() else "?" for c in str(error)[:120])
    detail = f": {words}" if type(error).__name__ == "Broken" else ""
    return f"{type(error).__name__} at {place}{_digits(detail)}"


def _digits(words: str) -> str:
    return "".join("#" if c.isdigit() else c for c in words)[:60]
