"""A measured number with its interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["Estimate", "digits"]


@dataclass(frozen=True)
class Estimate:
    """A number and the interval (68.27%) in which its true value lies; `low` and `high` may be infinite, or NaN."""

    value: float
    low: float
    high: float

    @property
    def parts(self) -> tuple[str, str, str]:
        """The number, and how far the interval reaches above and below it, with two digits of the nearer end."""
        above, below = self.high - self.value, self.value - self.low
        sides = [side for side in (above, below) if 0 < side < math.inf]
        step = min(sides, default=0.0)
        return digits(self.value, step), digits(above, step), digits(below, step)

    @property
    def significance(self) -> float:
        """Of a difference: how many of its uncertainties it is away from zero; NaN where there is none."""
        step = self.value - self.low if self.value > 0 else self.high - self.value
        return abs(self.value) / step if step > 0 and math.isfinite(step) else math.nan

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two that are independent."""
        value = self.value - other.value
        below = math.hypot(self.value - self.low, other.high - other.value)
        above = math.hypot(self.high - self.value, other.value - other.low)
        return Estimate(value, value - below, value + above)

    def as_dict(self) -> dict[str, float]:
        """``value``, ``low`` and ``high``."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        value, above, below = self.parts
        if math.isnan(self.value):
            return "–"
        if math.isinf(self.value):
            return "∞" if math.isinf(self.low) else f"above {digits(self.low, self.low)}"
        if math.isnan(self.low) or math.isnan(self.high):
            return value
        return f"{value} ± {above}" if above == below else f"{value} +{above} −{below}"


def digits(value: float, step: float) -> str:
    """A number with two digits of `step`, or all digits before the decimal point."""
    if not math.isfinite(value):
        return "–" if math.isnan(value) else f"{'−' if value < 0 else ''}∞"
    decimals = max(0, 1 - math.floor(math.log10(step))) if 0 < step < math.inf else 1 if value >= 10 else 4
    return f"{value:.{decimals}f}".replace("-", "−")
