"""Values checked by pydantic, and its errors as one line for an error of this package."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from .plain_numbers import plain

__all__ = ["Strict", "faults"]


class Strict(BaseModel):
    """Finite values that cannot be changed, without unknown fields; NumPy's numbers become Python's."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

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
