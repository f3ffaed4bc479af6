"""Rows of numbers moved from place to place, and transposed, as LLVM code that neither reads nor writes beyond them."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from .llvm import INDEX, INT, loop, pointers
from .shapes import WIDE
from .vector_rows import Lanes

__all__ = ["fill_ends", "scale_row", "transpose"]

_LANE = max(WIDE.widths)
_ONE = np.float32(1.0)


@intrinsic
def scale_row(typing_context: Any, x: Any, x_at: Any, count: Any, factor: Any, out: Any, out_at: Any) -> Any:
    """out[k] = factor x[k] for `count` numbers from the given places on; the two do not overlap.

    In the longest vectors that fit; the last one begins where it ends with the row, and repeats numbers if need be.
    """
    signature = types.void(x, types.intp, types.intp, types.float32, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, count, factor, out, out_at = pointers(context, builder, signature, arguments)
        done = builder.append_basic_block("moved")
        width = _LANE
        while width:
            fits, next_width = builder.append_basic_block("fits"), builder.append_basic_block("narrower")
            builder.cbranch(builder.icmp_signed(">=", count, INDEX(width)), fits, next_width)
            builder.position_at_end(fits)
            _scale(builder, Lanes(builder, [width]), x, x_at, count, factor, out, out_at)
            builder.branch(done)
            builder.position_at_end(next_width)
            width //= 2
        builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return signature, generate


def _scale(
    builder: Any, lanes: Lanes, x: Any, x_at: Any, count: Any, factor: Any, out: Any, out_at: Any
) -> None:  # fmt: skip
    factors = lanes.spread(factor)

    def move(k: Any) -> None:
        values = lanes.load(x, builder.add(x_at, k))
        values = [builder.fmul(value, by) for value, by in zip(values, factors, strict=True)]
        lanes.store(values, out, builder.add(out_at, k))

    def body(k: Any, carried: list[Any]) -> list[Any]:
        move(builder.mul(k, INDEX(lanes.block)))
        return carried

    loop(builder, builder.sdiv(builder.sub(count, INDEX(1)), INDEX(lanes.block)), [], body)
    move(builder.sub(count, INDEX(lanes.block)))


@intrinsic
def _transpose_block(
    typing_context: Any, x: Any, x_at: Any, x_stride: Any, out: Any, out_at: Any, out_stride: Any
) -> Any:
    """out[c, r] = x[r, c] of as many rows and columns as a vector has lanes."""
    at = types.intp
    signature = types.void(x, at, at, out, at, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, x_stride, out, out_at, out_stride = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [_LANE])
        rows = [lanes.load(x, builder.add(x_at, builder.mul(x_stride, INDEX(r))))[0] for r in range(_LANE)]
        step = 1
        while step < _LANE:
            # blocks of `step` lanes change places across the diagonal
            for r in range(_LANE):
                if not r & step:
                    rows[r], rows[r + step] = _exchanged(builder, rows[r], rows[r + step], step)
            step *= 2
        for r, row in enumerate(rows):
            lanes.store([row], out, builder.add(out_at, builder.mul(out_stride, INDEX(r))))
        return context.get_dummy_value()

    return signature, generate


def _exchanged(builder: Any, a: Any, b: Any, step: int) -> tuple[Any, Any]:
    upper, lower = [], []
    for lane in range(_LANE):
        upper.append(_LANE + lane - step if lane & step else lane)
        lower.append(_LANE + lane if lane & step else lane + step)
    kind = ir.VectorType(INT, _LANE)
    return (
        builder.shuffle_vector(a, b, ir.Constant(kind, upper)),
        builder.shuffle_vector(a, b, ir.Constant(kind, lower)),
    )


@inner
def transpose(x: F4, x_at: int, x_stride: int, rows: int, columns: int, out: F4, out_stride: int) -> None:
    """out[c, r] = x[r, c], the rows of `out` being `out_stride` apart."""
    if rows < _LANE or columns < _LANE:
        for r in range(rows):
            for c in range(columns):
                scale_row(x, x_at + r * x_stride + c, 1, _ONE, out, c * out_stride + r)
        return
    for r in range(0, rows, _LANE):
        row = min(r, rows - _LANE)
        for c in range(0, columns, _LANE):
            column = min(c, columns - _LANE)
            _transpose_block(x, x_at + row * x_stride + column, x_stride, out, column * out_stride + row, out_stride)


@inner
def fill_ends(out: F4, rows: int, columns: int, value: np.float32) -> None:
    """The value in the last vector of each row, which rows that do not fill whole vectors write over in part."""
    for r in range(rows):
        last = (r + 1) * columns - _LANE
        for lane in range(_LANE):
            out[last + lane] = value
