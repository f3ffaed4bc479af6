"""Tuples of arrays, reached by their addresses."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from coffea_equitag.compiled import njit
from coffea_equitag.kernels.lgn.cpu.tuple_table import member, table_of


class Inner(NamedTuple):
    """One array."""

    counts: np.ndarray[Any, np.dtype[np.int64]]


class Member(NamedTuple):
    """Arrays of several types and shapes."""

    numbers: np.ndarray[Any, np.dtype[np.float32]]
    inner: Inner
    matrix: np.ndarray[Any, np.dtype[np.float64]]
    cube: np.ndarray[Any, np.dtype[np.float64]]


@njit
def _summary(example: Member, table: Any, index: int) -> Any:  # pragma: no cover
    found = member(example, table, index)
    cube, total = found.cube, 0.0
    for i in range(cube.shape[0]):
        for j in range(cube.shape[1]):
            for k in range(cube.shape[2]):
                total += cube[i, j, k] * (1 + i + 10 * j + 100 * k)
    return len(found.numbers), found.numbers.sum(), found.inner.counts[-1], found.matrix[1, 0], found.matrix.size, total


def _members() -> list[Member]:
    rng = np.random.default_rng(1)
    return [
        Member(
            rng.random(3 + n).astype(np.float32),
            Inner(np.arange(4 + n)),
            rng.random((2 + n, 3)),
            rng.random((2, 3 + n, 2)),
        )
        for n in range(3)
    ]


def test_each_is_found() -> None:
    members = _members()
    table = table_of(members)
    for index, one in enumerate(members):
        weight = sum(f * np.arange(n).reshape(s) for f, n, s in zip(
            (1, 10, 100), one.cube.shape, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True
        ))  # fmt: skip
        expected = (
            len(one.numbers), one.numbers.sum(), 3 + index, one.matrix[1, 0], one.matrix.size,
            (one.cube * (1 + weight)).sum(),
        )  # fmt: skip
        assert _summary(members[0], table, index) == pytest.approx(expected)


@pytest.mark.parametrize("change", ["dtype", "order"])
def test_other_types_are_refused(change: str) -> None:
    members = _members()
    matrix = members[1].matrix
    members[1] = members[1]._replace(matrix=matrix.astype(np.float32) if change == "dtype" else matrix.T)
    with pytest.raises(TypeError, match="not contiguous"):
        table_of(members)
