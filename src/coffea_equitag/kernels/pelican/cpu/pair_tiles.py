"""PELICAN's work on pairs as register tiles, generated for the channels that an argument's type encodes.

Rows are pairs or nodes; every row is summed over k in the same order whatever other rows there are, so its result does
not depend on its place in a tile. Arrays are contiguous; an ``_at`` is where a tile's part of the preceding array
begins, a ``_stride`` the distance between rows. Tiles compute, and write, all their `tile_rows` rows.

Intrinsics take their arguments one by one: a NamedTuple would reach them as a struct, and they need addresses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import DOUBLE, INDEX, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import rows_of, total_of, widths_of

__all__ = [
    "add_rows",
    "block_width",
    "message_tile",
    "node_tile",
    "places_of",
    "scaled_row",
    "sum_pair",
    "sum_self",
    "summed",
    "tile_rows",
]


@intrinsic
def block_width(typing_context: Any, channels: Any) -> Any:
    """ChannelBlocks of one block."""
    return types.intp(channels), lambda context, builder, signature, arguments: INDEX(sum(widths_of(channels)))


@intrinsic
def tile_rows(typing_context: Any, channels: Any) -> Any:
    """Rows of a tile."""
    return types.intp(channels), lambda context, builder, signature, arguments: INDEX(rows_of(widths_of(channels)))


def summed(
    lanes: Lanes, sums: Sequence[list[Any]], x: Any, places: Sequence[Any], x_step: Any, weight: Any, weight_at: Any,
    weight_step: Any, depth: Any,
) -> list[list[Any]]:  # fmt: skip
    """sums[r] += Σ_k x[places[r] + k·x_step] · weight[weight_at + k·weight_step : ...], as vectors over channels."""
    builder, vectors = lanes.builder, len(lanes.widths)

    def body(k: Any, flat: list[Any]) -> list[Any]:
        row = lanes.load(weight, builder.add(weight_at, builder.mul(k, weight_step)))
        along = builder.mul(k, x_step)
        out = []
        for r, place in enumerate(places):
            number = builder.load(builder.gep(x, [builder.add(place, along)]))
            out += lanes.fma(lanes.spread(number), row, flat[r * vectors : (r + 1) * vectors])
        return out

    flat = loop(builder, depth, [value for row in sums for value in row], body)
    return [flat[r * vectors : (r + 1) * vectors] for r in range(len(sums))]


def places_of(builder: Any, at: Any, stride: Any, rows: int) -> list[Any]:
    """Where rows begin."""
    return [builder.add(at, builder.mul(stride, INDEX(r))) for r in range(rows)]


@intrinsic
def message_tile(
    typing_context: Any, wide: Any, narrow: Any, x: Any, x_at: Any, depth: Any, weight: Any, weight_at: Any, bias: Any,
    bias_at: Any, out: Any, out_at: Any,
) -> Any:  # fmt: skip
    """One tile of a message: out[r] = leaky(x[r] W + bias)."""
    signature = types.void(
        wide, narrow, x, types.intp, types.intp, weight, types.intp, bias, types.intp, out, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, x, x_at, depth, weight, weight_at, bias, bias_at, out, out_at = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, widths_of(narrow))
        rows = rows_of(lanes.widths)
        begin = lanes.load(bias, bias_at)
        sums = summed(
            lanes, [list(begin) for _ in range(rows)], x, places_of(builder, x_at, INDEX(total_of(wide)), rows),
            INDEX(1), weight, weight_at, INDEX(lanes.block), depth,
        )  # fmt: skip
        for row, place in zip(sums, places_of(builder, out_at, INDEX(total_of(narrow)), rows), strict=True):
            lanes.store(lanes.leaky(row), out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def node_tile(
    typing_context: Any, channels: Any, x: Any, x_at: Any, x_stride: Any, depth: Any, weight: Any, weight_at: Any,
    start: Any, start_at: Any, out: Any, out_at: Any, out_stride: Any,
) -> Any:  # fmt: skip
    """One tile of nodes: out[r] = x[r] W + start."""
    signature = types.void(
        channels, x, types.intp, types.intp, types.intp, weight, types.intp, start, types.intp, out, types.intp,
        types.intp,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, x, x_at, x_stride, depth, weight, weight_at, start, start_at, out, out_at, out_stride = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, widths_of(channels))
        rows = rows_of(lanes.widths)
        begin = lanes.load(start, start_at)
        sums = summed(
            lanes, [list(begin) for _ in range(rows)], x, places_of(builder, x_at, x_stride, rows), INDEX(1), weight,
            weight_at, INDEX(lanes.block), depth,
        )  # fmt: skip
        for row, place in zip(sums, places_of(builder, out_at, out_stride, rows), strict=True):
            lanes.store(row, out, place)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def add_rows(typing_context: Any, channels: Any, out: Any, out_at: Any, u: Any, u_at: Any, v: Any, v_at: Any) -> Any:
    """One block of one row: out = u + v."""
    signature = types.void(channels, out, types.intp, u, types.intp, v, types.intp)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out, out_at, u, u_at, v, v_at = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, widths_of(channels))
        lanes.store(lanes.add(lanes.load(u, u_at), lanes.load(v, v_at)), out, out_at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def scaled_row(typing_context: Any, channels: Any, out: Any, out_at: Any, u: Any, u_at: Any, factor: Any) -> Any:
    """One block of one row: out = factor · u."""
    signature = types.void(channels, out, types.intp, u, types.intp, types.float32)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, out, out_at, u, u_at, factor = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, widths_of(channels))
        row = zip(lanes.spread(factor), lanes.load(u, u_at), strict=True)
        lanes.store([builder.fmul(a, x) for a, x in row], out, out_at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sum_pair(
    typing_context: Any, channels: Any, y_ij: Any, y_ji: Any, at: Any, first: Any, count: Any, stride: Any,
    weights: Any, row: Any, column: Any, i: Any, j: Any, out: Any, even_to: Any, odd_to: Any,
) -> Any:  # fmt: skip
    """Sums over pairs (i, j), (i, j + 1), ... and their mirror images, one block of channels; S and A go to `out`.

    With Y_ij and Y_ji in row `first` of `y_ij` and `y_ji`, and so on: row_i += w_j Y_ij, column_j += w_i Y_ij,
    row_j += w_i Y_ji, column_i += w_j Y_ji, in float64. S = Y_ij + Y_ji goes to row `even_to` of `out`,
    A = Y_ij − Y_ji to row `odd_to`. `at` is the block's first channel.
    """
    signature = types.void(
        channels, y_ij, y_ji, types.intp, types.intp, types.intp, types.intp, weights, row, column, types.intp,
        types.intp, out, types.intp, types.intp,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, y_ij, y_ji, at, first, count, stride, weights, row, column, i, j, out, even_to, odd_to = pointers(
            context, builder, signature, arguments
        )
        widths = widths_of(channels)
        lanes, wide = Lanes(builder, widths), Lanes(builder, widths, DOUBLE)
        vectors = len(widths)

        def place(index: Any) -> Any:
            return builder.add(builder.mul(index, stride), at)

        w_i = wide.spread(builder.load(builder.gep(weights, [i])))
        own = wide.load(row, place(i)) + wide.load(column, place(i))

        def body(k: Any, own: list[Any]) -> list[Any]:
            other = builder.add(j, k)
            w_j = wide.spread(builder.load(builder.gep(weights, [other])))
            source = place(builder.add(first, k))
            values, images = lanes.load(y_ij, source), lanes.load(y_ji, source)
            lanes.store(lanes.add(values, images), out, place(builder.add(even_to, k)))
            lanes.store(lanes.subtract(values, images), out, place(builder.add(odd_to, k)))
            values, images = lanes.widened(values), lanes.widened(images)
            target = place(other)
            wide.store(wide.fma(w_i, values, wide.load(column, target)), column, target)
            wide.store(wide.fma(w_i, images, wide.load(row, target)), row, target)
            return wide.fma(w_j, values, own[:vectors]) + wide.fma(w_j, images, own[vectors:])

        own = loop(builder, count, own, body)
        wide.store(own[:vectors], row, place(i))
        wide.store(own[vectors:], column, place(i))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sum_self(
    typing_context: Any, channels: Any, x: Any, at: Any, source: Any, stride: Any, weights: Any, row: Any, column: Any,
    i: Any, out: Any, even_to: Any, odd_to: Any,
) -> Any:  # fmt: skip
    """The same for Y_ii in row `source` of x."""
    signature = types.void(
        channels, x, types.intp, types.intp, types.intp, weights, row, column, types.intp, out, types.intp, types.intp
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, x, at, source, stride, weights, row, column, i, out, even_to, odd_to = pointers(
            context, builder, signature, arguments
        )
        widths = widths_of(channels)
        lanes, wide = Lanes(builder, widths), Lanes(builder, widths, DOUBLE)

        def place(index: Any) -> Any:
            return builder.add(builder.mul(index, stride), at)

        weight = wide.spread(builder.load(builder.gep(weights, [i])))
        values = lanes.load(x, place(source))
        lanes.store(lanes.add(values, values), out, place(even_to))
        lanes.store(lanes.subtract(values, values), out, place(odd_to))
        for sums in (row, column):
            wide.store(wide.fma(weight, lanes.widened(values), wide.load(sums, place(i))), sums, place(i))
        return context.get_dummy_value()

    return signature, generate
