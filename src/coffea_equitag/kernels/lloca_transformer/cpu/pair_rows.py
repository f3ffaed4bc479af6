"""Rows of the perceptron of pairs: what enters its hidden layers, and its three logits; a register at a time."""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.activations import gelu
from ...common.cpu.llvm import INDEX, fma, lane_sum, loop, pointers
from ...common.cpu.shapes import WIDE
from ...common.cpu.vector_rows import Lanes

__all__ = ["LOGIT_ROWS", "TILE", "first_rows", "logit_rows"]

#: Columns that are worked on at once; rows are whole tiles wide.
TILE = 32
#: Rows whose logits are made at once: some beyond the last are read and written.
LOGIT_ROWS = 4
_LANE = WIDE.widths[0]
_LOGITS = 3


@intrinsic
def first_rows(
    typing_context: Any, received: Any, i_at: Any, sent: Any, sent_at: Any, of_edge: Any, edges: Any, at: Any,
    count: Any, width: Any, out: Any, out_at: Any,
) -> Any:  # fmt: skip
    """GELU(received_i + sent_j + e_ij w) of consecutive j, one row of `width` numbers each; e_ij from edges[at] on."""
    n = types.intp
    signature = types.void(received, n, sent, n, of_edge, edges, n, n, n, out, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        received, i_at, sent, sent_at, of_edge, edges, at, count, width, out, out_at = pointers(
            context, builder, signature, arguments
        )
        lanes = Lanes(builder, [_LANE] * (TILE // _LANE))

        def columns(tile: Any, _: list[Any]) -> list[Any]:
            column = builder.mul(tile, INDEX(TILE))
            own, weight = lanes.load(received, builder.add(i_at, column)), lanes.load(of_edge, column)

            def one(row: Any, _: list[Any]) -> list[Any]:
                place = builder.add(builder.mul(row, width), column)
                edge = builder.load(builder.gep(edges, [builder.add(at, row)]), align=4)
                value = lanes.add(own, lanes.load(sent, builder.add(sent_at, place)))
                value = lanes.fma(lanes.spread(edge), weight, value)
                lanes.store([gelu(builder, vector) for vector in value], out, builder.add(out_at, place))
                return []

            loop(builder, count, [], one)
            return []

        loop(builder, builder.udiv(width, INDEX(TILE)), [], columns)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def logit_rows(
    typing_context: Any, z: Any, weight: Any, bias: Any, count: Any, width: Any, out: Any, out_at: Any, stride: Any
) -> Any:
    """W GELU(z) + b of rows of `width` numbers: a plane of logits, a `stride` long, for each of the rows of W."""
    n = types.intp
    signature = types.void(z, weight, bias, n, n, out, n, n)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        z, weight, bias, count, width, out, out_at, stride = pointers(context, builder, signature, arguments)
        lanes, rows = Lanes(builder, [_LANE]), range(LOGIT_ROWS)
        begin = [builder.load(builder.gep(bias, [INDEX(c)]), align=4) for c in range(_LOGITS)]

        def some(group: Any, _: list[Any]) -> list[Any]:
            first = builder.mul(group, INDEX(LOGIT_ROWS))
            places = [builder.mul(builder.add(first, INDEX(r)), width) for r in rows]

            def add(k: Any, sums: list[Any]) -> list[Any]:
                column, found = builder.mul(k, INDEX(_LANE)), []
                weights = [
                    lanes.load(weight, builder.add(builder.mul(width, INDEX(c)), column))[0] for c in range(_LOGITS)
                ]
                values = [gelu(builder, lanes.load(z, builder.add(place, column))[0]) for place in places]
                for r in rows:
                    found += [fma(builder, values[r], weights[c], sums[_LOGITS * r + c]) for c in range(_LOGITS)]
                return found

            sums = loop(builder, builder.udiv(width, INDEX(_LANE)), lanes.zeros() * (_LOGITS * LOGIT_ROWS), add)
            for r in rows:
                for c in range(_LOGITS):
                    value = builder.fadd(lane_sum(builder, {_LANE: sums[_LOGITS * r + c]}), begin[c])
                    place = builder.add(
                        builder.add(out_at, builder.mul(stride, INDEX(c))), builder.add(first, INDEX(r))
                    )
                    builder.store(value, builder.gep(out, [place]), align=4)
            return []

        groups = builder.udiv(builder.add(count, INDEX(LOGIT_ROWS - 1)), INDEX(LOGIT_ROWS))
        loop(builder, groups, [], some)
        return context.get_dummy_value()

    return signature, generate
