"""NumPy's numbers as Python's, which options, cards and JSON hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """NumPy's numbers and 0-d arrays as Python's, within lists, tuples and mappings too; all else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    return value
