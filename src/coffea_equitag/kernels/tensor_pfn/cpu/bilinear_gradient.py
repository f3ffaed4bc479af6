"""Gradients of bilinear products and their activations, a register of features at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import pointers
from ...common.cpu.registers import Register
from .bilinear import PRODUCTS, TENSOR_PLANES, VECTOR_PLANES, Feature, Matrix, Vector, cross, dot, flat, transposed

__all__ = ["tensor_gradients", "vector_gradients"]


def _gradients_of(planes: int) -> Any:
    @intrinsic
    def gradients(
        typing_context: Any,
        x: Any,
        x_at: Any,
        x_plane: Any,
        x_half: Any,
        grad: Any,
        grad_at: Any,
        grad_plane: Any,
        grad_third: Any,
        out: Any,
        out_at: Any,
        out_plane: Any,
        logarithmic: Any,
    ) -> Any:
        """From gradients of the activated products to those of the features; arrays as in `multiply`.

        Scalars are activated by ReLU, or by `log_relu`.
        """
        n = types.intp
        signature = types.void(x, n, n, n, grad, n, n, n, out, n, n, types.boolean)

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            (x, x_at, x_plane, x_half, grad, grad_at, grad_plane, grad_third, out, out_at, out_plane,
             logarithmic) = pointers(context, builder, signature, arguments)  # fmt: skip
            index = x_at.type

            def load(source: Any, first: Any, stride: Any) -> list[Register]:
                return [
                    Register.load(builder, source, builder.add(first, builder.mul(stride, index(plane))))
                    for plane in range(planes)
                ]

            a, b = (Feature.of(load(x, at, x_plane)) for at in (x_at, builder.add(x_at, x_half)))
            thirds = [
                load(grad, builder.add(grad_at, builder.mul(grad_third, index(third))), grad_plane)
                for third in range(3 if planes == TENSOR_PLANES else 2)
            ]
            for half, values in enumerate(_grad_features(a, b, thirds, logarithmic)):
                first = builder.add(out_at, builder.mul(x_half, index(half)))
                for plane, value in enumerate(values):
                    value.store(out, builder.add(first, builder.mul(out_plane, index(plane))))
            return context.get_dummy_value()

        return signature, generate

    return gradients


def _grad_features(
    a: Feature, b: Feature, thirds: Sequence[Vector], logarithmic: Any
) -> tuple[list[Register], list[Register]]:
    """Gradients of the planes of a and of b; `g_s`, `g_v`, `g_t` are those of the products before activation."""

    def products(name: str) -> list[Any]:
        return [formula(a, b) for formula in PRODUCTS[name][: len(thirds)]]

    g_s = [_relu_backward(g[0], s, logarithmic) for g, s in zip(thirds, products("s"), strict=True)]
    g_v = [_cut_backward(g[1:4], v) for g, v in zip(thirds, products("v"), strict=True)]
    # s_a s_b, v_a · v_b; s_a v_b, v_a × v_b
    s_a, s_b = dot([g_s[0], *g_v[0]], [b.s, *b.v]), g_s[0] * a.s
    v_a = [turned.plus(g_s[1], y) for turned, y in zip(cross(b.v, g_v[1]), b.v, strict=True)]
    v_b = [turned.plus(g_s[1], x).plus(a.s, g) for turned, x, g in zip(cross(g_v[1], a.v), a.v, g_v[0], strict=True)]
    if not a.T:
        return [s_a, *v_a], [s_b, *v_b]
    g_t = [_cut_matrix_backward(g[4:], t) for g, t in zip(thirds, products("T"), strict=True)]
    # s_a T_b, v_a ⊗ v_b
    s_a = s_a + dot(flat(g_t[0]), flat(b.T))
    v_a = [total + dot(row, b.v) for total, row in zip(v_a, g_t[1], strict=True)]
    v_b = [total + dot(column, a.v) for total, column in zip(v_b, transposed(g_t[1]), strict=True)]
    # T_a v_b
    v_b = [total + dot(column, g_v[2]) for total, column in zip(v_b, transposed(a.T), strict=True)]
    # T_a T_b and tr(T_aᵀ T_b), with T_a v_b and s_a T_b
    t_a = [
        [dot(g_row, row).plus(g, y).plus(g_s[2], t) for row, y, t in zip(b.T, b.v, t_row, strict=True)]
        for g_row, g, t_row in zip(g_t[2], g_v[2], b.T, strict=True)
    ]
    t_b = [
        [dot(column, g_column).plus(a.s, g).plus(g_s[2], t)
         for g_column, g, t in zip(transposed(g_t[2]), g_row, t_row, strict=True)]
        for column, g_row, t_row in zip(transposed(a.T), g_t[0], a.T, strict=True)
    ]  # fmt: skip
    return [s_a, *v_a, *_grad_planes(t_a)], [s_b, *v_b, *_grad_planes(t_b)]


def _relu_backward(grad: Register, value: Register, logarithmic: Any) -> Register:
    builder, kind = value.builder, value.value.type.element
    zero, one = (Register.constant(builder, kind, number) for number in (0.0, 1.0))
    derivative = Register(builder, builder.select(logarithmic, (one / value.at_least(one)).value, one.value))
    # NaN is never above: it passes through the gradient
    return value.above(zero, grad * derivative, grad * zero)


def _cut_backward(grad: Vector, vector: Vector) -> list[Register]:
    """The gradient of v, from that of v / max(1, |v|)."""
    square = dot(vector, vector)
    one = Register.constant(square.builder, square.value.type.element, 1.0)
    scale = one / square.at_least(one).root()
    along = square.above(one, dot(grad, vector) * scale * scale, one - one)
    return [scale * g.minus(along, v) for g, v in zip(grad, vector, strict=True)]


def _cut_matrix_backward(grad: Vector, matrix: Matrix) -> list[list[Register]]:
    """The same for a tensor, from the gradients of its planes."""
    zz, zx, zy, xz, yz, even, odd, plus, minus = grad
    components = [even + plus, minus - odd, xz, odd + minus, even - plus, yz, zx, zy, zz]
    found = _cut_backward(components, flat(matrix))
    return [found[0:3], found[3:6], found[6:9]]


def _grad_planes(matrix: Matrix) -> list[Register]:
    """Gradients of planes from those of components: xx = (even + plus) / 2 and so on."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = matrix
    half = Register.constant(zz.builder, zz.value.type.element, 0.5)
    return [zz, zx, zy, xz, yz, half * (xx + yy), half * (yx - xy), half * (xx - yy), half * (yx + xy)]


vector_gradients, tensor_gradients = _gradients_of(VECTOR_PLANES), _gradients_of(TENSOR_PLANES)
