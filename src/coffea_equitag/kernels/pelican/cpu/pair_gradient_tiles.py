"""Gradients of PELICAN's work on pairs as register tiles; layouts and arguments as in `pair_tiles`."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import INDEX, constant, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import rows_of, total_of, widths_of
from .pair_tiles import places_of, summed

__all__ = ["fold_pair", "fold_self", "grad_tile", "leaky_gradient", "outer_rows", "outer_tile"]


def _outer_rows(wide: Any, narrow: Any) -> int:
    """As many as fit, and as few as whole tiles need."""
    total, most = total_of(narrow), rows_of(widths_of(wide))
    return -(-total // -(-total // most))


@intrinsic
def outer_rows(typing_context: Any, wide: Any, narrow: Any) -> Any:
    """Rows of `outer_tile`."""
    return types.intp(wide, narrow), lambda context, builder, signature, arguments: INDEX(_outer_rows(wide, narrow))


@intrinsic
def outer_tile(
    typing_context: Any, wide: Any, narrow: Any, left: Any, left_at: Any, left_stride: Any, count: Any, right: Any,
    right_at: Any, out: Any, out_at: Any,
) -> Any:  # fmt: skip
    """One tile of a gradient of weights: out[r, :] += Σ_k left[k, r] right[k, :] over `count` pairs or nodes."""
    signature = types.void(wide, narrow, left, types.intp, types.intp, types.intp, right, types.intp, out, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, left, left_at, left_stride, count, right, right_at, out, out_at = pointers(
            context, builder, signature, arguments
        )
        lanes, rows, stride = Lanes(builder, widths_of(wide)), _outer_rows(wide, narrow), INDEX(total_of(wide))
        targets = places_of(builder, out_at, stride, rows)
        sums = summed(
            lanes, [lanes.load(out, place) for place in targets], left, places_of(builder, left_at, INDEX(1), rows),
            left_stride, right, right_at, stride, count,
        )  # fmt: skip
        for row, place in zip(sums, targets, strict=True):
            lanes.store(row, out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def grad_tile(
    typing_context: Any, wide: Any, narrow: Any, x: Any, x_at: Any, depth: Any, weight: Any, weight_at: Any, out: Any,
    out_at: Any, leak: Any, leak_at: Any,
) -> Any:  # fmt: skip
    """One tile of gradients before an activation: out[r] = x[r] W, times `leak` where out[r] was not above 0."""
    signature = types.void(
        wide, narrow, x, types.intp, types.intp, weight, types.intp, out, types.intp, leak, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, x, x_at, depth, weight, weight_at, out, out_at, leak, leak_at = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, widths_of(wide))
        rows = rows_of(lanes.widths)
        sums = summed(
            lanes, [lanes.zeros() for _ in range(rows)], x, places_of(builder, x_at, INDEX(total_of(narrow)), rows),
            INDEX(1), weight, weight_at, INDEX(lanes.block), depth,
        )  # fmt: skip
        factors = lanes.load(leak, leak_at)
        for row, place in zip(sums, places_of(builder, out_at, INDEX(total_of(wide)), rows), strict=True):
            lanes.store(leaky_gradient(builder, row, lanes.load(out, place), factors), out, place)
        return context.get_dummy_value()

    return signature, generate


def leaky_gradient(builder: Any, grads: list[Any], values: list[Any], factors: list[Any]) -> list[Any]:
    """The gradient before LeakyReLU, which gave `values`: times the factors where these are not above 0."""
    out = []
    for grad, value, factor in zip(grads, values, factors, strict=True):
        above = builder.fcmp_ordered(">", value, constant(value.type, 0.0))
        out.append(builder.select(above, grad, builder.fmul(grad, factor)))
    return out


@intrinsic
def fold_pair(
    typing_context: Any, wide: Any, grad_ij: Any, grad_ji: Any, at: Any, first: Any, count: Any, grad_u: Any,
    grad_v: Any, i: Any, j: Any,
) -> Any:  # fmt: skip
    """Add the gradients of pairs (i, j), (i, j + 1), ... and their mirror images to those of u and v, one block.

    Afterwards `grad_ij` and `grad_ji` hold the gradients of the even and of the odd part, their sum and difference.
    """
    at_type = types.intp
    signature = types.void(wide, grad_ij, grad_ji, at_type, at_type, at_type, grad_u, grad_v, at_type, at_type)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, grad_ij, grad_ji, at, first, count, grad_u, grad_v, i, j = pointers(context, builder, signature, arguments)
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))
        vectors = len(lanes.widths)

        def place(index: Any) -> Any:
            return builder.add(builder.mul(index, stride), at)

        own = lanes.load(grad_u, place(i)) + lanes.load(grad_v, place(i))

        def body(k: Any, own: list[Any]) -> list[Any]:
            source, other = place(builder.add(first, k)), place(builder.add(j, k))
            of_pair, of_image = lanes.load(grad_ij, source), lanes.load(grad_ji, source)
            lanes.store(lanes.add(of_pair, of_image), grad_ij, source)
            lanes.store(lanes.subtract(of_pair, of_image), grad_ji, source)
            lanes.store(lanes.add(lanes.load(grad_v, other), of_pair), grad_v, other)
            lanes.store(lanes.add(lanes.load(grad_u, other), of_image), grad_u, other)
            return lanes.add(own[:vectors], of_pair) + lanes.add(own[vectors:], of_image)

        own = loop(builder, count, own, body)
        lanes.store(own[:vectors], grad_u, place(i))
        lanes.store(own[vectors:], grad_v, place(i))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fold_self(
    typing_context: Any, wide: Any, grad_ij: Any, grad_ji: Any, at: Any, count: Any, grad_u: Any, grad_v: Any,
    grad_d: Any, i: Any,
) -> Any:  # fmt: skip
    """The same for pairs (i, i), (i + 1, i + 1), ... and d; the odd part has no gradient."""
    signature = types.void(wide, grad_ij, grad_ji, types.intp, types.intp, grad_u, grad_v, grad_d, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, grad_ij, grad_ji, at, count, grad_u, grad_v, grad_d, i = pointers(context, builder, signature, arguments)
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))

        def body(k: Any, carried: list[Any]) -> list[Any]:
            source = builder.add(builder.mul(k, stride), at)
            target = builder.add(builder.mul(builder.add(i, k), stride), at)
            grads = lanes.load(grad_ij, source)
            lanes.store(lanes.zeros(), grad_ji, source)
            lanes.store(grads, grad_d, target)
            for terms in (grad_u, grad_v):
                lanes.store(lanes.add(lanes.load(terms, target), grads), terms, target)
            return carried

        loop(builder, count, [], body)
        return context.get_dummy_value()

    return signature, generate
