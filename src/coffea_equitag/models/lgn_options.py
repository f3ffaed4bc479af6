"""What LGN's options mean level by level, and which of them cannot be."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import TaggerError, explain
from ..layers.lorentz_tensors import IRREPS

__all__ = ["KEPT", "check_levels", "check_vectors", "for_each"]

#: Tensors kept for each `maxdim`: irreps (k, n) with k and n below it.
KEPT: dict[int, tuple[str, ...]] = {1: ("s",), 2: ("s", "v"), 3: IRREPS}


def for_each(values: Sequence[int] | int, count: int) -> list[int]:
    """One value for all, or a list whose last value is repeated."""
    given = [values] if isinstance(values, int) else list(values)
    return (given + given[-1:] * count)[:count]


def check_levels(levels: int, channels: Sequence[int], dims: Sequence[int]) -> None:
    """Raise a `TaggerError` for levels, channels and highest ranks that cannot be."""
    if levels < 1 or len(channels) != levels + 1 or min(channels) < 1:
        raise TaggerError(
            explain(
                f"levels = {levels}, channels = {tuple(channels)}",
                "at least one level and positive channels, one more than levels",
                "use levels=3, channels=(2, 3, 4, 3) as in the paper",
            )
        )
    if len(dims) != levels or not set(dims) <= set(KEPT):
        raise TaggerError(
            explain(
                f"maxdim = {tuple(dims)}",
                "1 (scalars), 2 (and vectors) or 3 (and tensors of rank 2) for each level",
                "use maxdim=3 as in the paper: tensors of higher rank are not implemented",
            )
        )


def check_vectors(vectors: int) -> None:
    """Raise a `TaggerError` for a momentum to be made of no vectors."""
    if vectors == 0:
        raise TaggerError(
            explain("output = 'momentum' without any vector", "a level with maxdim = 2 or 3", "use maxdim=3, or pmu_in")
        )
