"""The gradient of PELICAN's input encoder, on rows of channels in registers."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.elementary import log1p, magnitude, with_sign_of
from ...common.cpu.llvm import INDEX, constant, pointers
from ...common.cpu.llvm import loop as repeat
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import widths_of
from .encoder import ENCODED

__all__ = ["encoder_gradient"]


@intrinsic
def encoder_gradient(
    typing_context: Any, channels: Any, inputs: Any, places: Any, first: Any, count: Any, weight: Any, stride: Any,
    bias: Any, power: Any, inverse: Any, at: Any, encoded: Any, grads: Any, out: Any,
) -> Any:  # fmt: skip
    """One block of `ENCODED` pairs: from gradients of f = sgn(x) [(1 + |x|)^a − 1] / a, x = inputs·weight + bias.

    Arguments as for `encode_rows`, whose result is `encoded`. The gradients of each input's weights, of the bias and
    of a are added to the rows of `out`: df/dx = (1 + |x|)^(a − 1), df/da = sgn(x) [log(1 + |x|) (1 + |x|)^a − |f|] / a.
    As in the layers, the gradient is 0 where x is 0.
    """
    signature = types.void(
        channels, inputs, places, types.intp, types.intp, weight, types.intp, bias, power, inverse, types.intp, encoded,
        grads, out,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, inputs, places, first, count, weight, stride, bias, power, inverse, at, encoded, grads, out = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, widths_of(channels))
        indices = [builder.add(first, INDEX(r)) for r in range(ENCODED)]
        pairs = [builder.load(builder.gep(places, [index])) for index in indices]
        vectors = len(lanes.widths)

        def number(place: Any, k: Any) -> list[Any]:
            value = builder.load(builder.gep(inputs, [builder.add(place, k)]))
            return lanes.spread(builder.fptrunc(value, lanes.element))

        def linear(k: Any, values: list[Any]) -> list[Any]:
            row, found = lanes.load(weight, builder.add(at, builder.mul(k, stride))), []
            for r, place in enumerate(pairs):
                found += lanes.fma(number(place, k), row, values[r * vectors : (r + 1) * vectors])
            return found

        values = repeat(builder, count, lanes.load(bias, at) * ENCODED, linear)
        powers, inverses = lanes.load(power, at), lanes.load(inverse, at)
        bias_at = builder.add(at, builder.mul(count, stride))
        power_at = builder.add(bias_at, stride)
        grad_bias, grad_power = lanes.load(out, bias_at), lanes.load(out, power_at)
        grad_x = []
        for r, index in enumerate(indices):
            place = builder.add(builder.mul(index, stride), at)
            found, arriving = lanes.load(encoded, place), lanes.load(grads, place)
            for v in range(vectors):
                x, a, f, grad = values[r * vectors + v], powers[v], magnitude(builder, found[v]), arriving[v]
                zero, one = constant(x.type, 0.0), constant(x.type, 1.0)
                size = magnitude(builder, x)
                # (1 + |x|)^a
                grown = builder.fadd(builder.fmul(a, f), one)
                own = builder.fdiv(builder.fmul(grad, grown), builder.fadd(size, one))
                own = builder.select(builder.fcmp_ordered("==", size, zero), zero, own)
                grad_x.append(own)
                grad_bias[v] = builder.fadd(grad_bias[v], own)
                change = builder.fsub(builder.fmul(log1p(builder, size), grown), f)
                change = with_sign_of(builder, builder.fmul(change, inverses[v]), x)
                grad_power[v] = builder.fadd(grad_power[v], builder.fmul(grad, change))
        lanes.store(grad_bias, out, bias_at)
        lanes.store(grad_power, out, power_at)

        def outer(k: Any, carried: list[Any]) -> list[Any]:
            row = builder.add(at, builder.mul(k, stride))
            total = lanes.load(out, row)
            for r, place in enumerate(pairs):
                total = lanes.fma(number(place, k), grad_x[r * vectors : (r + 1) * vectors], total)
            lanes.store(total, out, row)
            return carried

        repeat(builder, count, [], outer)
        return context.get_dummy_value()

    return signature, generate
