"""bf16, the first 16 bits of a float32: pairs of numbers multiplied by one instruction of CPUs with AVX512-BF16.

A row of x is stored as bf16 numbers, one after the other; a matrix as pairs of its rows, so that a lane has both
numbers of a column. Sums x₀ w₀ + x₁ w₁ + before are float32; denormals count as 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba.core import cgutils

from ....array_types import F8, I4
from .aligned import aligned
from .llvm import INT, WORD

__all__ = ["PAIR", "add_pair_products", "pairs_of", "rounded"]

#: Two bf16 numbers.
PAIR = INT


class _Bf16(ir.types.Type):
    """LLVM's type, which llvmlite lacks."""

    def _to_string(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bf16)

    def __hash__(self) -> int:
        return hash(_Bf16)


_BF16 = _Bf16()


def rounded(builder: Any, values: Any) -> Any:
    """A vector of float32 numbers as bf16, to nearest even, in words of 16 bits. NaN stays NaN."""
    count = values.type.count
    return builder.bitcast(builder.fptrunc(values, ir.VectorType(_BF16, count)), ir.VectorType(WORD, count))


def add_pair_products(builder: Any, a: Any, b: Any, total: Any) -> Any:
    """Lane by lane, the sum of `total` and the products of both numbers of `a` and `b`, vectors of pairs."""
    count = total.type.count
    numbers = ir.VectorType(_BF16, 2 * count)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(total.type, [total.type, numbers, numbers]),
        f"llvm.x86.avx512bf16.dpbf16ps.{32 * count}",
    )
    return builder.call(function, [total, builder.bitcast(a, numbers), builder.bitcast(b, numbers)])


def pairs_of(matrices: F8) -> I4:
    """Matrices (..., K, M) as pairs of rows (..., ⌈K / 2⌉, M), rounded to bf16; after an odd K comes a row of zeros."""
    depth = matrices.shape[-2]
    even = np.pad(matrices, [(0, 0)] * (matrices.ndim - 2) + [(0, depth % 2), (0, 0)])
    words = torch.from_numpy(even).to(torch.bfloat16).view(torch.int16).numpy()
    pairs = np.ascontiguousarray(np.stack([words[..., 0::2, :], words[..., 1::2, :]], axis=-1))
    found: I4 = aligned(pairs.view(np.int32)[..., 0], np.int32)
    return found
