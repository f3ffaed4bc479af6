"""Bilinear products of scalars, 3-vectors and order-2 tensors and their activations, a register of features at once.

Features are planes, one per component, in frames whose z axis is ĵ: s; x, y, z of the vectors; and of the tensors, in
groups that rotations about ĵ do not mix: zz, zx, zy, xz, yz, xx + yy, yx − xy, xx − yy, xy + yx.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import pointers
from ...common.cpu.registers import Register

__all__ = [
    "PRODUCTS",
    "TENSOR_PLANES",
    "VECTOR_PLANES",
    "Feature",
    "Matrix",
    "Vector",
    "cross",
    "dot",
    "flat",
    "multiply_tensors",
    "multiply_vectors",
    "transposed",
]

#: Planes of features with and without tensors.
TENSOR_PLANES, VECTOR_PLANES = 13, 4

Vector = Sequence[Register]
Matrix = Sequence[Vector]


class Feature(NamedTuple):
    """One feature of each representation: s, v = (x, y, z), and T as rows of a 3 × 3 matrix, empty without tensors."""

    s: Register
    v: Vector
    T: Matrix

    @classmethod
    def of(cls, planes: Vector) -> Feature:
        """From planes."""
        return cls(planes[0], planes[1:4], _matrix(planes[4:]) if len(planes) > VECTOR_PLANES else [])


def dot(a: Vector, b: Vector) -> Register:
    """Σ of products."""
    return reduce(lambda total, pair: total.plus(*pair), list(zip(a, b, strict=True))[1:], a[0] * b[0])


def cross(a: Vector, b: Vector) -> list[Register]:
    """The vector product a × b."""
    (ax, ay, az), (bx, by, bz) = a, b
    return [(ay * bz).minus(az, by), (az * bx).minus(ax, bz), (ax * by).minus(ay, bx)]


def flat(matrix: Matrix) -> list[Register]:
    """Components row by row."""
    return [value for row in matrix for value in row]


def transposed(matrix: Matrix) -> list[list[Register]]:
    """Rows for columns."""
    return [list(column) for column in zip(*matrix, strict=True)]


#: The products of features a and b in each representation, in the order of `layers.bilinear`; the third of each needs
#: tensors.
PRODUCTS: dict[str, tuple[Callable[[Feature, Feature], Any], ...]] = {
    "s": (
        lambda a, b: a.s * b.s,
        lambda a, b: dot(a.v, b.v),
        lambda a, b: dot(flat(a.T), flat(b.T)),  # tr(T_aᵀ T_b)
    ),
    "v": (
        lambda a, b: [a.s * x for x in b.v],
        lambda a, b: cross(a.v, b.v),
        lambda a, b: [dot(row, b.v) for row in a.T],  # T_a v_b
    ),
    "T": (
        lambda a, b: [[a.s * x for x in row] for row in b.T],
        lambda a, b: [[x * y for y in b.v] for x in a.v],  # v_a ⊗ v_b
        lambda a, b: [[dot(row, column) for column in transposed(b.T)] for row in a.T],  # T_a T_b
    ),
}


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
        """All products of features a with features b; vectors and tensors are cut to length 1, scalars not activated.

        a is at `x_at` in each plane and b `x_half` numbers after it; the two or three products of each representation
        go to `out_at`, `out_third` numbers apart.
        """
        n = types.intp
        signature = types.void(x, n, n, n, out, n, n, n)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            x, x_at, x_plane, x_half, out, out_at, out_plane, out_third = pointers(
                context, builder, signature, arguments
            )
            index = x_at.type

            def load(first: Any) -> Feature:
                places = [builder.add(first, builder.mul(x_plane, index(plane))) for plane in range(planes)]
                return Feature.of([Register.load(builder, x, place) for place in places])

            a, b = load(x_at), load(builder.add(x_at, x_half))
            for third in range(3 if planes == TENSOR_PLANES else 2):
                first = builder.add(out_at, builder.mul(out_third, index(third)))
                for plane, value in enumerate(_activated_product(a, b, third)):
                    value.store(out, builder.add(first, builder.mul(out_plane, index(plane))))
            return context.get_dummy_value()

        return signature, generate

    return multiply


def _activated_product(a: Feature, b: Feature, third: int) -> list[Register]:
    """Planes of one product of each representation; vectors and tensors divided by max(1, length)."""
    s, v = PRODUCTS["s"][third](a, b), PRODUCTS["v"][third](a, b)
    planes = [s, *_cut(v, v)]
    if a.T:
        t = PRODUCTS["T"][third](a, b)
        planes += _cut(flat(t), _planes(t))
    return planes


def _cut(components: Vector, values: Vector) -> list[Register]:
    """Values divided by max(1, length), the length that of the components."""
    square = dot(components, components)
    one = Register.constant(square.builder, square.value.type.element, 1.0)
    scale = one / square.at_least(one).root()
    return [value * scale for value in values]


def _matrix(planes: Vector) -> list[list[Register]]:
    zz, zx, zy, xz, yz, even, odd, plus, minus = planes
    half = Register.constant(zz.builder, zz.value.type.element, 0.5)
    xx, yy, yx, xy = half * (even + plus), half * (even - plus), half * (minus + odd), half * (minus - odd)
    return [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]]


def _planes(matrix: Matrix) -> list[Register]:
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    return [zz, zx, zy, xz, yz, xx + yy, yx - xy, xx - yy, xy + yx]


multiply_vectors, multiply_tensors = _multiply_of(VECTOR_PLANES), _multiply_of(TENSOR_PLANES)
