"""PELICAN's input encoder on rows of channels in registers; arguments are flat for the reason in `pair_tiles`."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.elementary import expm1, log1p, log_of, magnitude, with_sign_of
from ...common.cpu.llvm import INDEX, constant, pointers
from ...common.cpu.llvm import loop as repeat
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import widths_of

__all__ = ["ENCODED", "encode_angles", "encode_rows", "scalar_row"]

#: Added to |x| in the form for angles, as in `layers.pair_encoder`.
_ANGLE_FLOOR = 1e-5
#: Pairs encoded together, enough to hide the latency of long chains of operations.
ENCODED = 4


def _encoder(angles: bool) -> Any:
    @intrinsic
    def encode(
        typing_context: Any, channels: Any, inputs: Any, places: Any, first: Any, count: Any, weight: Any, stride: Any,
        bias: Any, power: Any, inverse: Any, at: Any, out: Any,
    ) -> Any:  # fmt: skip
        """One block of `ENCODED` pairs: x = inputs·weight + bias, then out = sgn(x) [(1 + |x|)^a − 1] / a.

        A pair's inputs begin at its place; they are float64 and rounded to float32 first, as the layers do.
        `power` is a, `inverse` 1/a. The form for angles is [(1e-5 + |x|)^a − 1] / a.
        """
        signature = types.void(
            channels, inputs, places, types.intp, types.intp, weight, types.intp, bias, power, inverse, types.intp, out
        )

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _, inputs, places, first, count, weight, stride, bias, power, inverse, at, out = pointers(
                context, builder, signature, arguments
            )
            lanes = Lanes(builder, widths_of(channels))
            indices = [builder.add(first, INDEX(r)) for r in range(ENCODED)]
            rows = [builder.load(builder.gep(places, [index])) for index in indices]
            begin, vectors = lanes.load(bias, at), len(lanes.widths)

            def body(k: Any, values: list[Any]) -> list[Any]:
                row, out = lanes.load(weight, builder.add(at, builder.mul(k, stride))), []
                for r, place in enumerate(rows):
                    number = builder.load(builder.gep(inputs, [builder.add(place, k)]))
                    number = lanes.spread(builder.fptrunc(number, lanes.element))
                    out += lanes.fma(number, row, values[r * vectors : (r + 1) * vectors])
                return out

            found = []
            values = repeat(builder, count, begin * ENCODED, body)
            powers, inverses = lanes.load(power, at), lanes.load(inverse, at)
            for x, a, over_a in zip(values, powers * ENCODED, inverses * ENCODED, strict=True):
                size = magnitude(builder, x)
                if angles:
                    more = builder.fadd(size, constant(x.type, _ANGLE_FLOOR))
                    # NaN and ∞ become NaN
                    value = builder.fadd(log_of(builder, more), builder.fsub(more, more))
                else:
                    value = log1p(builder, size)
                value = builder.fmul(expm1(builder, builder.fmul(a, value)), over_a)
                found.append(value if angles else with_sign_of(builder, value, x))
            for r, index in enumerate(indices):
                lanes.store(found[r * vectors : (r + 1) * vectors], out, builder.add(builder.mul(index, stride), at))
            return context.get_dummy_value()

        return signature, generate

    return encode


encode_rows, encode_angles = _encoder(False), _encoder(True)


@intrinsic
def scalar_row(
    typing_context: Any, channels: Any, out: Any, out_at: Any, base: Any, base_at: Any, u: Any, u_at: Any, v: Any,
    v_at: Any,
) -> Any:  # fmt: skip
    """One block of one row: out = base + leaky(u + v)."""
    signature = types.void(channels, out, types.intp, base, types.intp, u, types.intp, v, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out, out_at, base, base_at, u, u_at, v, v_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, widths_of(channels))
        terms = lanes.leaky(lanes.add(lanes.load(u, u_at), lanes.load(v, v_at)))
        lanes.store(lanes.add(lanes.load(base, base_at), terms), out, out_at)
        return context.get_dummy_value()

    return signature, generate
