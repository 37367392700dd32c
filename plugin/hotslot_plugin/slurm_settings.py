"""The keys beside ``scheduler.name: slurm``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from hotslot_plugin.settings import checked


class Settings(BaseModel):
    """How Slurm is asked.

    ``source``: auto takes pyslurm where its version is Slurm's, else Slurm's commands.
    ``command``: words before each of Slurm's commands, such as [sudo, -u, slurm].
    ``timeout_s``: the time limit of each call.
    ``partition``: the host's own partition, whose QOS's GrpTRES hotslot sets; '' leaves it alone.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    source: Literal["auto", "pyslurm", "scontrol"] = "auto"
    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    timeout_s: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    partition: Annotated[str, Field(pattern=r"^([A-Za-z0-9_.][A-Za-z0-9_.-]{0,62})?$")] = ""


def parse(settings: Mapping[str, object]) -> Settings:
    """Check the settings; ValueError names every problem."""
    return checked(Settings, settings)
