"""What pydantic finds wrong with values, in one line for an error of this package."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["faults"]


def faults(error: ValidationError) -> str:
    """Say which values are wrong, and why."""
    found = []
    for fault in error.errors(include_url=False):
        where, what = ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, ")
        # a rule about several fields has no place of its own, and its input is the whole object
        found.append(f"{where} = {fault['input']!r}: {what}" if where else what)
    return "; ".join(found)
