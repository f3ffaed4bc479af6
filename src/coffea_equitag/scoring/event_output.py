"""A file of events with scores while it is written, in any of the formats."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import awkward as ak
import numpy as np
import pyarrow.parquet
import uproot

from ..errors import JetError, explain
from .branches import BranchLayout
from .ntuple_writer import NTupleWriter
from .options import ScoringOptions
from .other_objects import OtherObjects
from .parquet_writer import ParquetWriter
from .tree_writer import TreeWriter

__all__ = ["EventOutput", "check_written", "open_output"]


class _Writer(Protocol):
    def extend(self, arrays: Mapping[str, ak.Array]) -> None: ...


class EventOutput:
    """Events that are being written.

    Parameters
    ----------
    writer : TreeWriter, NTupleWriter or ParquetWriter
        Writes the events.
    others : OtherObjects
        Copies the rest of the sources.
    keeps_missing : bool
        Whether the format has missing values; elsewhere they are NaN.
    """

    def __init__(self, writer: _Writer, others: OtherObjects, *, keeps_missing: bool) -> None:
        self._writer, self.others, self._keeps_missing = writer, others, keeps_missing

    def extend(self, arrays: Mapping[str, ak.Array], scores: Mapping[str, ak.Array]) -> None:
        """Append events: branches that are copied, and scores."""
        self._writer.extend({**arrays, **{name: self._float32(column) for name, column in scores.items()}})

    def _float32(self, column: ak.Array) -> ak.Array:
        if not self._keeps_missing:
            column = ak.fill_none(column, np.float32(np.nan), axis=-1)
        return ak.values_astype(column, np.float32)


@contextmanager
def open_output(
    path: Path, options: ScoringOptions, layout: BranchLayout, new: Mapping[str, str], *, alone: bool
) -> Iterator[EventOutput]:
    """Open a file to write; closed at the end.

    Parameters
    ----------
    path : Path
        The file.
    options : ScoringOptions
        Its format, the name of its tree, and whether other objects are copied.
    layout : BranchLayout
        All branches.
    new : mapping
        The scores among them.
    alone : bool
        Whether there is a single source, whose histograms can be copied.
    """
    if options.format == "parquet":
        rows = ParquetWriter(path, layout, optional=new)
        try:
            yield EventOutput(rows, OtherObjects(None, options, alone=alone), keeps_missing=True)
        finally:
            rows.close()
        return
    with uproot.recreate(path, compression=uproot.ZSTD(3)) as target:
        writer = (NTupleWriter if options.format == "rntuple" else TreeWriter)(
            target, options.tree, options.tree, layout
        )
        yield EventOutput(writer, OtherObjects(target, options, alone=alone), keeps_missing=False)


def check_written(path: Path, options: ScoringOptions, rows: int, num_jets: int) -> None:
    """Compare events and jets in the closed file with those written.

    Raises
    ------
    JetError
        If some are missing.
    """
    if options.format == "parquet":
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            written = file.metadata.num_rows
            jets = int(file.read([options.counter])[options.counter].to_numpy().sum())
    else:
        with uproot.open({str(path): None}) as file:
            written = file[options.tree].num_entries
            jets = int(ak.sum(file[options.tree][options.counter].array())) if rows else 0
    if (written, jets) != (rows, num_jets):
        raise JetError(
            explain(
                f"{written} events and {jets} jets were written of {rows} and {num_jets}",
                "all events and jets in the file",
                "check the disk's free space and write again",
            )
        )
