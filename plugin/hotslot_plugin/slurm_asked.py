"""What a Slurm job's owner asks of hotslot, in the job's comment: pure.

    sbatch --comment="hotslot:min=4,burst=no" job.sh

beside other words, if any; those are left alone.
"""

from __future__ import annotations

import re

from hotslot_plugin.asked import canonical

LOOKED_AT = 4096
"""Characters of a comment that are looked at; slurmctld takes 1,024 of a user."""

WORD = "hotslot:"


def asked_in(comment: str) -> str:
    """Return the settings of all words that begin with ``hotslot:``, '' where there are none.

    Worked: ``run 7; hotslot:min=4 hotslot:burst=no`` asks for ``min=4,burst=no``.
    """
    pairs: list[tuple[str, str]] = []
    words = re.split(r"[\s;]+", comment[:LOOKED_AT])
    if len(comment) > LOOKED_AT:
        # The last setting may be a part of another one.
        words[-1] = words[-1].rpartition(",")[0]
    for word in words:
        if word[: len(WORD)].lower() == WORD:
            for setting in word[len(WORD) :].strip("\"'").split(","):
                key, _, value = setting.partition("=")
                pairs.append((key, value))
    return canonical(pairs)
