"""Gates of rows whose linear layer is computed already, and their gradients, for training.

Rows of vectors are (v, u, w) side by side, four per node; rows of scalars (s, g). All are whole registers wide.
With m = u·w/2 and G = Σ_c v_c ∂L/∂v'_c: ∂L/∂v = f(m) ∂L/∂v', ∂L/∂u = ½ f'(m) G w and ∂L/∂w = ½ f'(m) G u, with lowered
indices; ∂L/∂s = f(g) ∂L/∂s' and ∂L/∂g = f'(g) s ∂L/∂s'.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import njit
from ...common.cpu.llvm import INDEX, constant, fma, pointers
from ...common.cpu.vector_rows import Lanes
from .activation import activation_and_slope
from .gate_tiles import LANES, half_product

__all__ = ["gate_scalar_rows", "gate_vector_rows"]


@intrinsic
def _vectors(
    typing_context: Any, x: Any, at: Any, width: Any, coefficients: Any, arriving: Any, out: Any, out_at: Any, back: Any
) -> Any:
    """One register of channels of a node: v', or with `back` the gradients of (v, u, w), in places like theirs."""
    integer = types.intp
    signature = types.void(x, integer, integer, coefficients, arriving, out, integer, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, at, width, coefficients, arriving, out, out_at, back = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, (LANES,))

        def place(c: int, part: int) -> Any:
            return builder.add(at, builder.mul(width, INDEX(3 * c + part)))

        def out_place(c: int) -> Any:
            return builder.add(out_at, builder.mul(width, INDEX(c)))

        v, u, w = ([lanes.load(x, place(c, part))[0] for c in range(4)] for part in range(3))
        gate, slope = activation_and_slope(builder, half_product(builder, u, w), coefficients)
        with builder.if_else(back) as (then, otherwise):
            with then:
                grads = [lanes.load(arriving, out_place(c))[0] for c in range(4)]
                total = builder.fmul(v[0], grads[0])
                for c in (1, 2, 3):
                    total = fma(builder, v[c], grads[c], total)
                step = builder.fmul(builder.fmul(slope, total), constant(total.type, 0.5))
                lowered = builder.fsub(constant(total.type, -0.0), step)
                for c in range(4):
                    factor = lowered if c else step
                    lanes.store([builder.fmul(gate, grads[c])], out, place(c, 0))
                    lanes.store([builder.fmul(factor, w[c])], out, place(c, 1))
                    lanes.store([builder.fmul(factor, u[c])], out, place(c, 2))
            with otherwise:
                for c in range(4):
                    lanes.store([builder.fmul(gate, v[c])], out, out_place(c))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def _scalars(
    typing_context: Any, x: Any, at: Any, width: Any, coefficients: Any, arriving: Any, out: Any, out_at: Any, back: Any
) -> Any:
    """One register of channels of a node: s', or with `back` the gradients of (s, g), in places like theirs."""
    integer = types.intp
    signature = types.void(x, integer, integer, coefficients, arriving, out, integer, types.boolean)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, at, width, coefficients, arriving, out, out_at, back = pointers(context, builder, signature, arguments)
        lanes, beside = Lanes(builder, (LANES,)), builder.add(at, width)
        (value,), (argument,) = lanes.load(x, at), lanes.load(x, beside)
        gate, slope = activation_and_slope(builder, argument, coefficients)
        with builder.if_else(back) as (then, otherwise):
            with then:
                (grad,) = lanes.load(arriving, out_at)
                lanes.store([builder.fmul(gate, grad)], out, at)
                lanes.store([builder.fmul(builder.fmul(slope, value), grad)], out, beside)
            with otherwise:
                lanes.store([builder.fmul(gate, value)], out, out_at)
        return context.get_dummy_value()

    return signature, generate


@njit
def gate_vector_rows(x: F4, coefficients: F4, arriving: F4, out: F4, back: bool, first: int, last: int) -> None:
    """Write v' (4N, V) of x = (v, u, w) (4N, 3V), or with `back` x's gradients from those of v', of some nodes."""
    width = x.shape[1] // 3
    for i in range(first, last):
        for c in range(0, width, LANES):
            _vectors(x, 12 * i * width + c, width, coefficients, arriving, out, 4 * i * width + c, back)


@njit
def gate_scalar_rows(x: F4, coefficients: F4, arriving: F4, out: F4, back: bool, first: int, last: int) -> None:
    """Write s' (N, S) of x = (s, g) (N, 2S), or with `back` x's gradients from those of s', of some nodes."""
    width = x.shape[1] // 2
    for i in range(first, last):
        for c in range(0, width, LANES):
            _scalars(x, 2 * i * width + c, width, coefficients, arriving, out, i * width + c, back)
