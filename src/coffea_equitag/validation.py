"""Values checked by pydantic, and its errors as one line for an error of this package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

__all__ = ["Strict", "faults", "plain"]


def plain(value: Any) -> Any:
    """NumPy's numbers and 0-d arrays as Python's, within lists, tuples and mappings too; all else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return value


class Strict(BaseModel):
    """Values that cannot be changed, without unknown fields; NumPy's numbers become Python's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, given: Any) -> Any:
        return plain(given)


def faults(error: ValidationError) -> str:
    """List the invalid values, and why they are invalid."""
    found = []
    for fault in error.errors(include_url=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        # a rule about several fields has no location, and its input is the whole object
        found.append(f"{where} = {fault['input']!r}: {what}" if where else what)
    return "; ".join(found)
