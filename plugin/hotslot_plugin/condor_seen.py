"""What ``hotslot check`` is shown of a pool."""

from __future__ import annotations

from hotslot.errors import SchedulerError
from hotslot_plugin import condor_check
from hotslot_plugin.condor_pool import Pool
from hotslot_plugin.condor_slot import Startd


def seen_schedd(pool: Pool, name: str) -> condor_check.SeenSchedd:
    """Return what ``hotslot check`` looks at of a schedd."""
    try:
        settings = pool.schedd_settings(name, condor_check.SCHEDD_SETTINGS)
        user, known = pool.identity(name)
    except SchedulerError as error:
        return condor_check.SeenSchedd(name, {}, "", known=False, problem=str(error))
    return condor_check.SeenSchedd(name, settings, user, known)


def seen_worker(pool: Pool, worker: str, startd: Startd | None) -> condor_check.SeenWorker:
    """Return what ``hotslot check`` looks at of a worker."""
    if startd is None:
        return condor_check.SeenWorker(worker, None, {})
    try:
        settings = pool.startd_settings(worker, condor_check.STARTD_SETTINGS)
    except SchedulerError:
        settings = {}
    return condor_check.SeenWorker(worker, startd, settings)
