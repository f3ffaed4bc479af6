"""Dense layers of wide channels (32, 64, 128, ...) as register tiles, and the rows that go in and out of them.

As `dense`, which is cut for LorentzNet's 72 channels: sums stay in registers, every row is summed over k in the same
order wherever it stands. Weights are (blocks, depth, block): for each block of columns, one row per summed index k.

The intrinsics' arguments are flat, and many: numba hands each to LLVM as one value, an address or a number.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4, I4, U2
from ....compiled import njit
from .llvm import FLOAT, loop, pointers, row_at
from .shapes import WIDE, Shape
from .vector_rows import Lanes

__all__ = [
    "LINEAR",
    "MARGIN",
    "RELU",
    "SPARSE_BLOCK",
    "add_products",
    "add_rows",
    "block_of",
    "layer",
    "mean_row",
    "sum_row",
    "sum_row_of_three",
]


RELU, LINEAR = np.float32(0.0), np.float32(-np.inf)

# AVX-512, AVX2 or NEON, as `shapes` found them: 24, 12 or 24 vectors of sums
if WIDE.widths[0] == 16:
    _BROAD, _SLIM = Shape(6, (16,) * 4), Shape(12, (16,) * 2)
elif WIDE.widths[0] == 8:
    _BROAD = _SLIM = Shape(6, (8,) * 2)
else:
    _BROAD = _SLIM = Shape(6, (4,) * 4)

_BROAD_ROWS, _BROAD_BLOCK, _SLIM_ROWS, _SLIM_BLOCK = _BROAD.rows, _BROAD.block, _SLIM.rows, _SLIM.block
#: Rows that tiles may read and write beyond a matrix's own.
MARGIN = max(_BROAD_ROWS, _SLIM_ROWS)
#: Columns of the blocks that `sparse_layer` works on, whole tiles on every CPU.
SPARSE_BLOCK = 64


def block_of(channels: int) -> int:
    """Columns of a matrix's blocks: those of `sparse_layer`, or of the tile that wastes fewest lanes."""
    if channels % SPARSE_BLOCK == 0:
        return SPARSE_BLOCK
    return min(_BROAD_BLOCK, _SLIM_BLOCK, key=lambda block: -(-channels // block) * block)


def _tile_of(shape: Shape) -> Any:
    @intrinsic
    def tile(
        typing_context: Any,
        x: Any,
        x_at: Any,
        row_stride: Any,
        k_stride: Any,
        weight: Any,
        weight_at: Any,
        weight_stride: Any,
        depth: Any,
        start: Any,
        start_at: Any,
        start_stride: Any,
        floor: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
    ) -> Any:
        """One tile: out[r, :] = max(start[r, :] + Σ_k x[r, k] weight[k, :], floor), NaN staying NaN.

        All arrays are contiguous float32; an ``_at`` is where the tile's part of the array before it begins.
        """
        at = types.intp
        signature = types.void(
            x, at, at, at, weight, at, at, at, start, at, at, types.float32, out, at, at
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, row_stride, k_stride, w, w_at, w_stride, depth, start, start_at, start_stride, floor, out,
             out_at, out_stride) = pointers(context, builder, signature, arguments)  # fmt: skip
            lanes, rows = Lanes(builder, shape.widths), range(shape.rows)
            x_rows = [row_at(builder, x, x_at, row_stride, r) for r in rows]
            begin = [lanes.load(row_at(builder, start, start_at, start_stride, r)) for r in rows]
            sums = lanes.multiply_add(begin, x_rows, k_stride, builder.gep(w, [w_at]), w_stride, depth)
            floors = lanes.spread(floor)
            for r, row in enumerate(sums):
                lanes.store(lanes.at_least(row, floors), row_at(builder, out, out_at, out_stride, r))
            return context.get_dummy_value()

        return signature, generate

    return tile


_broad_tile, _slim_tile = _tile_of(_BROAD), _tile_of(_SLIM)


@njit
def layer(
    x: F4 | U2,
    x_first: int,
    depth: int,
    weight: F4 | I4,
    bias: F4,
    floor: np.float32,
    out: F4 | U2,
    out_first: int,
    rows: int,
) -> None:
    """max(x W + bias, floor) of rows from `x_first` on into `out` from `out_first` on; whole tiles are computed.

    If x is bf16, the weights are pairs of rows, as of `bf16.pairs_of`, and `depth` counts pairs. `out` is either.
    """
    x_stride, out_stride, blocks, block = x.shape[1], out.shape[1], weight.shape[0], weight.shape[2]
    if block % _BROAD_BLOCK == 0:
        for row in range(0, rows, _BROAD_ROWS):
            for b in range(blocks):
                for column in range(b * block, (b + 1) * block, _BROAD_BLOCK):
                    _broad_tile(
                        x, (x_first + row) * x_stride, x_stride, 1, weight, b * depth * block + column - b * block,
                        block, depth, bias, column, 0, floor, out, (out_first + row) * out_stride + column, out_stride,
                    )  # fmt: skip
    else:
        for row in range(0, rows, _SLIM_ROWS):
            for b in range(blocks):
                _slim_tile(
                    x, (x_first + row) * x_stride, x_stride, 1, weight, b * depth * block, block, depth,
                    bias, b * block, 0, floor, out, (out_first + row) * out_stride + b * block, out_stride,
                )  # fmt: skip


@njit
def add_products(left: F4, right: F4, first: int, rows: int, out: F4) -> None:
    """Add leftᵀ right over `rows` rows to `out`; widths are whole blocks, all three have a margin of rows."""
    height, width = left.shape[1], right.shape[1]
    if width % _BROAD_BLOCK == 0:
        for o in range(0, height, _BROAD_ROWS):
            for c in range(0, width, _BROAD_BLOCK):
                _broad_tile(
                    left, first * height + o, 1, height, right, first * width + c, width, rows,
                    out, o * width + c, width, LINEAR, out, o * width + c, width,
                )  # fmt: skip
    else:
        for o in range(0, height, _SLIM_ROWS):
            for c in range(0, width, _SLIM_BLOCK):
                _slim_tile(
                    left, first * height + o, 1, height, right, first * width + c, width, rows,
                    out, o * width + c, width, LINEAR, out, o * width + c, width,
                )  # fmt: skip


_LANE = _BROAD.widths[0]


@intrinsic
def _sum_lanes(
    typing_context: Any, a: Any, a_at: Any, b: Any, b_at: Any, c: Any, c_at: Any, out: Any, out_at: Any
) -> Any:
    """max(a + b + c, 0) of one vector of columns; c may be None."""
    at = types.intp
    signature = types.void(a, at, b, at, c, at, out, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, a_at, b, b_at, c, c_at, out, out_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [_LANE])
        total = lanes.add(lanes.load(a, a_at), lanes.load(b, b_at))
        if signature.args[4] != types.none:
            total = lanes.add(total, lanes.load(c, c_at))
        lanes.store(lanes.at_least(total, lanes.zeros()), out, out_at)
        return context.get_dummy_value()

    return signature, generate


def _over_rows(mean: bool) -> Any:
    @intrinsic
    def lanes_over_rows(
        typing_context: Any, x: Any, x_at: Any, stride: Any, rows: Any, base: Any, base_at: Any, out: Any, out_at: Any
    ) -> Any:
        """Rows ≥ 1 of x in their order: base + sum, or max(base + mean, 0), of one vector of columns."""
        at = types.intp
        signature = types.void(x, at, at, at, base, at, out, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, stride, rows, base, base_at, out, out_at = pointers(context, builder, signature, arguments)
            lanes = Lanes(builder, [_LANE])
            start = lanes.load(base, base_at)

            def body(row: Any, total: list[Any]) -> list[Any]:
                return lanes.add(total, lanes.load(x, builder.add(x_at, builder.mul(row, stride))))

            total = loop(builder, rows, lanes.zeros() if mean else start, body, at_least_once=True)
            if mean:
                number = lanes.spread(builder.sitofp(rows, FLOAT))
                total = lanes.add(start, [builder.fdiv(a, b) for a, b in zip(total, number, strict=True)])
                total = lanes.at_least(total, lanes.zeros())
            lanes.store(total, out, out_at)
            return context.get_dummy_value()

        return signature, generate

    return lanes_over_rows


_mean_lanes, _total_lanes = _over_rows(True), _over_rows(False)


@njit
def sum_row(a: F4, a_at: int, b: F4, b_at: int, out: F4 | U2, row: int) -> None:
    """out[row] = ReLU(a + b), whole vectors, `out` in float32 or bf16; `a` and `b` begin at the given places."""
    width = out.shape[1]
    for c in range(0, width, _LANE):
        _sum_lanes(a, a_at + c, b, b_at + c, None, 0, out, row * width + c)


@njit
def sum_row_of_three(a: F4, a_at: int, b: F4, b_at: int, more: F4, out: F4 | U2, row: int) -> None:
    """out[row] = ReLU(a + b + more[row]) likewise."""
    width = out.shape[1]
    for c in range(0, width, _LANE):
        _sum_lanes(a, a_at + c, b, b_at + c, more, row * width + c, out, row * width + c)


@njit
def mean_row(x: F4, first: int, rows: int, base: F4, base_at: int, out: F4, out_at: int) -> None:
    """ReLU(base + mean of `rows` ≥ 1 rows of x), whole vectors."""
    width = x.shape[1]
    for c in range(0, width, _LANE):
        _mean_lanes(x, first * width + c, width, rows, base, base_at + c, out, out_at + c)


@njit
def add_rows(x: F4, first: int, rows: int, out: F4, out_row: int) -> None:
    """Add `rows` ≥ 1 rows of x to one of `out`, one after the other, whole vectors."""
    width = out.shape[1]
    for c in range(0, width, _LANE):
        _total_lanes(x, first * x.shape[1] + c, x.shape[1], rows, out, out_row * width + c, out, out_row * width + c)
