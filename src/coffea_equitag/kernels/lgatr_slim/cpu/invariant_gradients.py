"""Gradients of the norms: of all of a node's channels, and of each head's.

With x the numbers that are normalised, x̂ = r x, r = (share I + ε)^(−1/2) and I = Σ|v·v| + Σ s²:
∂L/∂x = r ∂L/∂x̂ − r³ share (Σ x ∂L/∂x̂) ½ ∂I/∂x, where ½ ∂I/∂x is s, and v with its index lowered times the sign of v·v.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import njit
from ...common.cpu.elementary import magnitude
from ...common.cpu.llvm import INDEX, constant, fma, lane_sum, loop, pointers
from ...common.cpu.registers import Register
from ...common.cpu.vector_rows import Lanes
from .gate_tiles import LANES
from .invariants import EPSILON, square_of
from .workspace import Rows

__all__ = ["head_gradients", "norm_gradients"]


class _Place:
    """Four rows of vectors' components and a row of scalars, in memory."""

    def __init__(self, lanes: Lanes, v: Any, v_at: Any, stride: Any, s: Any, s_at: Any) -> None:
        self.lanes, self.builder = lanes, lanes.builder
        self.v, self.v_at, self.stride, self.s, self.s_at = v, v_at, stride, s, s_at

    def _vector(self, c: int, k: Any) -> Any:
        row = self.builder.add(self.v_at, self.builder.mul(self.stride, INDEX(c)))
        return self.builder.add(row, self.builder.mul(k, INDEX(self.lanes.block)))

    def _scalar(self, k: Any) -> Any:
        return self.builder.add(self.s_at, self.builder.mul(k, INDEX(self.lanes.block)))

    def vectors(self, k: Any) -> list[Any]:
        """The four components in the k-th register of channels."""
        return [self.lanes.load(self.v, self._vector(c, k))[0] for c in range(4)]

    def scalar(self, k: Any) -> Any:
        """The k-th register of scalars."""
        return self.lanes.load(self.s, self._scalar(k))[0]

    def store_vectors(self, values: list[Any], k: Any) -> None:
        """Write them."""
        for c, value in enumerate(values):
            self.lanes.store([value], self.v, self._vector(c, k))

    def store_scalar(self, value: Any, k: Any) -> None:
        """Write it."""
        self.lanes.store([value], self.s, self._scalar(k))


