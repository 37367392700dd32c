"""The keys beside ``scheduler.name: slurm``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from hotslot.bounds import filled, like, within
from hotslot_plugin.settings import checked


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How Slurm is asked.

    ``source``: auto takes pyslurm where its version is Slurm's, else Slurm's commands.
    ``command``: words before each of Slurm's commands, such as [sudo, -u, slurm].
    ``timeout_s``: the time limit of each call.
    ``partition``: the host's own partition, whose QOS's GrpTRES hotslot sets; '' leaves it alone.
    """

    source: Literal["auto", "pyslurm", "scontrol"] = "auto"
    command: tuple[Annotated[str, filled], ...] = ()
    timeout_s: Annotated[float, within(0.1, 300)] = 10.0
    partition: Annotated[str, like(r"^([A-Za-z0-9_.][A-Za-z0-9_.-]{0,62})?$")] = ""


def parse(settings: Mapping[str, object]) -> Settings:
    """Check the settings; ValueError names every problem."""
    return checked(Settings, settings)
