"""hotslotd on a machine whose clock is set: clocked_agent.py FILE ARGUMENTS.

The file says by how many seconds the clock is ahead; whoever replaces it sets the clock. Only the
time of day is set, as in reality: waits and intervals are the monotonic clock's. All of hotslot
and logging have the time of day from ``time.time``. libfaketime would do the same to C
libraries, but with the monotonic clock left out its 0.9.10 (Debian 12) fails each ``time.sleep``
of Python 3.11 (EINVAL), and Debian 13's needs a newer glibc.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path


def clock_of(file: Path, true: Callable[[], float]) -> Callable[[], float]:
    """Return a clock that is as far ahead of the true one as the file says now."""
    return lambda: true() + float(file.read_text())


def main() -> int:
    """Run hotslotd with the clock."""
    time.time = clock_of(Path(sys.argv.pop(1)), time.time)
    from hotslot.agent import main as hotslotd  # takes the clock as it is when imported

    return hotslotd()


if __name__ == "__main__":
    sys.exit(main())
