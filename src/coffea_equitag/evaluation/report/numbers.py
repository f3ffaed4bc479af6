"""The numbers of a report as JSON holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..estimate import Estimate

__all__ = ["as_json", "json_bytes"]


def as_json(value: Any) -> Any:
    """NumPy's arrays as lists, estimates as mappings, and None for numbers that JSON lacks: NaN and infinities."""
    if isinstance(value, Estimate):
        return as_json(value.as_dict())
    if isinstance(value, np.ndarray | np.generic):
        return as_json(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def json_bytes(value: Any) -> bytes:
    """Indented JSON, ended by a newline."""
    return (json.dumps(as_json(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