def _gradient_of(width: int) -> Any:
    @intrinsic
    def gradient(
        typing_context: Any, v: Any, v_at: Any, v_stride: Any, v_count: Any, s: Any, s_at: Any, s_count: Any,
        share: Any, sign: Any, arriving_v: Any, arriving_v_at: Any, arriving_stride: Any, arriving_s: Any,
        arriving_s_at: Any, out_v: Any, out_s: Any,
    ) -> Any:  # fmt: skip
        """∂L/∂x in places like those of x, of whole registers; space components of what arrives have another sign.

        So many arguments since x, what arrives and what is written are each two arrays with places in them.
        """
        at, number = types.intp, types.float32
        signature = types.void(
            v, at, at, at, s, at, at, number, number, arriving_v, at, at, arriving_s, at, out_v, out_s
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (v, v_at, v_stride, v_count, s, s_at, s_count, share, sign, arriving_v, arriving_v_at, arriving_stride,
             arriving_s, arriving_s_at, out_v, out_s) = pointers(context, builder, signature, arguments)  # fmt: skip
            lanes = Lanes(builder, (width,))
            x = _Place(lanes, v, v_at, v_stride, s, s_at)
            arriving = _Place(lanes, arriving_v, arriving_v_at, arriving_stride, arriving_s, arriving_s_at)
            out = _Place(lanes, out_v, v_at, v_stride, out_s, s_at)
            (signs,), zero = lanes.spread(sign), constant(lanes.zeros()[0].type, 0.0)

            def given(k: Any) -> list[Any]:
                energy, *momentum = arriving.vectors(k)
                return [energy, *(builder.fmul(signs, value) for value in momentum)]

            def of_vectors(k: Any, sums: list[Any]) -> list[Any]:
                values, total = x.vectors(k), sums[1]
                for value, grad in zip(values, given(k), strict=True):
                    total = fma(builder, value, grad, total)
                return [builder.fadd(sums[0], magnitude(builder, square_of(builder, values))), total]

            def of_scalars(k: Any, sums: list[Any]) -> list[Any]:
                value = x.scalar(k)
                return [fma(builder, value, value, sums[0]), fma(builder, value, arriving.scalar(k), sums[1])]

            sums = loop(builder, s_count, loop(builder, v_count, [zero, zero], of_vectors), of_scalars)
            invariant, product = (lanes.spread(lane_sum(builder, {width: total}))[0] for total in sums)
            (shares,) = lanes.spread(share)
            root = Register(builder, fma(builder, invariant, shares, *lanes.constant(float(EPSILON)))).root()
            scale = builder.fdiv(*lanes.constant(1.0), root.value)
            cube = builder.fmul(builder.fmul(scale, scale), builder.fmul(scale, shares))
            back = builder.fsub(zero, builder.fmul(cube, product))

            def write_vectors(k: Any, _: list[Any]) -> list[Any]:
                values = x.vectors(k)
                factor = builder.fmul(back, _sign(builder, square_of(builder, values)))
                factors = [factor, *[builder.fsub(zero, factor)] * 3]
                steps = zip(values, factors, given(k), strict=True)
                out.store_vectors([fma(builder, a, b, builder.fmul(scale, grad)) for a, b, grad in steps], k)
                return []

            def write_scalars(k: Any, _: list[Any]) -> list[Any]:
                out.store_scalar(fma(builder, x.scalar(k), back, builder.fmul(scale, arriving.scalar(k))), k)
                return []

            loop(builder, v_count, [], write_vectors)
            loop(builder, s_count, [], write_scalars)
            return context.get_dummy_value()

        return signature, generate

    return gradient


def _sign(builder: Any, x: Any) -> Any:
    """1, 0 or −1."""
    zero, one = constant(x.type, 0.0), constant(x.type, 1.0)
    negative = builder.select(builder.fcmp_ordered("<", x, zero), constant(x.type, -1.0), zero)
    return builder.select(builder.fcmp_ordered(">", x, zero), one, negative)


_node_gradient, _head_gradient = _gradient_of(LANES), _gradient_of(4)


@njit
def norm_gradients(rows: Rows, share: np.float32, arriving: Rows, out: Rows, first: int, last: int) -> None:
    """Gradients of `norm_rows`, of nodes ``first:last``; all rows have the same widths, whole registers."""
    v, s = rows.vectors, rows.scalars
    wide_v, wide_s = v.shape[1], s.shape[1]
    for i in range(first, last):
        v_at, s_at = 4 * i * wide_v, i * wide_s
        _node_gradient(
            v, v_at, wide_v, wide_v // LANES, s, s_at, wide_s // LANES, share, 1.0, arriving.vectors, v_at, wide_v,
            arriving.scalars, s_at, out.vectors, out.scalars,
        )  # fmt: skip


@njit
def head_gradients(
    rows: Rows, heads: int, sizes: tuple[int, int], share: np.float32, arriving: tuple[F4, F4, F4], out: Rows,
    first: int, last: int,
) -> None:  # fmt: skip
    """Gradients of `pack_heads`, of nodes ``first:last``: from those of q, k and v to those of the rows."""
    (wide_v, wide_s), v, s = sizes, rows.vectors, rows.scalars
    size = 4 * wide_v + wide_s
    for i in range(first, last):
        for part in range(3):
            sign = -1.0 if part == 0 else 1.0
            for head in range(heads):
                v_at = 4 * i * v.shape[1] + (part * heads + head) * wide_v
                s_at = i * s.shape[1] + (part * heads + head) * wide_s
                place = (i * heads + head) * size
                _head_gradient(
                    v, v_at, v.shape[1], wide_v // 4, s, s_at, wide_s // 4, share, sign, arriving[part], place,
                    wide_v, arriving[part], place + 4 * wide_v, out.vectors, out.scalars,
                )  # fmt: skip
