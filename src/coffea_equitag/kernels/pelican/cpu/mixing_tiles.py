"""PELICAN's 2→2 layers on pairs as register tiles; arguments are flat for the reason in `pair_tiles`.

Tiles find the nodes of their pairs in two arrays, so that what nodes add is read where it is, not written out by pair.
"""

from __future__ import annotations

from typing import Any

from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import INDEX, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import both_rows_of, rows_of, total_of, widths_of
from .pair_tiles import places_of, summed

__all__ = ["mixed_rows", "mixed_tile", "self_tile"]


@intrinsic
def mixed_rows(typing_context: Any, channels: Any) -> Any:
    """Rows of `mixed_tile`."""
    rows = both_rows_of
    return types.intp(channels), lambda context, builder, signature, arguments: INDEX(rows(widths_of(channels)))


@intrinsic
def mixed_tile(
    typing_context: Any, wide: Any, narrow: Any, t_ij: Any, t_ji: Any, row: Any, at: Any, pairs: Any, even_at: Any,
    odd_at: Any, depth: Any, weight_even: Any, weight_odd: Any, weight_at: Any, u: Any, v: Any, own: Any, other: Any,
    pair: Any,
) -> Any:  # fmt: skip
    """T_ij = leaky(u_i + v_j + E + O), T_ji = leaky(u_j + v_i + E − O) of pairs and their mirror images, one block.

    E = S W_even and O = A W_odd are the even and the odd part, with S_ij = X_ij + X_ji and A_ij = X_ij − X_ji: half the
    work of X_ij W₁ + X_ji W₂ for both. Results go to rows `row`, ... of T from channel `at` on; `own` and `other` are
    i and j of each pair, from `pair` on.
    """
    place = types.intp
    signature = types.void(
        wide, narrow, t_ij, t_ji, place, place, pairs, place, place, place, weight_even, weight_odd, place, u, v, own,
        other, place,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, _, t_ij, t_ji, row, at, pairs, even_at, odd_at, depth, weight_even, weight_odd, weight_at, u, v, own, other,
         pair) = pointers(context, builder, signature, arguments)  # fmt: skip
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))
        rows, vectors = both_rows_of(lanes.widths), len(lanes.widths)
        parts = [
            (weight, places_of(builder, source, INDEX(total_of(narrow)), rows))
            for weight, source in ((weight_even, even_at), (weight_odd, odd_at))
        ]

        def body(k: Any, flat: list[Any]) -> list[Any]:
            place = builder.add(weight_at, builder.mul(k, INDEX(lanes.block)))
            out: list[Any] = []
            for weight, sources in parts:
                values = lanes.load(weight, place)
                for source in sources:
                    number = lanes.spread(builder.load(builder.gep(pairs, [builder.add(source, k)])))
                    out += lanes.fma(number, values, flat[len(out) : len(out) + vectors])
            return out

        flat = loop(builder, depth, lanes.zeros() * (2 * rows), body)

        def of_node(terms: Any, nodes: Any, r: int) -> list[Any]:
            node = builder.load(builder.gep(nodes, [builder.add(pair, INDEX(r))]))
            return lanes.load(terms, builder.add(builder.mul(node, stride), at))

        for r, target in enumerate(places_of(builder, builder.add(builder.mul(row, stride), at), stride, rows)):
            even, odd = (flat[(first + r) * vectors : (first + r + 1) * vectors] for first in (0, rows))
            start = lanes.add(of_node(u, own, r), of_node(v, other, r))
            lanes.store(lanes.leaky(lanes.add(lanes.add(start, even), odd)), t_ij, target)
            start = lanes.add(of_node(u, other, r), of_node(v, own, r))
            lanes.store(lanes.leaky(lanes.subtract(lanes.add(start, even), odd)), t_ji, target)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def self_tile(
    typing_context: Any, wide: Any, narrow: Any, t_ii: Any, row: Any, at: Any, pairs: Any, even_at: Any, depth: Any,
    weight: Any, weight_at: Any, u: Any, v: Any, d: Any, node: Any,
) -> Any:  # fmt: skip
    """The same on the diagonal, T_ii = leaky(u_i + v_i + d_i + S W_even), for nodes from `node` on."""
    place = types.intp
    signature = types.void(
        wide, narrow, t_ii, place, place, pairs, place, place, weight, place, u, v, d, place
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, _, t_ii, row, at, pairs, even_at, depth, weight, weight_at, u, v, d, node = pointers(
            context, builder, signature, arguments
        )
        lanes, stride = Lanes(builder, widths_of(wide)), INDEX(total_of(wide))
        rows = rows_of(lanes.widths)
        places, targets = (
            places_of(builder, builder.add(builder.mul(first, stride), at), stride, rows) for first in (node, row)
        )
        starts = [
            lanes.add(lanes.add(lanes.load(u, place), lanes.load(v, place)), lanes.load(d, place)) for place in places
        ]
        sums = summed(
            lanes, starts, pairs, places_of(builder, even_at, INDEX(total_of(narrow)), rows), INDEX(1), weight,
            weight_at, INDEX(lanes.block), depth,
        )  # fmt: skip
        for values, target in zip(sums, targets, strict=True):
            lanes.store(lanes.leaky(values), t_ii, target)
        return context.get_dummy_value()

    return signature, generate
