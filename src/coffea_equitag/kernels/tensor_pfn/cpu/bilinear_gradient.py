"""Gradients of bilinear products and their activations, a register of features at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import pointers
from ...common.cpu.registers import Register
from .bilinear import TENSOR_PLANES, VECTOR_PLANES, dot, matrix_of, raw_products

__all__ = ["tensor_gradients", "vector_gradients"]

_Vector = Sequence[Register]
_Matrix = Sequence[_Vector]


def _gradients_of(planes: int) -> Any:
    @intrinsic
    def gradients(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_plane: Any,
        x_half: Any,
        gradient: Any,
        gradient_at: Any,
        gradient_plane: Any,
        gradient_third: Any,
        out: Any,
        out_at: Any,
        out_plane: Any,
        logarithmic: Any,
    ) -> Any:
        """Take gradients of products, after their activation, back to the features; arrays as in `multiply`.

        Scalars are activated by ReLU, or by `log_relu`.
        """
        n = types.intp
        signature = types.void(x, n, n, n, gradient, n, n, n, out, n, n, types.boolean)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_plane, x_half, gradient, gradient_at, gradient_plane, gradient_third, out, out_at, out_plane,
             logarithmic) = pointers(context, builder, signature, arguments)  # fmt: skip
            index = x_at.type

            def load(source: Any, first: Any, stride: Any) -> list[Register]:
                return [
                    Register.load(builder, source, builder.add(first, builder.mul(stride, index(plane))))
                    for plane in range(planes)
                ]

            a, b = load(x, x_at, x_plane), load(x, builder.add(x_at, x_half), x_plane)
            thirds = [
                load(gradient, builder.add(gradient_at, builder.mul(gradient_third, index(third))), gradient_plane)
                for third in range(3 if planes == TENSOR_PLANES else 2)
            ]
            for half, values in enumerate(_back(a, b, thirds, logarithmic)):
                first = builder.add(out_at, builder.mul(x_half, index(half)))
                for plane, value in enumerate(values):
                    value.store(out, builder.add(first, builder.mul(out_plane, index(plane))))
            return context.get_dummy_value()

        return signature, generate

    return gradients


def _back(a: _Vector, b: _Vector, thirds: Sequence[_Vector], logarithmic: Any) -> tuple[list[Register], list[Register]]:
    scalars, vectors, tensors = raw_products(a, b)
    (s_a, s_b), (v_a, v_b) = (a[0], b[0]), (a[1:4], b[1:4])
    gs = [_past_relu(g[0], s, logarithmic) for g, s in zip(thirds, scalars, strict=True)]
    gv = [_past_cut(g[1:4], v) for g, v in zip(thirds, vectors, strict=True)]
    ds_a, ds_b = dot([gs[0], *gv[0]], [s_b, *v_b]), gs[0] * s_a
    # s_a v_b, v_a · v_b and v_a × v_b
    dv_a = [cross.plus(gs[1], y) for cross, y in zip(_cross(v_b, gv[1]), v_b, strict=True)]
    dv_b = [cross.plus(gs[1], x).plus(s_a, g) for cross, x, g in zip(_cross(gv[1], v_a), v_a, gv[0], strict=True)]
    if len(a) == VECTOR_PLANES:
        return [ds_a, *dv_a], [ds_b, *dv_b]
    t_a, t_b = matrix_of(a[4:]), matrix_of(b[4:])
    gt = [_past_cut_matrix(g[4:], t) for g, t in zip(thirds, tensors, strict=True)]
    # s_a T_b, v_a ⊗ v_b
    ds_a = ds_a + dot(_flat(gt[0]), _flat(t_b))
    dv_a = [d + dot(row, v_b) for d, row in zip(dv_a, gt[1], strict=True)]
    dv_b = [d + dot(column, v_a) for d, column in zip(dv_b, _turned(gt[1]), strict=True)]
    # T_a v_b
    dv_b = [d + dot(column, gv[2]) for d, column in zip(dv_b, _turned(t_a), strict=True)]
    # T_a T_b, and their trace
    dt_a = [
        [dot(g_row, row).plus(g, y).plus(gs[2], t) for row, y, t in zip(t_b, v_b, t_row, strict=True)]
        for g_row, g, t_row in zip(gt[2], gv[2], t_b, strict=True)
    ]
    dt_b = [
        [dot(column, g_column).plus(s_a, g).plus(gs[2], t)
         for g_column, g, t in zip(_turned(gt[2]), g_row, t_row, strict=True)]
        for column, g_row, t_row in zip(_turned(t_a), gt[0], t_a, strict=True)
    ]  # fmt: skip
    return [ds_a, *dv_a, *_to_planes(dt_a)], [ds_b, *dv_b, *_to_planes(dt_b)]


def _flat(matrix: _Matrix) -> list[Register]:
    return [value for row in matrix for value in row]


def _turned(matrix: _Matrix) -> list[list[Register]]:
    return [list(column) for column in zip(*matrix, strict=True)]


def _cross(a: _Vector, b: _Vector) -> list[Register]:
    (ax, ay, az), (bx, by, bz) = a, b
    return [(ay * bz).minus(az, by), (az * bx).minus(ax, bz), (ax * by).minus(ay, bx)]


def _past_relu(gradient: Register, value: Register, logarithmic: Any) -> Register:
    builder, kind = value.builder, value.value.type.element
    zero, one = (Register.constant(builder, kind, number) for number in (0.0, 1.0))
    steep = Register(builder, builder.select(logarithmic, (one / value.at_least(one)).value, one.value))
    # NaN is above nothing: it comes through the gradient
    return value.above(zero, gradient * steep, gradient * zero)


def _past_cut(gradient: _Vector, vector: _Vector) -> list[Register]:
    """Of v / max(1, |v|)."""
    square = dot(vector, vector)
    one = Register.constant(square.builder, square.value.type.element, 1.0)
    scale = one / square.at_least(one).root()
    along = square.above(one, dot(gradient, vector) * scale * scale, one - one)
    return [scale * g.minus(along, v) for g, v in zip(gradient, vector, strict=True)]


def _past_cut_matrix(gradient: _Vector, matrix: _Matrix) -> list[list[Register]]:
    zz, zx, zy, xz, yz, even, odd, plus, cross = gradient
    flat = _past_cut(
        [even + plus, cross - odd, xz, odd + cross, even - plus, yz, zx, zy, zz],
        _flat(matrix),
    )
    return [flat[0:3], flat[3:6], flat[6:9]]


def _to_planes(matrix: _Matrix) -> list[Register]:
    """Gradients of planes from those of components: xx = (even + plus) / 2 and so on."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    half = Register.constant(zz.builder, zz.value.type.element, 0.5)
    return [zz, zx, zy, xz, yz, half * (xx + yy), half * (yx - xy), half * (xx - yy), half * (yx + xy)]


vector_gradients, tensor_gradients = _gradients_of(VECTOR_PLANES), _gradients_of(TENSOR_PLANES)
