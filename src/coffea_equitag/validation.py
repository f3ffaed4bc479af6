"""Values checked by pydantic, and its errors as one line for an error of this package."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Strict", "faults"]


class Strict(BaseModel):
    """Values that cannot be changed, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def faults(error: ValidationError) -> str:
    """List the invalid values, and why they are invalid."""
    found = []
    for fault in error.errors(include_url=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        # a rule about several fields has no location, and its input is the whole object
        found.append(f"{where} = {fault['input']!r}: {what}" if where else what)
    return "; ".join(found)
