"""Arrays that begin with a cache line: vector loads that cross one take twice as long."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....array_types import F4, AnyArray
from ....compiled import inner

__all__ = ["aligned", "aligned_rows", "empty_rows"]


def aligned(values: AnyArray, dtype: Any = np.float32) -> AnyArray:
    """A contiguous copy of this type."""
    size = np.dtype(dtype).itemsize
    buffer = np.empty(values.size * size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    out: AnyArray = buffer[start : start + values.size * size].view(dtype).reshape(values.shape)
    out[...] = values
    return out


@inner
def aligned_rows(number: int, channels: int) -> F4:
    """Zeros (number, channels) in float32."""
    rows = empty_rows(number, channels)
    rows[:] = np.float32(0)
    return rows


@inner
def empty_rows(number: int, channels: int) -> F4:
    """Room for (number, channels) in float32."""
    buffer = np.empty(number * channels + 16, np.float32)
    start = (-buffer.ctypes.data) % 64 // 4
    return buffer[start : start + number * channels].reshape(number, channels)
