"""Whether a dataset is simulated, as its metadata say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import JetError, explain
from ..plain_numbers import plain

__all__ = ["is_simulation"]


def is_simulation(metadata: Mapping[str, Any]) -> bool:
    """``metadata["is_mc"]``; without it, events count as simulated.

    Raises
    ------
    JetError
        If it is neither True nor False.
    """
    given = plain(metadata.get("is_mc", True))
    if not isinstance(given, bool):
        raise JetError(
            explain(
                f"metadata with is_mc = {given!r}",
                "True for simulation, False for data",
                "correct the fileset: {'metadata': {'is_mc': False}}",
            )
        )
    return given
