"""The tiles that fit this CPU's vector registers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import llvmlite.binding
import numba

__all__ = [
    "BF16_HALF",
    "FIRST_CACHE",
    "HAS_BF16",
    "NARROW",
    "NARROW_BLOCK",
    "NARROW_ROWS",
    "SUPPORTED",
    "WIDE",
    "WIDE_BLOCK",
    "WIDE_ROWS",
    "Shape",
    "block_for",
    "shapes_for",
]


@dataclass(frozen=True)
class Shape:
    """Rows of a tile, and the lengths of the vectors (floats) its block of columns is made of."""

    rows: int
    widths: tuple[int, ...]

    @property
    def block(self) -> int:
        """Columns."""
        return sum(self.widths)


def shapes_for(features: set[str]) -> tuple[Shape, Shape] | None:
    """The tiles that fit a CPU's registers, a wide one and one of 16 columns; None without fused multiply-add.

    72 columns, the width of LorentzNet, are whole wide blocks.
    """
    if "avx512f" in features:
        return Shape(5, (16, 16, 16, 16, 8)), Shape(10, (16,))
    if "avx2" in features and "fma" in features:
        return Shape(4, (8, 8, 8)), Shape(5, (8, 8))
    if "neon" in features or "fp-armv8" in features:
        return Shape(4, (4,) * 6), Shape(5, (4,) * 4)
    return None


def _cpu_features() -> set[str]:
    """What numba compiles for: the host, unless NUMBA_CPU_NAME or NUMBA_CPU_FEATURES say otherwise."""
    if numba.config.CPU_FEATURES is not None:
        return {name[1:] for name in numba.config.CPU_FEATURES.split(",") if name.startswith("+")}
    if numba.config.CPU_NAME is not None:
        return set()
    return {name for name, present in llvmlite.binding.get_host_cpu_features().items() if present}


def _first_cache() -> int:
    """Bytes of a core's first data cache; 32 kB, what all these CPUs have at least, where the system does not tell."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            level, kind, size = ((folder / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            continue
        if level == "1" and kind != "Instruction" and size.endswith("K"):
            return 1024 * int(size[:-1])
    return 32 * 1024


_FEATURES = _cpu_features()
_FOUND = shapes_for(_FEATURES)
#: Whether it multiplies pairs of bf16 numbers, in vectors of AVX-512's lengths.
HAS_BF16 = {"avx512f", "avx512vl", "avx512bf16"} <= _FEATURES
#: For these, one more tile: rows of 32 columns, which float32 computes as two narrow ones.
BF16_HALF = Shape(8, (16, 16))
#: Whether this CPU has vectors to make tiles of.
SUPPORTED = _FOUND is not None
FIRST_CACHE = _first_cache()
#: The two tiles.
WIDE, NARROW = _FOUND or (Shape(4, (4,) * 6), Shape(5, (4,) * 4))
#: Their columns and rows.
WIDE_BLOCK, WIDE_ROWS, NARROW_BLOCK, NARROW_ROWS = WIDE.block, WIDE.rows, NARROW.block, NARROW.rows


def block_for(hidden: int, blocks: tuple[int, ...] = (WIDE_BLOCK, NARROW_BLOCK)) -> int:
    """Columns of the tile, of those that there are, that wastes fewest lanes on this many channels."""
    return min(blocks, key=lambda block: -(-hidden // block) * block)
