"""Messages between their activation and the next layer, forward and backward: BatchNorm and dropout.

A layer sees X = scale Y + shift where a message's bit says that dropout keeps it, and 0 elsewhere. Layouts as in
`message_rows`; arguments are flat for the reason in `pair_tiles`.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import FLOAT, constant, loop, pointers
from .dropout_bits import load_kept, only
from .message_rows import COLUMN, DIAGONAL, ROW, MessageRows
from .pair_gradient_tiles import leaky_gradient

__all__ = ["even_and_odd", "grad_before", "grad_of_pair", "grad_of_self"]


@intrinsic
def even_and_odd(
    typing_context: Any, narrow: Any, messages: Any, ij_at: Any, ji_at: Any, at: Any, count: Any, bits: Any,
    scale: Any, shift: Any, out: Any, odd_to: Any,
) -> Any:  # fmt: skip
    """S = X_ij + X_ji of a chunk to the first rows of `out`, A = X_ij − X_ji from row `odd_to` on; one block.

    `ij_at` and `ji_at` are the first rows of Y_ij and of Y_ji.
    """
    at_type = types.intp
    signature = types.void(
        narrow, messages, at_type, at_type, at_type, at_type, bits, scale, shift, out, at_type
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, messages, ij_at, ji_at, at, count, bits, scale, shift, out, odd_to = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes
        factors, terms = lanes.load(scale, at), lanes.load(shift, at)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            found = []
            for first in (ij_at, ji_at):
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
def grad_before(
    typing_context: Any, narrow: Any, even: Any, odd: Any, messages: Any, ij_at: Any, ji_at: Any, at: Any, count: Any,
    bits: Any, scale: Any, grads: Any, grad_norm: Any,
) -> Any:  # fmt: skip
    """From gradients of S and A, rows of `even` and `odd`, to those of Y; those of scale and shift add to `grad_norm`.

    On the diagonal, where Y_ij and Y_ji are one row, half of its gradient is stored.
    """
    at_type = types.intp
    signature = types.void(
        narrow, even, odd, messages, at_type, at_type, at_type, at_type, bits, scale, grads, grad_norm
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, even, odd, messages, ij_at, ji_at, at, count, bits, scale, grads, grad_norm = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes, vectors = rows.lanes, len(rows.lanes.widths)
        factors, second = lanes.load(scale, at), builder.add(at, rows.total)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            grad_scale, grad_shift = carried[:vectors], carried[vectors:]
            plus, minus = lanes.load(even, rows.row(k)), lanes.load(odd, rows.row(k))
            for first, found in ((ij_at, lanes.add(plus, minus)), (ji_at, lanes.subtract(plus, minus))):
                target = builder.add(first, k)
                found = only(lanes, load_kept(lanes, bits, rows.bits(target)), found)
                grad_scale = lanes.fma(found, lanes.load(messages, rows.row(target)), grad_scale)
                grad_shift = lanes.add(grad_shift, found)
                scaled = [builder.fmul(a, b) for a, b in zip(found, factors, strict=True)]
                lanes.store(scaled, grads, rows.row(target))
            return grad_scale + grad_shift

        found = loop(builder, count, lanes.load(grad_norm, at) + lanes.load(grad_norm, second), body)
        lanes.store(found[:vectors], grad_norm, at)
        lanes.store(found[vectors:], grad_norm, second)
        return context.get_dummy_value()

    return signature, generate


def _before_activation(
    rows: MessageRows, values: list[Any], kept: list[Any], arriving: list[Any], grad_sums: list[Any], statistics: Any
) -> list[Any]:
    """The gradient of a row of messages before LeakyReLU, from those of the next layer, node sums and moments."""
    lanes, builder = rows.lanes, rows.builder
    constants, linear = lanes.load(statistics, rows.at), lanes.load(statistics, builder.add(rows.at, rows.total))
    found = lanes.add(lanes.fma(linear, values, constants), arriving)
    found = lanes.add(found, only(lanes, kept, grad_sums))
    return leaky_gradient(builder, found, values, lanes.spread(constant(FLOAT, 0.01)))


@intrinsic
def grad_of_pair(
    typing_context: Any, narrow: Any, messages: Any, arriving: Any, ij_at: Any, ji_at: Any, at: Any, count: Any,
    bits: Any, nodes: Any, i: Any, j: Any, statistics: Any, grad_ij: Any, grad_ji: Any, to: Any, grad_bias: Any,
) -> Any:  # fmt: skip
    """Gradients of messages (i, j), (i, j + 1), ... and of their mirror images before LeakyReLU, one block.

    `arriving` are those from the next layer, `nodes` (n, 3, C) those of node sums, `statistics` (2, C) those of the
    moments: a constant, and a factor of the message. They go to rows `to`, ... of `grad_ij` and `grad_ji`; their sum
    adds to `grad_bias` (C,).
    """
    at_type = types.intp
    signature = types.void(
        narrow, messages, arriving, at_type, at_type, at_type, at_type, bits, nodes, at_type, at_type, statistics,
        grad_ij, grad_ji, at_type, grad_bias,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, messages, arriving, ij_at, ji_at, at, count, bits, nodes, i, j, statistics, grad_ij, grad_ji, to,
         grad_bias) = pointers(context, builder, signature, arguments)  # fmt: skip
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes
        own_row, own_column = (lanes.load(nodes, rows.node(i, kind)) for kind in (ROW, COLUMN))

        def body(k: Any, total: list[Any]) -> list[Any]:
            other = builder.add(j, k)
            for first, out, own, kind in ((ij_at, grad_ij, own_row, COLUMN), (ji_at, grad_ji, own_column, ROW)):
                source = builder.add(first, k)
                found = _before_activation(
                    rows, lanes.load(messages, rows.row(source)), load_kept(lanes, bits, rows.bits(source)),
                    lanes.load(arriving, rows.row(source)), lanes.add(own, lanes.load(nodes, rows.node(other, kind))),
                    statistics,
                )  # fmt: skip
                lanes.store(found, out, rows.row(builder.add(to, k)))
                total = lanes.add(total, found)
            return total

        lanes.store(loop(builder, count, lanes.load(grad_bias, at), body), grad_bias, at)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def grad_of_self(
    typing_context: Any, narrow: Any, messages: Any, arriving: Any, source: Any, at: Any, count: Any, bits: Any,
    nodes: Any, i: Any, statistics: Any, out: Any, grad_bias: Any,
) -> Any:  # fmt: skip
    """The same for pairs (i, i), (i + 1, i + 1), ... into the first rows of `out`."""
    at_type = types.intp
    signature = types.void(
        narrow, messages, arriving, at_type, at_type, at_type, bits, nodes, at_type, statistics, out, grad_bias
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, messages, arriving, first, at, count, bits, nodes, i, statistics, out, grad_bias = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes = rows.lanes

        def body(k: Any, total: list[Any]) -> list[Any]:
            source, node = builder.add(first, k), builder.add(i, k)
            grad_sums = lanes.zeros()
            for kind in (DIAGONAL, COLUMN, ROW):
                grad_sums = lanes.add(grad_sums, lanes.load(nodes, rows.node(node, kind)))
            found = _before_activation(
                rows, lanes.load(messages, rows.row(source)), load_kept(lanes, bits, rows.bits(source)),
                lanes.load(arriving, rows.row(source)), grad_sums, statistics,
            )  # fmt: skip
            lanes.store(found, out, rows.row(k))
            return lanes.add(total, found)

        lanes.store(loop(builder, count, lanes.load(grad_bias, at), body), grad_bias, at)
        return context.get_dummy_value()

    return signature, generate
