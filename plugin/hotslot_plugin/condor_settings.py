"""The keys beside ``scheduler.name: htcondor``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from hotslot.bounds import filled, like, within
from hotslot_plugin.settings import checked

Schedd = Annotated[str, like(r"^[A-Za-z0-9][A-Za-z0-9@._-]{0,252}$")]


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How HTCondor is asked.

    ``config``: the file that CONDOR_CONFIG names; '' for the machine's own configuration.
    ``schedds``: names of the schedds whose jobs run here; none: all that the collector knows.
    ``python``: the interpreter that has HTCondor's bindings; '' for this one.
    ``command``: words before it, such as [sudo, -n, -u, hotslot].
    ``timeout_s``: the time limit of each call, all daemons that it asks together.
    """

    config: Annotated[str, like(r"^(/[^\x00\n]*)?$")] = ""
    schedds: tuple[Schedd, ...] = ()
    python: Annotated[str, like(r"^[^\x00\n]*$")] = ""
    command: tuple[Annotated[str, filled], ...] = ()
    timeout_s: Annotated[float, within(1, 300)] = 10.0


def parse(settings: Mapping[str, object]) -> Settings:
    """Check the settings; ValueError names every problem."""
    return checked(Settings, settings)
