"""Rows that are worked on in bf16 or in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4, U2
from ....compiled import inner, inner_by_type
from .aligned import aligned_rows
from .llvm import pointers
from .vector_rows import Lanes

__all__ = ["round_rows", "rows_for"]

_LANE = 16


@inner_by_type
def rows_for(bf16: Any, *_: Any) -> Any:
    """Zeros (number, channels): words of bf16, or numbers of float32 if `bf16` is None; channels are even."""
    return _float32_rows if bf16 == types.none else _bf16_rows


def _float32_rows(bf16: None, number: int, channels: int) -> F4:
    return aligned_rows(number, channels)


def _bf16_rows(bf16: Any, number: int, channels: int) -> U2:
    return aligned_rows(number, channels // 2).view(np.uint16)


@intrinsic
def _round_lanes(typing_context: Any, x: Any, x_at: Any, out: Any, out_at: Any) -> Any:
    """16 numbers."""
    signature = types.void(x, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, out, out_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [_LANE])
        lanes.store(lanes.load(x, x_at), out, out_at)
        return context.get_dummy_value()

    return signature, generate


@inner
def round_rows(x: F4, first: int, rows: int, depth: int, out: U2) -> None:
    """Write the first `depth` numbers of some rows in bf16, with zeros up to the next multiple of 16."""
    x_stride, stride, whole = x.strides[0] // 4, out.shape[1], depth // _LANE * _LANE
    rest = np.zeros(_LANE, np.float32)
    for row in range(rows):
        for c in range(0, whole, _LANE):
            _round_lanes(x, (first + row) * x_stride + c, out, row * stride + c)
        if whole < depth:
            for c in range(whole, depth):
                rest[c - whole] = x[first + row, c]
            _round_lanes(rest, 0, out, row * stride + whole)
