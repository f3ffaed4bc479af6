"""The invariant of a node's vectors and scalars, Σ_c |v_c·v_c| + Σ_c s_c², and what the norms do with it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.extending import intrinsic

from ....compiled import inner, njit
from ...common.cpu.elementary import magnitude
from ...common.cpu.llvm import INDEX, fma, lane_sum, loop, pointers
from ...common.cpu.registers import Register
from ...common.cpu.vector_rows import Lanes
from .gate_tiles import LANES
from .workspace import Rows

__all__ = [
    "EPSILON",
    "head_invariant",
    "inverse_root",
    "norm_rows",
    "normed_head",
    "normed_rows",
    "scale_head",
    "square_of",
]

#: Added to the mean of the squares.
EPSILON = np.float32(0.01)
_ONE = np.float32(1)


def _invariant_of(width: int) -> Any:
    @intrinsic
    def invariant(
        typing_context: Any, v: Any, v_at: Any, v_stride: Any, v_count: Any, s: Any, s_at: Any, s_count: Any
    ) -> Any:
        """Of whole registers: `v_count` and `s_count` of them; a vector's components are `v_stride` apart."""
        at = types.intp
        signature = types.float32(v, at, at, at, s, at, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            v, v_at, v_stride, v_count, s, s_at, s_count = pointers(context, builder, signature, arguments)
            lanes = Lanes(builder, (width,))

            def component(c: int, k: Any) -> Any:
                place = builder.add(v_at, builder.mul(v_stride, INDEX(c)))
                return lanes.load(v, builder.add(place, builder.mul(k, INDEX(width))))[0]

            def vectors(k: Any, total: list[Any]) -> list[Any]:
                return [
                    builder.fadd(total[0], magnitude(builder, square_of(builder, [component(c, k) for c in range(4)])))
                ]

            def scalars(k: Any, total: list[Any]) -> list[Any]:
                value = lanes.load(s, builder.add(s_at, builder.mul(k, INDEX(width))))[0]
                return [fma(builder, value, value, total[0])]

            total = loop(builder, v_count, lanes.zeros(), vectors)
            (total,) = loop(builder, s_count, total, scalars)
            return lane_sum(builder, {width: total})

        return signature, generate

    return invariant


def square_of(builder: Any, components: list[Any]) -> Any:
    """The products v·v = E² − |p|² of vectors given as (E, px, py, pz)."""
    energy, x, y, z = components
    momentum = fma(builder, z, z, fma(builder, y, y, builder.fmul(x, x)))
    return builder.fsub(builder.fmul(energy, energy), momentum)


def _scale_of(width: int) -> Any:
    @intrinsic
    def scale(typing_context: Any, x: Any, x_at: Any, number: Any, out: Any, out_at: Any, count: Any) -> Any:
        """Write number · x, of `count` registers."""
        at = types.intp
        signature = types.void(x, at, types.float32, out, at, at)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, number, out, out_at, count = pointers(context, builder, signature, arguments)
            lanes = Lanes(builder, (width,))
            (factor,) = lanes.spread(number)

            def body(k: Any, _: list[Any]) -> list[Any]:
                shift = builder.mul(k, INDEX(width))
                (value,) = lanes.load(x, builder.add(x_at, shift))
                lanes.store([builder.fmul(value, factor)], out, builder.add(out_at, shift))
                return []

            loop(builder, count, [], body)
            return context.get_dummy_value()

        return signature, generate

    return scale


@intrinsic
def normed_head(
    typing_context: Any,
    v: Any,
    v_at: Any,
    v_stride: Any,
    s: Any,
    s_at: Any,
    share: Any,
    sign: Any,
    out: Any,
    out_at: Any,
) -> Any:
    """A head of four vectors and twelve scalars, as the published network has, normalised and packed at once.

    As `head_invariant`, `inverse_root` and `scale_head`, whose loops cost more than what they do.
    """
    at, number = types.intp, types.float32
    signature = types.void(v, at, at, s, at, number, number, out, at)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        v, v_at, v_stride, s, s_at, share, sign, out, out_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, (4,))
        components = [lanes.load(v, builder.add(v_at, builder.mul(v_stride, INDEX(c))))[0] for c in range(4)]
        scalars = [lanes.load(s, builder.add(s_at, INDEX(4 * k)))[0] for k in range(3)]
        total = magnitude(builder, square_of(builder, components))
        for value in scalars:
            total = fma(builder, value, value, total)
        (total,) = lanes.spread(lane_sum(builder, {4: total}))
        root = Register(builder, fma(builder, total, *lanes.spread(share), *lanes.constant(float(EPSILON)))).root()
        scale = builder.fdiv(*lanes.constant(1.0), root.value)
        signed = builder.fmul(scale, *lanes.spread(sign))
        for k, value in enumerate([*components, *scalars]):
            found = builder.fmul(value, signed if 0 < k < 4 else scale)
            lanes.store([found], out, builder.add(out_at, INDEX(4 * k)))
        return context.get_dummy_value()

    return signature, generate


_node_invariant, head_invariant = _invariant_of(LANES), _invariant_of(4)
_scale_row, scale_head = _scale_of(LANES), _scale_of(4)


@inner
def inverse_root(invariant: np.float32, share: np.float32) -> np.float32:
    """1/√(share · invariant + ε)."""
    return np.float32(_ONE / np.sqrt(invariant * share + EPSILON))


@inner
def norm_rows(rows: Rows, first: int, nodes: int, share: np.float32, out: Rows, out_first: int) -> None:
    """Normalise nodes from `first` on into rows of `out` from `out_first` on, of the same widths.

    `share` is 1 by the number of channels; what the rows have beyond them is 0.
    """
    v, s = rows.vectors, rows.scalars
    wide_v, wide_s = v.shape[1], s.shape[1]
    for i in range(nodes):
        v_at, s_at = 4 * (first + i) * wide_v, (first + i) * wide_s
        invariant = _node_invariant(v, v_at, wide_v, wide_v // LANES, s, s_at, wide_s // LANES)
        scale = inverse_root(invariant, share)
        _scale_row(v, v_at, scale, out.vectors, 4 * (out_first + i) * wide_v, 4 * wide_v // LANES)
        _scale_row(s, s_at, scale, out.scalars, (out_first + i) * wide_s, wide_s // LANES)


@njit
def normed_rows(rows: Rows, share: np.float32, out: Rows, first: int, last: int) -> None:
    """Normalise nodes ``first:last`` in their places."""
    norm_rows(rows, first, last - first, share, out, first)
