"""``--option KEY=VALUE``, as several subcommands take it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..errors import TaggerError, explain

__all__ = ["parse_options"]


def parse_options(words: Iterable[str]) -> dict[str, Any]:
    """``key=value`` words, values read as JSON where they are.

    Raises
    ------
    TaggerError
        For a word without ``=``.
    """
    options = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise TaggerError(explain(f"--option {word}", "KEY=VALUE", "e.g. --option hidden=32"))
        try:
            options[key] = json.loads(value)
        except json.JSONDecodeError:
            options[key] = {"True": True, "False": False, "None": None}.get(value, value)
    return options
