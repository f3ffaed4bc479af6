"""PELICAN's messages between their activation and the next layer, forth and back: BatchNorm and dropout.

A message in use is X = scale Y + shift where a bit says that dropout keeps it, and 0 elsewhere. Layouts as in
`pair_places`, arguments otherwise as in `pair_tile`.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.vector_rows import FLOAT, constant, loop, pointers
from .pair_dropout import load_kept, only
from .pair_gradient_tile import through_leaky
from .pair_places import COLUMN, DIAGONAL, ROW, MessageRows

__all__ = ["back_to_messages", "even_and_odd", "slopes_of_pair", "slopes_of_self"]


@intrinsic
def even_and_odd(
    typing_context: Any, narrow: Any, messages: Any, up_at: Any, down_at: Any, at: Any, count: Any, bits: Any,
    scale: Any, shift: Any, out: Any, odd_to: Any,
) -> Any:  # fmt: skip
    """X_ij + X_ji of a chunk to the first rows of `out`, X_ij − X_ji to rows from `odd_to` on; one block of columns."""
    at_type = types.intp
    signature = types.void(
        narrow, messages, at_type, at_type, at_type, at_type, bits, scale, shift, out, at_type
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, messages, up_at, down_at, at, count, bits, scale, shift, out, odd_to = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes
        factors, terms = lanes.load(scale, at), lanes.load(shift, at)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            found = []
            for first in (up_at, down_at):
                source = builder.add(first, k)
                values = lanes.fma(factors, lanes.load(messages, rows.row(source)), terms)
                found.append(only(lanes, load_kept(lanes, bits, rows.bits(source)), values))
            lanes.store(lanes.add(*found), out, rows.row(k))
            lanes.store(lanes.subtract(*found), out, rows.row(builder.add(odd_to, k)))
            return carried

        loop(builder, count, [], body)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def back_to_messages(
    typing_context: Any, narrow: Any, even: Any, odd: Any, messages: Any, up_at: Any, down_at: Any, at: Any, count: Any,
    bits: Any, scale: Any, slopes: Any, of_norm: Any,
) -> Any:  # fmt: skip
    """Slopes of S and A, rows of `even` and `odd`, to slopes of messages; `of_norm` (2, C) adds those of the BatchNorm.

    On the diagonal, where both rows are one, its slope is half of what belongs there.
    """
    at_type = types.intp
    signature = types.void(
        narrow, even, odd, messages, at_type, at_type, at_type, at_type, bits, scale, slopes, of_norm
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, even, odd, messages, up_at, down_at, at, count, bits, scale, slopes, of_norm = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes, vectors = rows.lanes, len(rows.lanes.widths)
        factors, second = lanes.load(scale, at), builder.add(at, rows.total)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            of_scale, of_shift = carried[:vectors], carried[vectors:]
            plus, minus = lanes.load(even, rows.row(k)), lanes.load(odd, rows.row(k))
            for first, found in ((up_at, lanes.add(plus, minus)), (down_at, lanes.subtract(plus, minus))):
                target = builder.add(first, k)
                found = only(lanes, load_kept(lanes, bits, rows.bits(target)), found)
                of_scale = lanes.fma(found, lanes.load(messages, rows.row(target)), of_scale)
                of_shift = lanes.add(of_shift, found)
                scaled = [builder.fmul(a, b) for a, b in zip(found, factors, strict=True)]
                lanes.store(scaled, slopes, rows.row(target))
            return of_scale + of_shift

        found = loop(builder, count, lanes.load(of_norm, at) + lanes.load(of_norm, second), body)
        lanes.store(found[:vectors], of_norm, at)
        lanes.store(found[vectors:], of_norm, second)
        return context.get_dummy_value()

    return signature, generate


def _before_activation(
    rows: MessageRows, values: list[Any], kept: list[Any], arriving: list[Any], of_sums: list[Any], statistics: Any
) -> list[Any]:
    """The slopes of a row of messages before LeakyReLU, from those of all that was made of them."""
    lanes, builder = rows.lanes, rows.builder
    constants, linear = lanes.load(statistics, rows.at), lanes.load(statistics, builder.add(rows.at, rows.total))
    found = lanes.add(lanes.fma(linear, values, constants), arriving)
    found = lanes.add(found, only(lanes, kept, of_sums))
    return through_leaky(builder, found, values, lanes.spread(constant(FLOAT, 0.01)))


@intrinsic
def slopes_of_pair(
    typing_context: Any, narrow: Any, messages: Any, arriving: Any, up_at: Any, down_at: Any, at: Any, count: Any,
    bits: Any, nodes: Any, i: Any, j: Any, statistics: Any, up: Any, down: Any, to: Any, of_bias: Any,
) -> Any:  # fmt: skip
    """Slopes of messages of pairs (i, j), (i, j + 1), ... and of their mirror images before LeakyReLU.

    `arriving` are those from the next layer, `nodes` (n, 3, C) those of the nodes' sums, `statistics` (2, C) of the
    moments: a constant, and a factor of the message. Rows `to` and on of `up` and `down` take them, and `of_bias` (C,)
    their sum.
    """
    at_type = types.intp
    signature = types.void(
        narrow, messages, arriving, at_type, at_type, at_type, at_type, bits, nodes, at_type, at_type, statistics, up,
        down, at_type, of_bias,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, messages, arriving, up_at, down_at, at, count, bits, nodes, i, j, statistics, up, down, to,
         of_bias) = pointers(context, builder, signature, arguments)  # fmt: skip
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes
        own_row, own_column = (lanes.load(nodes, rows.node(i, kind)) for kind in (ROW, COLUMN))

        def body(k: Any, total: list[Any]) -> list[Any]:
            other = builder.add(j, k)
            for first, out, own, kind in ((up_at, up, own_row, COLUMN), (down_at, down, own_column, ROW)):
                source = builder.add(first, k)
                found = _before_activation(
                    rows, lanes.load(messages, rows.row(source)), load_kept(lanes, bits, rows.bits(source)),
                    lanes.load(arriving, rows.row(source)), lanes.add(own, lanes.load(nodes, rows.node(other, kind))),
                    statistics,
                )  # fmt: skip
                lanes.store(found, out, rows.row(builder.add(to, k)))
                total = lanes.add(total, found)
            return total

        lanes.store(loop(builder, count, lanes.load(of_bias, at), body), of_bias, at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def slopes_of_self(
    typing_context: Any, narrow: Any, messages: Any, arriving: Any, source: Any, at: Any, count: Any, bits: Any,
    nodes: Any, i: Any, statistics: Any, up: Any, of_bias: Any,
) -> Any:  # fmt: skip
    """The same for pairs (i, i), (i + 1, i + 1), ... into the first rows of `up`."""
    at_type = types.intp
    signature = types.void(
        narrow, messages, arriving, at_type, at_type, at_type, bits, nodes, at_type, statistics, up, of_bias
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, messages, arriving, first, at, count, bits, nodes, i, statistics, up, of_bias = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes

        def body(k: Any, total: list[Any]) -> list[Any]:
            source, node = builder.add(first, k), builder.add(i, k)
            of_sums = lanes.zeros()
            for kind in (DIAGONAL, COLUMN, ROW):
                of_sums = lanes.add(of_sums, lanes.load(nodes, rows.node(node, kind)))
            found = _before_activation(
                rows, lanes.load(messages, rows.row(source)), load_kept(lanes, bits, rows.bits(source)),
                lanes.load(arriving, rows.row(source)), of_sums, statistics,
            )  # fmt: skip
            lanes.store(found, up, rows.row(k))
            return lanes.add(total, found)

        lanes.store(loop(builder, count, lanes.load(of_bias, at), body), of_bias, at)
        return context.get_dummy_value()

    return signature, generate
