"""The keys beside ``scheduler.name: htcondor``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from hotslot_plugin.settings import checked

Schedd = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9@._-]{0,252}$")]


class Settings(BaseModel):
    """How HTCondor is asked.

    ``config``: the file that CONDOR_CONFIG names; '' for the machine's own configuration.
    ``schedds``: names of the schedds whose jobs run here; none: all that the collector knows.
    ``python``: the interpreter that has HTCondor's bindings; '' for this one.
    ``command``: words before it, such as [sudo, -n, -u, hotslot].
    ``timeout_s``: the time limit of each call, all daemons that it asks together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    config: Annotated[str, Field(pattern=r"^(/[^\x00\n]*)?$")] = ""
    schedds: Annotated[tuple[Schedd, ...], Field(strict=False)] = ()
    python: Annotated[str, Field(pattern=r"^[^\x00\n]*$")] = ""
    command: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    timeout_s: Annotated[float, Field(ge=1.0, le=300)] = 10.0


def parse(settings: Mapping[str, object]) -> Settings:
    """Check the settings; ValueError names every problem."""
    return checked(Settings, settings)
