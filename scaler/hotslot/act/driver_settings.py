"""The keys of ``driver`` in the configuration, checked by the driver that they are for."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def checked(model: type[M], settings: Mapping[str, object]) -> M:
    """Return the settings as the driver's model; ValueError names every problem."""
    try:
        return model.model_validate(dict(settings))
    except ValidationError as error:
        raise ValueError("; ".join(_problems(model, error))) from error


def _problems(model: type[BaseModel], error: ValidationError) -> Iterator[str]:
    known = list(model.model_fields)
    for item in error.errors():
        key = ".".join(map(str, item["loc"]))
        match item["type"]:
            case "extra_forbidden":
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                yield f"unknown key {key!r}; {hint}"
            case "missing":
                yield f"{key} is required: {model.model_fields[key].description}"
            case _:
                meant = model.model_fields[str(item["loc"][0])].description
                yield f"{key} should be {meant}; it is {item['input']!r}"
