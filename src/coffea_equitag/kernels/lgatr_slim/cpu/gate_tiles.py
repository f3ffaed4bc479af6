"""Gated layers as register tiles: a linear layer and its gate at once, so that nothing ungated is stored.

Weights are in blocks of a register's columns (see `weights`): for each summed index k, those of v, u and w side by
side, or of s and g. Vectors have four rows per node.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from ...common.cpu.llvm import INDEX, constant, fma, pointers, row_at
from ...common.cpu.shapes import WIDE
from ...common.cpu.vector_rows import Lanes
from .activation import activated

__all__ = ["LANES", "SCALAR_BLOCK", "gate_scalars", "gate_vectors", "half_product"]

#: Numbers of a register.
LANES = WIDE.widths[0]
#: Nodes of a tile of vectors; rows of a tile of scalars, and the registers of its s and its g. 24 or 12 sums in all.
_NODES, _ROWS, _WIDE = (1, 6, 1) if LANES == 8 else (2, 6, 2)
#: Columns of s.
SCALAR_BLOCK = _WIDE * LANES


def half_product(builder: Any, u: Sequence[Any], w: Sequence[Any]) -> Any:
    """The products u·w/2, Minkowski's."""
    zero, product = constant(u[0].type, -0.0), builder.fmul(u[0], w[0])
    for c in (1, 2, 3):
        product = fma(builder, builder.fsub(zero, u[c]), w[c], product)
    return builder.fmul(product, constant(product.type, 0.5))


@intrinsic
def _vector_tile(
    typing_context: Any, x: Any, x_at: Any, x_stride: Any, weight: Any, weight_at: Any, depth: Any,
    coefficients: Any, out: Any, out_at: Any, out_stride: Any,
) -> Any:  # fmt: skip
    """One tile of vectors: f(u·w/2) v, with (v, u, w) = x W."""
    at = types.intp
    signature = types.void(x, at, at, weight, at, at, coefficients, out, at, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, x_stride, w, w_at, depth, coefficients, out, out_at, out_stride = pointers(
            context, builder, signature, arguments
        )
        lanes, rows = Lanes(builder, (LANES,) * 3), range(4 * _NODES)
        x_rows = [row_at(builder, x, x_at, x_stride, r) for r in rows]
        sums = lanes.multiply_add(
            [lanes.zeros()] * len(rows), x_rows, INDEX(1), builder.gep(w, [w_at]), INDEX(lanes.block), depth
        )
        single = Lanes(builder, (LANES,))
        for node in range(_NODES):
            v, u, w = zip(*sums[4 * node : 4 * node + 4], strict=True)
            gate = activated(builder, half_product(builder, u, w), coefficients)
            for c in range(4):
                single.store([builder.fmul(gate, v[c])], row_at(builder, out, out_at, out_stride, 4 * node + c))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _scalar_tile(
    typing_context: Any, x: Any, x_at: Any, x_stride: Any, weight: Any, weight_at: Any, depth: Any, bias: Any,
    bias_at: Any, coefficients: Any, out: Any, out_at: Any, out_stride: Any,
) -> Any:  # fmt: skip
    """One tile of scalars: f(g) s, with (s, g) = x W + bias."""
    at = types.intp
    signature = types.void(x, at, at, weight, at, at, bias, at, coefficients, out, at, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, x_at, x_stride, w, w_at, depth, bias, bias_at, coefficients, out, out_at, out_stride = pointers(
            context, builder, signature, arguments
        )
        lanes, half = Lanes(builder, (LANES,) * 2 * _WIDE), Lanes(builder, (LANES,) * _WIDE)
        x_rows = [row_at(builder, x, x_at, x_stride, r) for r in range(_ROWS)]
        begin = [lanes.load(bias, bias_at)] * _ROWS
        sums = lanes.multiply_add(begin, x_rows, INDEX(1), builder.gep(w, [w_at]), INDEX(lanes.block), depth)
        for r, row in enumerate(sums):
            both = zip(row[:_WIDE], row[_WIDE:], strict=True)
            found = [builder.fmul(activated(builder, gate, coefficients), value) for value, gate in both]
            half.store(found, row_at(builder, out, out_at, out_stride, r))
        return context.get_dummy_value()

    return signature, generate


@inner
def gate_vectors(x: F4, weight: F4, coefficients: F4, out: F4, nodes: int) -> None:
    """Gated vectors of the first nodes, whole tiles; `weight` is (blocks, depth, 3 lanes)."""
    depth, size = weight.shape[1], weight.shape[1] * weight.shape[2]
    for block in range(len(weight)):
        for node in range(0, nodes, _NODES):
            _vector_tile(
                x, 4 * node * x.shape[1], x.shape[1], weight, block * size, depth,
                coefficients, out, 4 * node * out.shape[1] + block * LANES, out.shape[1],
            )  # fmt: skip


@inner
def gate_scalars(x: F4, weight: F4, bias: F4, coefficients: F4, out: F4, nodes: int) -> None:
    """Gated scalars of the first nodes, whole tiles; `weight` is (blocks, depth, s and g), `bias` likewise."""
    depth, size = weight.shape[1], weight.shape[1] * weight.shape[2]
    for block in range(len(weight)):
        for node in range(0, nodes, _ROWS):
            _scalar_tile(
                x, node * x.shape[1], x.shape[1], weight, block * size, depth, bias, 2 * block * SCALAR_BLOCK,
                coefficients, out, node * out.shape[1] + block * SCALAR_BLOCK, out.shape[1],
            )  # fmt: skip
