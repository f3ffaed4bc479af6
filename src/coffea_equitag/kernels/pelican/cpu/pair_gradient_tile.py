"""PELICAN's work on pairs, backwards, as register tiles; layouts and arguments as in `pair_tile`."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.vector_rows import INDEX, Lanes, constant, loop, pointers
from .pair_shapes import rows_of, total_of, widths_of
from .pair_tile import places_of, summed

__all__ = ["fold_pair", "fold_self", "outer_rows", "outer_tile", "slope_tile"]


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
def slope_tile(
    typing_context: Any, wide: Any, narrow: Any, x: Any, x_at: Any, depth: Any, weight: Any, weight_at: Any, out: Any,
    out_at: Any, below_zero: Any, below_zero_at: Any,
) -> Any:  # fmt: skip
    """One tile of slopes before an activation: out[r] = x[r] W, times `below_zero` where out[r] was not above 0."""
    signature = types.void(
        wide, narrow, x, types.intp, types.intp, weight, types.intp, out, types.intp, below_zero, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, x, x_at, depth, weight, weight_at, out, out_at, below_zero, below_zero_at = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, widths_of(wide))
        rows = rows_of(lanes.widths)
        sums = summed(
            lanes, [lanes.zeros() for _ in range(rows)], x, places_of(builder, x_at, INDEX(total_of(narrow)), rows),
            INDEX(1), weight, weight_at, INDEX(lanes.block), depth,
        )  # fmt: skip
        factors = lanes.load(below_zero, below_zero_at)
        for row, place in zip(sums, places_of(builder, out_at, INDEX(total_of(wide)), rows), strict=True):
            lanes.store(through_leaky(builder, row, lanes.load(out, place), factors), out, place)
        return context.get_dummy_value()

    return signature, generate


def through_leaky(builder: Any, slopes: list[Any], values: list[Any], factors: list[Any]) -> list[Any]:
    """Slopes of what gave `values`: times the factors where these are not above 0."""
    out = []
    for slope, value, factor in zip(slopes, values, factors, strict=True):
        above = builder.fcmp_ordered(">", value, constant(value.type, 0.0))
        out.append(builder.select(above, slope, builder.fmul(slope, factor)))
    return out


@intrinsic
def fold_pair(
    typing_context: Any, wide: Any, above: Any, below: Any, at: Any, first: Any, count: Any, u: Any, v: Any, i: Any,
    j: Any,
) -> Any:  # fmt: skip
    """Slopes of u_i + v_j of pairs (i, j), (i, j + 1), ... and their mirror images, one block of columns.

    Added to those of u and v; what is left in `above` and `below` are slopes of the even and of the odd part.
    """
    signature = types.void(wide, above, below, types.intp, types.intp, types.intp, u, v, types.intp, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, above, below, at, first, count, u, v, i, j = pointers(context, builder, signature, arguments)
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))
        vectors = len(lanes.widths)

        def place(index: Any) -> Any:
            return builder.add(builder.mul(index, stride), at)

        own = lanes.load(u, place(i)) + lanes.load(v, place(i))

        def body(k: Any, own: list[Any]) -> list[Any]:
            source, other = place(builder.add(first, k)), place(builder.add(j, k))
            up, down = lanes.load(above, source), lanes.load(below, source)
            lanes.store(lanes.add(up, down), above, source)
            lanes.store(lanes.subtract(up, down), below, source)
            lanes.store(lanes.add(lanes.load(v, other), up), v, other)
            lanes.store(lanes.add(lanes.load(u, other), down), u, other)
            return lanes.add(own[:vectors], up) + lanes.add(own[vectors:], down)

        own = loop(builder, count, own, body)
        lanes.store(own[:vectors], u, place(i))
        lanes.store(own[vectors:], v, place(i))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def fold_self(
    typing_context: Any, wide: Any, above: Any, below: Any, at: Any, count: Any, u: Any, v: Any, d: Any, i: Any
) -> Any:
    """The same of pairs (i, i), (i + 1, i + 1), ...; d takes part, and there is no odd part."""
    signature = types.void(wide, above, below, types.intp, types.intp, u, v, d, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, above, below, at, count, u, v, d, i = pointers(context, builder, signature, arguments)
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))

        def body(k: Any, carried: list[Any]) -> list[Any]:
            source = builder.add(builder.mul(k, stride), at)
            target = builder.add(builder.mul(builder.add(i, k), stride), at)
            slopes = lanes.load(above, source)
            lanes.store(lanes.zeros(), below, source)
            lanes.store(slopes, d, target)
            for terms in (u, v):
                lanes.store(lanes.add(lanes.load(terms, target), slopes), terms, target)
            return carried

        loop(builder, count, [], body)
        return context.get_dummy_value()

    return signature, generate
