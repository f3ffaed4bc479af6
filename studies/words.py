"""Names and numbers as a page and its figures write them."""

from __future__ import annotations

import math
from typing import Any

from coffea_equitag.evaluation.estimate import Estimate

__all__ = ["duration", "estimate", "number", "power", "signed"]


def estimate(stored: dict[str, Any]) -> Estimate:
    """An estimate from its JSON values, where None is infinite."""
    return Estimate(*(_finite_or_not(stored[key]) for key in ("value", "low", "high")))


def number(value: float | None) -> str:
    """Four digits; None is infinite."""
    return "∞" if value is None or math.isinf(value) else f"{value:.4g}"


def signed(stored: dict[str, Any]) -> str:
    """A difference with its sign and its interval, of which None is infinite on the side it is on."""
    value = stored["value"]
    if value is None:
        return "infinite"
    low, high = (
        stored[key] if stored[key] is not None else end for key, end in (("low", -math.inf), ("high", math.inf))
    )
    return f"{'+' if value > 0 else ''}{Estimate(value, low, high)}"


def power(value: float) -> str:
    """One digit: 0.3, 2e-06."""
    return f"{value:.1g}"


def duration(seconds: float) -> str:
    """``3 min``, ``2.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _finite_or_not(value: float | None) -> float:
    return math.inf if value is None else float(value)
