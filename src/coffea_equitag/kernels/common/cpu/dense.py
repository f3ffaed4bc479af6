"""Dense layers as register tiles: LLVM vector code emitted through numba, no compiler needed.

A tile is a few rows of a matrix times a block of columns of the weights. Its sums stay in registers as vectors over
the columns; for each k one row of weights is loaded and one number per row is spread over the lanes. Every row is
summed over k in the same order whatever stands beside it, so its result does not depend on its place in a tile.

The intrinsics' arguments are flat, and many: numba hands each to LLVM as one value, an address or a number.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .llvm import FLOAT, INDEX, bytes_of, pointers, row_at
from .shapes import BF16_HALF, NARROW, WIDE, Shape
from .vector_rows import Lanes

__all__ = ["dense", "dense_half", "dense_narrow"]


def _dense_of(shape: Shape) -> Any:
    @intrinsic
    def dense(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_stride: Any,
        weight: Any,
        weight_at: Any,
        depth: Any,
        bias: Any,
        bias_at: Any,
        floor: Any,
        out: Any,
        out_at: Any,
        out_stride: Any,
        dot_vector: Any,
        dot_vector_at: Any,
        products: Any,
        products_at: Any,
    ) -> Any:
        """One tile of a layer: out[r, :] = max(x[r, :] W + bias, floor) and products[r] += out[r, :]·dot_vector.

        All arrays are contiguous float32; an ``_at`` is where the tile's part of the array before it begins. The
        weights are rows of a block's numbers, one per k; `floor` 0 is a ReLU, −∞ none. NaN stays NaN.
        """
        at = types.intp
        signature = types.void(
            x, at, at, weight, at, at, bias, at, types.float32, out, at, at, dot_vector, at, products, at
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_stride, w, w_at, depth, bias, bias_at, floor, out, out_at, out_stride, dot_vector,
             dot_vector_at, products, products_at) = pointers(context, builder, signature, arguments)  # fmt: skip
            lanes = Lanes(builder, shape.widths)
            x_rows = [row_at(builder, x, x_at, x_stride, r) for r in range(shape.rows)]
            begin, block = [lanes.load(bias, bias_at)] * shape.rows, INDEX(shape.block)
            sums = lanes.multiply_add(begin, x_rows, INDEX(1), builder.gep(w, [w_at]), block, depth)
            vector, floors = lanes.load(dot_vector, dot_vector_at), lanes.spread(floor)
            for r, row in enumerate(sums):
                values = lanes.at_least(row, floors)
                lanes.store(values, row_at(builder, out, out_at, out_stride, r))
                product = row_at(builder, products, products_at, INDEX(1), r)
                before = builder.load(product, align=bytes_of(FLOAT))
                builder.store(builder.fadd(before, lanes.dot(values, vector)), product, align=bytes_of(FLOAT))
            return context.get_dummy_value()

        return signature, generate

    return dense


dense, dense_narrow, dense_half = _dense_of(WIDE), _dense_of(NARROW), _dense_of(BF16_HALF)
