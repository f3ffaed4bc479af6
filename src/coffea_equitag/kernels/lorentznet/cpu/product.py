"""Products of matrices of doubles as register tiles; as in `dense`, every sum is taken in the order of k."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import DOUBLE, pointers, row_at
from ...common.cpu.shapes import WIDE
from ...common.cpu.vector_rows import Lanes

__all__ = ["PRODUCT_COLUMNS", "PRODUCT_ROWS", "product_tile"]

#: Vectors of doubles: as many bytes as the widest of floats.
_LANES = max(WIDE.widths) // 2
#: Rows and columns of a tile.
PRODUCT_ROWS, PRODUCT_COLUMNS = (8, 8) if _LANES == 8 else (4, 2 * _LANES)


@intrinsic
def product_tile(
    typing_context: Any,
    x: Any,
    x_at: Any,
    x_row: Any,
    x_step: Any,
    y: Any,
    y_at: Any,
    y_step: Any,
    depth: Any,
    out: Any,
    out_at: Any,
    out_stride: Any,
) -> Any:
    """One tile: out[r, :] = Σ_k x[x_row r + x_step k] y[y_step k, :], for a positive depth.

    All arrays are contiguous float64; an ``_at`` is where the tile's part of the array before it begins.
    """
    signature = types.void(
        x, types.intp, types.intp, types.intp, y, types.intp, types.intp, types.intp, out, types.intp, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, x_row, x_step, y, y_at, y_step, depth, out, out_at, out_stride = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, [_LANES] * (PRODUCT_COLUMNS // _LANES), DOUBLE)
        rows = [row_at(builder, x, x_at, x_row, r) for r in range(PRODUCT_ROWS)]
        sums = lanes.multiply_add(
            [lanes.zeros()] * len(rows), rows, x_step, builder.gep(y, [y_at]), y_step, depth, at_least_once=True
        )
        for r, values in enumerate(sums):
            lanes.store(values, row_at(builder, out, out_at, out_stride, r))
        return context.get_dummy_value()

    return signature, generate
