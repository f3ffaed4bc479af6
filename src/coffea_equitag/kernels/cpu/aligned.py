"""Arrays that begin with a cache line: vector loads that cross one take twice as long."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...compiled import njit

__all__ = ["aligned_rows"]


@njit
def aligned_rows(number: int, channels: int) -> np.ndarray[Any, np.dtype[np.float32]]:  # pragma: no cover
    """Zeros (number, channels) in float32."""
    buffer = np.zeros(number * channels + 16, np.float32)
    start = (-buffer.ctypes.data) % 64 // 4
    return buffer[start : start + number * channels].reshape(number, channels)
