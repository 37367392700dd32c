"""Reading ads that somebody else wrote: every attribute may be missing, odd or hostile.

One job's odd attribute must not hide the others' jobs: what cannot be used is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from hotslot.errors import SchedulerError

Ad = Mapping[str, object]

TEXT_LENGTH = 255
"""Longest text that is kept of a name or a reason, in characters."""

NUMBER_MAX = 2**53
"""Largest number that is believed."""

JOB_ID = re.compile(r"([0-9]{1,18})\.([0-9]{1,9})@([A-Za-z0-9][A-Za-z0-9@._-]{0,252})")
GLOBAL_JOB_ID = re.compile(r"([A-Za-z0-9][A-Za-z0-9@._-]{0,252})#([0-9]{1,18}\.[0-9]{1,9})#.*")
WORKER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def text(ad: Ad, name: str) -> str:
    """Return text on one line, shortened, without control characters; '' if there is none."""
    value = ad.get(name)
    return line(value) if isinstance(value, str) else ""


def line(words: str) -> str:
    """Return words as one line that can be shown."""
    return "".join(c if c.isprintable() else " " for c in words[:TEXT_LENGTH]).strip()


def number(ad: Ad, name: str) -> float | None:
    """Return a number of 0 or more; None when there is none."""
    value = ad.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= NUMBER_MAX else None


def whole(ad: Ad, name: str) -> int | None:
    """Return a number of 0 or more, rounded down; None when there is none."""
    value = number(ad, name)
    return None if value is None else int(value)


def true(ad: Ad, name: str) -> bool:
    """Return whether an attribute is true; what is not a truth value is not."""
    return ad.get(name) is True


def claim(ad: Ad) -> str:
    """Return what tells a claim from the startd's others: its PublicClaimId without the address.

    Worked: ``<10.0.0.5:9618?addrs=…&sock=startd_66_d957>#1795285725#2#...`` → ``#1795285725#2#...``
    """
    value = ad.get("PublicClaimId")
    return line(value.rpartition(">")[2]) if isinstance(value, str) else ""


def job_id_of(global_job_id: str) -> str:
    """Return the job id of a GlobalJobId, '' if it is none.

    Worked: ``schedd#12.0#1795254337`` is ``12.0@schedd``.
    """
    found = GLOBAL_JOB_ID.fullmatch(global_job_id)
    return f"{found[2]}@{found[1]}" if found else ""


def named(workers: Iterable[str]) -> list[str]:
    """Return workers' names, checked: SchedulerError for what no machine can be called."""
    names = list(workers)
    for name in names:
        if not WORKER.fullmatch(name):
            raise SchedulerError(f"{name!r} is not a name of an HTCondor machine")
    return names


def is_called(machine: str, worker: str) -> bool:
    """Return whether a machine is this worker: by its whole name, or by its first label where the
    worker's name has no dot. Names of machines have no case."""
    machine, worker = machine.lower(), worker.lower()
    return machine == worker or ("." not in worker and machine.split(".")[0] == worker)


def machines(workers: Iterable[str], attribute: str = "Machine", before: str = "^") -> str:
    """Return the constraint for ads of these workers, whose names have been checked.

    Only dots mean something in a pattern, and are put in brackets.
    """
    patterns = [name.replace(".", "[.]") + ("" if "." in name else "([.].*)?") for name in workers]
    return f'regexp("{before}({"|".join(patterns)})$", {attribute}, "i")'


def these_jobs(ids: Iterable[str]) -> str:
    """Return the constraint for jobs ``CLUSTER.PROC``, digits that have been checked."""
    pairs = (job.split(".") for job in ids)
    return " || ".join(f"(ClusterId == {int(c)} && ProcId == {int(p)})" for c, p in pairs)
