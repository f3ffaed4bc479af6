"""Rows of PELICAN's nodes in registers: aggregates from sums; arguments are flat for the reason in `pair_tiles`."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ...common.cpu.llvm import DOUBLE, FLOAT, loop, pointers
from ...common.cpu.vector_rows import Lanes
from .channel_blocks import widths_of

__all__ = ["aggregate_rows"]


@intrinsic
def aggregate_rows(
    typing_context: Any, narrow: Any, source: Any, source_at: Any, source_step: Any, factor: Any, term: Any, at: Any,
    count: Any, weights: Any, out: Any, out_at: Any, out_step: Any, total: Any, total_at: Any,
) -> Any:  # fmt: skip
    """One block of `count` nodes: factor · source + term in float64, which goes to `out` in float32.

    Their sum with the nodes' weights adds to `total`. `source` is float32 or float64.
    """
    place = types.intp
    signature = types.void(
        narrow, source, place, place, factor, term, place, place, weights, out, place, place, total, place
    )

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        (_, source, source_at, source_step, factor, term, at, count, weights, out, out_at, out_step, total,
         total_at) = pointers(context, builder, signature, arguments)  # fmt: skip
        single, double = Lanes(builder, widths_of(narrow)), Lanes(builder, widths_of(narrow), DOUBLE)
        factors, terms = double.load(factor, at), double.load(term, at)

        def body(k: Any, sums: list[Any]) -> list[Any]:
            place = builder.add(source_at, builder.mul(k, source_step))
            single_source = source.type.pointee == FLOAT
            values = single.widened(single.load(source, place)) if single_source else double.load(source, place)
            values = double.fma(factors, values, terms)
            rounded = [builder.fptrunc(x, ir.VectorType(FLOAT, x.type.count)) for x in values]
            single.store(rounded, out, builder.add(out_at, builder.mul(k, out_step)))
            return double.fma(double.spread(builder.load(builder.gep(weights, [k]))), values, sums)

        double.store(loop(builder, count, double.load(total, total_at), body), total, total_at)
        return context.get_dummy_value()

    return signature, generate
