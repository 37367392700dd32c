"""The keys beside ``scheduler.name``, checked by the adapter that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], settings: Mapping[str, object]) -> M:
    """Return the settings as the adapter's model; ValueError names every problem."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))}: {_lowered(problem['msg'])}"
            for problem in error.errors(include_url=False)
        ]
        raise ValueError("; ".join(problems)) from error


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]
