"""Peak performance of one core, from fused multiply-adds on registers."""

from __future__ import annotations

import time
from typing import Any

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..compiled import njit

__all__ = ["measured_peak"]

#: Number of independent sums, enough to hide the latency of a fused multiply-add.
_SUMS = 12


def measured_peak(tries: int = 3) -> float:
    """FLOP/s of float32 fused multiply-adds on one core of this machine, the best of a few tries."""
    times, best = 2_000_000, 0.0
    _repeat(1, np.float32(0.5))
    for _ in range(tries):
        start = time.process_time()  # CPU time, as for the networks: other processes do not count
        _, flops = _repeat(times, np.float32(0.5))
        best = max(best, times * flops / (time.process_time() - start))
    return best


@intrinsic
def _multiply_add(typing_context: Any, times: Any, number: Any) -> Any:
    width = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        times, number = arguments
        vector, lane = ir.VectorType(ir.FloatType(), width), ir.IntType(32)
        name = f"llvm.fma.v{width}f32"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        empty = ir.Constant(vector, ir.Undefined)
        spread = builder.insert_element(empty, number, lane(0))
        spread = builder.shuffle_vector(spread, empty, ir.Constant(ir.VectorType(lane, width), [0] * width))
        before, loop, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.branch(loop)
        builder.position_at_end(loop)
        k = builder.phi(times.type)
        sums = [builder.phi(vector) for _ in range(_SUMS)]
        found = [builder.call(fma, [value, spread, spread]) for value in sums]
        following = builder.add(k, times.type(1))
        k.add_incoming(times.type(0), before)
        k.add_incoming(following, loop)
        for s, (phi, value) in enumerate(zip(sums, found, strict=True)):
            phi.add_incoming(ir.Constant(vector, [float(s)] * width), before)
            phi.add_incoming(value, loop)
        builder.cbranch(builder.icmp_signed("<", following, times), loop, after)
        builder.position_at_end(after)
        total = found[0]
        for value in found[1:]:
            total = builder.fadd(total, value)
        # returning the sum keeps the compiler from removing the loop
        return context.make_tuple(
            builder,
            signature.return_type,
            [builder.extract_element(total, lane(0)), ir.FloatType()(float(2 * _SUMS * width))],
        )

    return types.Tuple((types.float32, types.float32))(types.intp, types.float32), generate


@njit
def _repeat(times: int, number: np.float32) -> tuple[float, float]:
    """Multiply and add `times` times; return a sum, and the number of operations per repetition."""
    return _multiply_add(times, number)  # type: ignore[no-any-return]
