"""Products of float32 matrices in TF32 as one sum of three, where Triton makes two: of numbers split in two."""

from __future__ import annotations

import triton
import triton.language as tl

from .arithmetic import product

__all__ = ["halves", "product_of_halves", "split_product"]


@triton.jit
def split_product(x: tl.tensor, weight: tl.tensor, total: tl.tensor, PRECISION: tl.constexpr) -> tl.tensor:
    """The sum total + x · weight."""
    return product_of_halves(*halves(x, PRECISION), *halves(weight, PRECISION), total, PRECISION)


@triton.jit
def product_of_halves(
    high_x: tl.tensor,
    low_x: tl.tensor,
    high_y: tl.tensor,
    low_y: tl.tensor,
    total: tl.tensor,
    PRECISION: tl.constexpr,
) -> tl.tensor:
    """The sum total + x · y of what `halves` gives."""
    if PRECISION == "tf32x3":
        total = product(low_x, high_y, total, "tf32")
        total = product(high_x, low_y, total, "tf32")
        return product(high_x, high_y, total, "tf32")
    else:  # noqa: RET505 (Triton would compile what follows an if, too)
        return product(high_x, high_y, total, PRECISION)


@triton.jit
def halves(x: tl.tensor, PRECISION: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """The nearest number that TF32 has, and what is left; or x itself where nothing is to be split."""
    if PRECISION == "tf32x3":
        bits = x.to(tl.int32, bitcast=True) + 0x1000
        high = (bits & -0x2000).to(tl.float32, bitcast=True)
        return high, x - high
    else:  # noqa: RET505 (Triton would compile what follows an if, too)
        return x, x
