"""Bounds far above any physical input that keep networks finite on unphysical ones, such as |η| = 50."""

from __future__ import annotations

from torch import Tensor

__all__ = ["FEATURE_BOUND", "INPUT_BOUND", "saturated"]

#: Of numbers that enter float32 layers: their sums and products with weights stay below 3e38.
INPUT_BOUND = 1e30

#: Of float64 features that are multiplied with each other: their products, and squares of these, stay below 1e308.
FEATURE_BOUND = 1e75


def saturated(x: Tensor, bound: float = INPUT_BOUND) -> Tensor:
    """X between ±`bound`; NaN stays NaN."""
    return x.clamp(-bound, bound)
