"""Bilinear products of scalars, 3-vectors and order-2 tensors and their activations, a register of features at once.

Features are planes, one a component, in frames whose z axis is ĵ: s; x, y, z of the vectors; and of the tensors what
rotations about ĵ do not mix: zz, zx, zy, xz, yz, xx + yy, yx − xy, xx − yy, xy + yx.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import pointers
from ...common.cpu.registers import Register

__all__ = ["TENSOR_PLANES", "VECTOR_PLANES", "dot", "matrix_of", "multiply_tensors", "multiply_vectors", "raw_products"]

#: Planes of features with and without tensors.
TENSOR_PLANES, VECTOR_PLANES = 13, 4


def _multiply_of(planes: int) -> Any:
    @intrinsic
    def multiply(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_plane: Any,
        x_half: Any,
        out: Any,
        out_at: Any,
        out_plane: Any,
        out_third: Any,
    ) -> Any:
        """All products of features a with features b, vectors and tensors cut to length 1, scalars as they come.

        a stands at `x_at` in each plane and b `x_half` numbers after it; the two or three products of each
        representation go to `out_at`, `out_third` numbers apart.
        """
        n = types.intp
        signature = types.void(x, n, n, n, out, n, n, n)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, x_plane, x_half, out, out_at, out_plane, out_third = pointers(
                context, builder, signature, arguments
            )
            index = x_at.type

            def load(first: Any) -> list[Register]:
                return [
                    Register.load(builder, x, builder.add(first, builder.mul(x_plane, index(plane))))
                    for plane in range(planes)
                ]

            found = _products(load(x_at), load(builder.add(x_at, x_half)))
            for third, values in enumerate(found):
                first = builder.add(out_at, builder.mul(out_third, index(third)))
                for plane, value in enumerate(values):
                    value.store(out, builder.add(first, builder.mul(out_plane, index(plane))))
            return context.get_dummy_value()

        return signature, generate

    return multiply


def _products(a: Sequence[Register], b: Sequence[Register]) -> list[list[Register]]:
    """Planes of each product, activated."""
    scalars, vectors, tensors = raw_products(a, b)
    found = [[s, *_cut(v)] for s, v in zip(scalars, vectors, strict=True)]
    return [[*values, *_planes(t)] for values, t in zip(found, tensors, strict=True)] if tensors else found


def raw_products(
    a: Sequence[Register], b: Sequence[Register]
) -> tuple[list[Register], list[list[Register]], list[list[list[Register]]]]:
    """Scalars, vectors and 3 × 3 matrices that planes make, as `layers.bilinear` orders them."""
    s_a, v_a, v_b = a[0], a[1:4], b[1:4]
    (ax, ay, az), (bx, by, bz) = v_a, v_b
    scalars = [s_a * b[0], dot(v_a, v_b)]
    vectors = [
        [s_a * component for component in v_b],
        [(ay * bz).minus(az, by), (az * bx).minus(ax, bz), (ax * by).minus(ay, bx)],
    ]
    if len(a) == VECTOR_PLANES:
        return scalars, vectors, []
    t_a, t_b = matrix_of(a[4:]), matrix_of(b[4:])
    scalars.append(dot([x for row in t_a for x in row], [x for row in t_b for x in row]))
    vectors.append([dot(row, v_b) for row in t_a])
    columns_b = list(zip(*t_b, strict=True))
    tensors = [
        [[s_a * x for x in row] for row in t_b],
        [[x * y for y in v_b] for x in v_a],
        [[dot(row, column) for column in columns_b] for row in t_a],
    ]
    return scalars, vectors, tensors


def dot(a: Sequence[Register], b: Sequence[Register]) -> Register:
    """Σ of products."""
    return reduce(lambda total, pair: total.plus(*pair), list(zip(a, b, strict=True))[1:], a[0] * b[0])


def matrix_of(planes: Sequence[Register]) -> list[list[Register]]:
    """Components xx, xy, ... of a tensor."""
    zz, zx, zy, xz, yz, even, odd, plus, cross = planes
    half = Register.constant(zz.builder, zz.value.type.element, 0.5)
    xx, yy, yx, xy = half * (even + plus), half * (even - plus), half * (cross + odd), half * (cross - odd)
    return [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]]


def _planes(matrix: Sequence[Sequence[Register]]) -> list[Register]:
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    scale = _scale([xx, xy, xz, yx, yy, yz, zx, zy, zz])
    return [value * scale for value in (zz, zx, zy, xz, yz, xx + yy, yx - xy, xx - yy, xy + yx)]


def _cut(vector: Sequence[Register]) -> list[Register]:
    scale = _scale(vector)
    return [value * scale for value in vector]


def _scale(components: Sequence[Register]) -> Register:
    """1 / max(1, length)."""
    square = dot(components, components)
    one = Register.constant(square.builder, square.value.type.element, 1.0)
    return one / square.at_least(one).root()


multiply_vectors, multiply_tensors = _multiply_of(VECTOR_PLANES), _multiply_of(TENSOR_PLANES)
