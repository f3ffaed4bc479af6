"""Sums over the numbers of a row, in a fixed order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types
from numba.core.types.containers import UniTuple
from numba.extending import intrinsic

from ....array_types import F4
from ....compiled import inner
from ...common.cpu.llvm import FLOAT, INDEX, lane_sum, loop, pointers
from ...common.cpu.shapes import WIDE
from ...common.cpu.vector_rows import Lanes

__all__ = ["LANE", "dot_about", "whole_vectors"]

#: Numbers in a register.
LANE = WIDE.widths[0]


@inner
def dot_about(a: F4, b: F4, centre: np.float32) -> tuple[np.float32, np.float32]:
    """Σ a and Σ a (b − centre) of two contiguous rows of one length."""
    whole = len(a) // LANE
    total, product = _totals(a, b, whole, centre)
    for c in range(whole * LANE, len(a)):
        total += a[c]
        product += a[c] * (b[c] - centre)
    return total, product


@inner
def whole_vectors(width: int) -> int:
    """The next multiple of a register's numbers."""
    return -(-width // LANE) * LANE


@intrinsic
def _totals(typing_context: Any, a: Any, b: Any, vectors: Any, centre: Any) -> Any:
    """The same over whole registers."""
    pair = UniTuple(types.float32, 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b, vectors, centre = pointers(context, builder, signature, arguments)
        lanes = Lanes(builder, [LANE])
        middle = lanes.spread(centre)

        def body(k: Any, sums: list[Any]) -> list[Any]:
            at = builder.mul(k, INDEX(LANE))
            one, other = lanes.load(a, at), lanes.subtract(lanes.load(b, at), middle)
            return [*lanes.add(sums[:1], one), *lanes.fma(one, other, sums[1:])]

        sums = loop(builder, vectors, [*lanes.zeros(), *lanes.zeros()], body)
        totals = [builder.fadd(FLOAT(0.0), lane_sum(builder, {LANE: value})) for value in sums]
        return context.make_tuple(builder, pair, totals)

    return pair(a, b, types.intp, types.float32), generate
