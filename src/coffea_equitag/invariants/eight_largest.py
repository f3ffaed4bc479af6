"""The largest numbers of eight columns of a matrix, in one pass over its rows, in the registers' lanes."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from .lanes import EIGHT

__all__ = ["eight_largest"]

_LANE, _INDEX = ir.IntType(32), ir.IntType(64)
_NUMBERS, _PLACES = ir.VectorType(ir.DoubleType(), EIGHT), ir.VectorType(_INDEX, EIGHT)


@intrinsic
def eight_largest(
    typing_context: Any, matrix: Any, column: Any, rows: Any, stride: Any, numbers: Any, places: Any
) -> Any:
    """Write the nine largest numbers of columns ``column:column + 8`` and the rows of the first eight of them.

    matrix : float64, of so many rows ≥ 1, `stride` numbers each. numbers (9, 8) and places (8, 8) begin with the
    largest; of equal numbers the first comes first, NaN never comes. Where there are too few, numbers are −∞.
    """
    signature = types.void(matrix, types.intp, types.intp, types.intp, numbers, places)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        matrix, column, rows, stride, numbers, places = (
            context.make_array(kind)(context, builder, value).data if isinstance(kind, types.Array) else value
            for kind, value in zip(signature.args, arguments, strict=True)
        )
        before, inside, after = builder.block, builder.append_basic_block("row"), builder.append_basic_block("done")
        builder.branch(inside)
        builder.position_at_end(inside)
        row = builder.phi(_INDEX)
        largest, found = [builder.phi(_NUMBERS) for _ in range(EIGHT + 1)], [builder.phi(_PLACES) for _ in range(EIGHT)]
        at = builder.gep(matrix, [builder.add(column, builder.mul(row, stride))])
        value = builder.load(builder.bitcast(at, _NUMBERS.as_pointer()), align=8)
        place = builder.insert_element(ir.Constant(_PLACES, ir.Undefined), row, _LANE(0))
        place = builder.shuffle_vector(place, place, ir.Constant(ir.VectorType(_LANE, EIGHT), [0] * EIGHT))
        larger = [builder.fcmp_ordered(">", value, one) for one in largest]

        def inserted(new: Any, old: list[Any]) -> list[Any]:
            """What is smaller than the new number moves down by one."""
            first = builder.select(larger[0], new, old[0])
            rest = [builder.select(larger[k], new, old[k]) for k in range(1, len(old))]
            return [first, *(builder.select(larger[k], old[k], one) for k, one in enumerate(rest))]

        now, now_at = inserted(value, largest), inserted(place, found)
        following = builder.add(row, _INDEX(1))
        nothing, nowhere = ir.Constant(_NUMBERS, [-math.inf] * EIGHT), ir.Constant(_PLACES, [0] * EIGHT)
        starts = [_INDEX(0), *[nothing] * (EIGHT + 1), *[nowhere] * EIGHT]
        for phi, start, end in zip([row, *largest, *found], starts, [following, *now, *now_at], strict=True):
            phi.add_incoming(start, before)
            phi.add_incoming(end, inside)
        builder.cbranch(builder.icmp_signed("<", following, rows), inside, after)
        builder.position_at_end(after)
        for pointer, kind, values in ((numbers, _NUMBERS, now), (places, _PLACES, now_at)):
            for k, vector in enumerate(values):
                target = builder.gep(pointer, [_INDEX(EIGHT * k)])
                builder.store(vector, builder.bitcast(target, kind.as_pointer()), align=8)
        return context.get_dummy_value()

    return signature, generate
