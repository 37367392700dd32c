"""The execution cap, for guests that cannot give up CPUs; pure.

All vCPUs stay attached, and VirtualBox lets each run ``cap_pct`` of the time. What that is worth
is shown as if so many vCPUs were attached, the lowest ones.

    shown   = max(1, floor(attached * cap_pct / 100))
    cap_pct = min(100, ceil(100 * wanted / attached))

Worked: 3 of 8: cap_pct = ceil(37.5) = 38, and floor(8 * 0.38) = 3. As ``wanted`` is whole and
``attached`` at most 64, it comes back as it was set: 64 * 0.99 / 100 < 1.
"""

from __future__ import annotations

import math

from hotslot.act.virtualbox_file import Settings


def shown(settings: Settings) -> frozenset[int]:
    """Return the vCPUs that a VM has the time of."""
    attached = sorted(settings.attached)
    worth = len(attached) * settings.cap_pct // 100
    return frozenset(attached[: max(1, worth)])


def cap_pct(wanted: int, attached: int) -> int:
    """Return the cap (1 to 100) that leaves the time of ``wanted`` vCPUs to ``attached``."""
    return min(100, max(1, math.ceil(100 * wanted / attached)))
