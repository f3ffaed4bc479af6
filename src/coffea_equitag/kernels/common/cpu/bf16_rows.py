"""Rows that are worked on in bf16 or in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from ....array_types import F4, U2
from ....compiled import inner_by_type
from .aligned import aligned_rows

__all__ = ["rows_for"]


@inner_by_type
def rows_for(bf16: Any, *_: Any) -> Any:
    """Zeros (number, channels): words of bf16, or numbers of float32 if `bf16` is None; channels are even."""
    return _float32_rows if bf16 == types.none else _bf16_rows


def _float32_rows(bf16: None, number: int, channels: int) -> F4:
    return aligned_rows(number, channels)


def _bf16_rows(bf16: Any, number: int, channels: int) -> U2:
    return aligned_rows(number, channels // 2).view(np.uint16)
