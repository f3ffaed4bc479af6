"""Arrays that begin with a cache line: vector loads that cross one take twice as long."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....compiled import inner

__all__ = ["aligned", "aligned_rows"]


def aligned(values: np.ndarray[Any, Any], dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """A contiguous copy of this type."""
    size = np.dtype(dtype).itemsize
    buffer = np.empty(values.size * size + 64, np.uint8)
    start = -buffer.ctypes.data % 64
    out: np.ndarray[Any, Any] = buffer[start : start + values.size * size].view(dtype).reshape(values.shape)
    out[...] = values
    return out


@inner
def aligned_rows(number: int, channels: int) -> np.ndarray[Any, np.dtype[np.float32]]:  # pragma: no cover
    """Zeros (number, channels) in float32."""
    buffer = np.zeros(number * channels + 16, np.float32)
    start = (-buffer.ctypes.data) % 64 // 4
    return buffer[start : start + number * channels].reshape(number, channels)
