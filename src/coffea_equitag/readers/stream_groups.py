"""Row groups of Parquet files, clusters of ROOT files: the rows that are read together, each once per epoch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..array_types import I8
from .checked_parquet import opened
from .datasets import layouts
from .root import open_tree

__all__ = ["RowGroup", "row_groups"]

#: Rows read together from files that have no parts of their own.
_ROWS = 10_000


class RowGroup(NamedTuple):
    """Rows of a file that are read together.

    Attributes
    ----------
    file : Path
        The file.
    number : int
        Of the row group in the file.
    start, stop : int
        Its rows.
    """

    file: Path
    number: int
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.file}, rows {self.start} to {self.stop - 1}"


def row_groups(file: Path, tree: str, most: int) -> list[RowGroup]:
    """The row groups of a file; those without rows are left out.

    Parameters
    ----------
    file : Path
        The file.
    tree : str
        ROOT: name of the tree.
    most : int
        Rows of the largest group. Larger clusters are cut; the row groups of Parquet are left whole, as they are read
        in pieces.
    """
    suffix = file.suffix.lower()
    if suffix == ".root":
        bounds = _cut(_clusters(file, tree), most)
    elif suffix in layouts.SUFFIXES:
        # of an npz file all is read at once
        rows = layouts.num_rows(file)
        bounds = _cut(np.asarray([0, rows]), rows if suffix == ".npz" else min(most, _ROWS))
    else:
        with opened(file) as parquet:
            metadata = parquet.metadata
            sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    pairs = enumerate(pairwise(bounds.tolist()))
    return [RowGroup(file, number, start, stop) for number, (start, stop) in pairs if start < stop]


def _clusters(file: Path, tree: str) -> I8:
    """Entries at which clusters begin, and the end: where all branches begin a new basket, or the finest have one."""
    with open_tree(file, tree) as events:
        if hasattr(events, "cluster_summaries"):
            return np.asarray([c.num_first_entry for c in events.cluster_summaries] + [events.num_entries], np.int64)
        return np.asarray(events.common_entry_offsets(), dtype=np.int64)


def _cut(bounds: Any, most: int) -> I8:
    """Boundaries with further ones between, so that no range is longer than `most`, and those of a range are alike."""
    found = [np.zeros(1, dtype=np.int64)]
    for start, stop in pairwise(bounds):
        parts = max(1, -(-int(stop - start) // max(1, most)))
        found.append(start + np.arange(1, parts + 1) * (stop - start) // parts)
    return np.concatenate(found).astype(np.int64)
