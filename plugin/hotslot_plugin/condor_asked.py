"""What an HTCondor job's owner asks of hotslot, in the job's ad: pure.

    +HotslotMin = 4
    +HotslotDeadline = "2026-12-01T12:00"

ClassAd names know no upper and lower case. hotslot's figures have other names (``condor_runs``).
"""

from __future__ import annotations

from hotslot_plugin.asked import canonical
from hotslot_plugin.condor_ad import Ad

ATTRIBUTES = {
    "HotslotElastic": "elastic",
    "HotslotMin": "min",
    "HotslotBurst": "burst",
    "HotslotDeadline": "deadline",
}
"""What is asked of a job, and the settings that it stands for."""


def asked_in(ad: Ad) -> str:
    """Return the settings of a job's ad, '' where there are none.

    Worked: ``HotslotMin = 4`` and ``HotslotBurst = false`` ask for ``min=4,burst=no``.
    """
    return canonical((key, _text(ad[name])) for name, key in ATTRIBUTES.items() if name in ad)


def _text(value: object) -> str:
    """Return a value as an owner of a Slurm job would write it; ``?`` for what is no value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e6:
        return str(int(value))
    if isinstance(value, int) and abs(value) >= 10**18:
        return "?"
    return str(value).strip() if isinstance(value, str | int | float) else "?"
