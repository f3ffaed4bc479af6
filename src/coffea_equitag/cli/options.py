"""``--option KEY=VALUE``, shared by several subcommands."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ..errors import TaggerError, explain

__all__ = ["parse_options"]


def parse_options(arguments: Iterable[str]) -> dict[str, Any]:
    """Options from ``key=value`` arguments; values are read as JSON if they are valid JSON, else as strings.

    Raises
    ------
    TaggerError
        For an argument without ``=``.
    """
    options = {}
    for argument in arguments:
        key, sign, value = argument.partition("=")
        if not sign or not key:
            raise TaggerError(explain(f"--option {argument}", "KEY=VALUE", "write e.g. --option hidden=32"))
        try:
            options[key] = json.loads(value)
        except (ValueError, RecursionError):  # also for numbers of thousands of digits, and lists as deep
            options[key] = {"True": True, "False": False, "None": None}.get(value, value)
    return options
