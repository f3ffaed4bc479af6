"""PELICAN's input encoder on rows of channels in registers."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from .lanes import Lanes, constant, expm1, log1p, log_of, magnitude, pointers, with_sign_of
from .lanes import loop as repeat
from .pair_shapes import widths_of

__all__ = ["encode_angles", "encode_row", "scalar_row"]

#: Added to |x| in the angular form, as in `layers.pair_encoder`.
_ANGLE_FLOOR = 1e-5


def _encoder(angles: bool) -> Any:
    @intrinsic
    def encode(
        typing_context: Any, columns: Any, inputs: Any, inputs_at: Any, count: Any, weight: Any, stride: Any,
        bias: Any, power: Any, inverse: Any, at: Any, out: Any, out_at: Any,
    ) -> Any:  # fmt: skip
        """One block of one pair: x = inputs·weight + bias, then out = sgn(x) [(1 + |x|)^a − 1] / a.

        `inputs` are float64 and rounded to float32 first, as the layers do; `power` is a and `inverse` 1/a. The form
        for angles is [(1e-5 + |x|)^a − 1] / a.
        """
        signature = types.void(
            columns, inputs, types.intp, types.intp, weight, types.intp, bias, power, inverse, types.intp, out,
            types.intp,
        )  # fmt: skip

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, inputs, inputs_at, count, weight, stride, bias, power, inverse, at, out, out_at = pointers(
                context, builder, signature, arguments
            )
            lanes = Lanes(builder, widths_of(columns))

            def body(k: Any, values: list[Any]) -> list[Any]:
                number = builder.load(builder.gep(inputs, [builder.add(inputs_at, k)]))
                number = builder.fptrunc(number, lanes.element)
                row = lanes.load(weight, builder.add(at, builder.mul(k, stride)))
                return lanes.fma(lanes.spread(number), row, values)

            found = []
            for x, a, over_a in zip(
                repeat(builder, count, lanes.load(bias, at), body), lanes.load(power, at), lanes.load(inverse, at),
                strict=True,
            ):  # fmt: skip
                size = magnitude(builder, x)
                if angles:
                    more = builder.fadd(size, constant(x.type, _ANGLE_FLOOR))
                    # NaN and ∞ become NaN
                    value = builder.fadd(log_of(builder, more), builder.fsub(more, more))
                else:
                    value = log1p(builder, size)
                value = builder.fmul(expm1(builder, builder.fmul(a, value)), over_a)
                found.append(value if angles else with_sign_of(builder, value, x))
            lanes.store(found, out, out_at)
            return context.get_dummy_value()

        return signature, generate

    return encode


encode_row, encode_angles = _encoder(False), _encoder(True)


@intrinsic
def scalar_row(
    typing_context: Any, columns: Any, out: Any, out_at: Any, base: Any, base_at: Any, u: Any, u_at: Any, v: Any,
    v_at: Any,
) -> Any:  # fmt: skip
    """One block of one row: out = base + leaky(u + v)."""
    signature = types.void(columns, out, types.intp, base, types.intp, u, types.intp, v, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out, out_at, base, base_at, u, u_at, v, v_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, widths_of(columns))
        terms = lanes.leaky(lanes.add(lanes.load(u, u_at), lanes.load(v, v_at)))
        lanes.store(lanes.add(lanes.load(base, base_at), terms), out, out_at)
        return context.get_dummy_value()

    return signature, generate
