"""Storing messages in training: with dropout's bits, their sums over nodes, and BatchNorm's moments.

Arguments are flat for the reason in `pair_tiles`; `keep_pair` has the most, 20, since one pass over a message in
registers writes it, its bits, two nodes' sums and counts, and the moments.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import DOUBLE, constant, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .dropout_bits import drop_hash, hashed_kept, only, store_kept
from .message_rows import COLUMN, DIAGONAL, ROW, MessageRows

__all__ = ["keep_pair", "keep_self"]


def _ones(lanes: Lanes) -> list[Any]:
    return lanes.spread(constant(lanes.element, 1.0))


@intrinsic
def keep_pair(
    typing_context: Any, narrow: Any, y_ij: Any, y_ji: Any, at: Any, first: Any, count: Any, messages: Any, ij_to: Any,
    ji_to: Any, bits: Any, sums: Any, counts: Any, moments: Any, i: Any, j: Any, key: Any, pair: Any, image: Any,
    step: Any, threshold: Any,
) -> Any:  # fmt: skip
    """Store messages of pairs (i, j), (i, j + 1), ... and of their mirror images, one block of channels.

    From row `first` of `y_ij` and `y_ji` on they go to rows `ij_to` and `ji_to` of `messages` and, after dropout but
    before BatchNorm, into the nodes' `sums` (n, 3, C) in float64; `counts` are how many were summed, `moments` (2, C)
    the sums of all messages and of their squares. `pair`, and `image` in steps of `step`, are the pairs' numbers for
    dropout's hash.
    """
    at_type = types.intp
    signature = types.void(
        narrow, y_ij, y_ji, at_type, at_type, at_type, messages, at_type, at_type, bits, sums, counts, moments, at_type,
        at_type, types.uint64, at_type, at_type, at_type, types.uint32,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, y_ij, y_ji, at, first, count, messages, ij_to, ji_to, bits, sums, counts, moments, i, j, key, pair, image,
         step, threshold) = pointers(context, builder, signature, arguments)  # fmt: skip
        rows = MessageRows(builder, narrow, at)
        lanes, double = rows.lanes, Lanes(builder, rows.lanes.widths, DOUBLE)
        vectors, ones = len(lanes.widths), _ones(lanes)
        carried = [
            *double.load(sums, rows.node(i, ROW)), *double.load(sums, rows.node(i, COLUMN)),
            *lanes.load(counts, rows.node(i, ROW)), *lanes.load(counts, rows.node(i, COLUMN)),
            *lanes.load(moments, at), *lanes.load(moments, builder.add(at, rows.total)),
        ]  # fmt: skip

        def body(k: Any, carried: list[Any]) -> list[Any]:
            parts = [carried[p * vectors : (p + 1) * vectors] for p in range(6)]
            other = builder.add(j, k)
            numbers = (builder.add(pair, k), builder.add(image, builder.mul(step, k)))
            sides = ((y_ij, ij_to, numbers[0], COLUMN), (y_ji, ji_to, numbers[1], ROW))
            for side, (source, to, number, kind) in enumerate(sides):
                values = lanes.load(source, rows.row(builder.add(first, k)))
                target = builder.add(to, k)
                lanes.store(values, messages, rows.row(target))
                kept = hashed_kept(lanes, drop_hash(builder, key, number), at, threshold)
                store_kept(lanes, kept, bits, rows.bits(target))
                found, one = lanes.widened(only(lanes, kept, values)), only(lanes, kept, ones)
                place = rows.node(other, kind)
                double.store(double.add(double.load(sums, place), found), sums, place)
                lanes.store(lanes.add(lanes.load(counts, place), one), counts, place)
                parts[side] = double.add(parts[side], found)
                parts[2 + side] = lanes.add(parts[2 + side], one)
                parts[4] = lanes.add(parts[4], values)
                parts[5] = lanes.fma(values, values, parts[5])
            return [value for part in parts for value in part]

        found = loop(builder, count, carried, body)
        parts = [found[p * vectors : (p + 1) * vectors] for p in range(6)]
        for part, kind in ((0, ROW), (1, COLUMN)):
            double.store(parts[part], sums, rows.node(i, kind))
            lanes.store(parts[2 + part], counts, rows.node(i, kind))
        lanes.store(parts[4], moments, at)
        lanes.store(parts[5], moments, builder.add(at, rows.total))
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def keep_self(
    typing_context: Any, narrow: Any, y_ii: Any, at: Any, count: Any, messages: Any, to: Any, bits: Any, sums: Any,
    counts: Any, moments: Any, i: Any, key: Any, pair: Any, step: Any, threshold: Any,
) -> Any:  # fmt: skip
    """The same for pairs (i, i), (i + 1, i + 1), ... from the first row of `y_ii` on."""
    at_type = types.intp
    signature = types.void(
        narrow, y_ii, at_type, at_type, messages, at_type, bits, sums, counts, moments, at_type, types.uint64, at_type,
        at_type, types.uint32,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, y_ii, at, count, messages, to, bits, sums, counts, moments, i, key, pair, step, threshold = pointers(
            context, builder, signature, arguments
        )
        rows = MessageRows(builder, narrow, at)
        lanes, double = rows.lanes, Lanes(builder, rows.lanes.widths, DOUBLE)
        ones, vectors = _ones(lanes), len(rows.lanes.widths)

        def body(k: Any, carried: list[Any]) -> list[Any]:
            values, target = lanes.load(y_ii, rows.row(k)), builder.add(to, k)
            lanes.store(values, messages, rows.row(target))
            hashed = drop_hash(builder, key, builder.add(pair, builder.mul(step, k)))
            kept = hashed_kept(lanes, hashed, at, threshold)
            store_kept(lanes, kept, bits, rows.bits(target))
            found, one = lanes.widened(only(lanes, kept, values)), only(lanes, kept, ones)
            for kind in (DIAGONAL, COLUMN, ROW):
                place = rows.node(builder.add(i, k), kind)
                double.store(double.add(double.load(sums, place), found), sums, place)
                lanes.store(lanes.add(lanes.load(counts, place), one), counts, place)
            return lanes.add(carried[:vectors], values) + lanes.fma(values, values, carried[vectors:])

        second = builder.add(at, rows.total)
        found = loop(builder, count, lanes.load(moments, at) + lanes.load(moments, second), body)
        lanes.store(found[:vectors], moments, at)
        lanes.store(found[vectors:], moments, second)
        return context.get_dummy_value()

    return signature, generate
