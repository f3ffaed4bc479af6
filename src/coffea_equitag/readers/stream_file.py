"""One file of a stream: its row groups, and the jets in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import awkward as ak
import pyarrow as pa
import pyarrow.parquet
import vector

from ..jets.coordinates import coordinates_of, surplus
from ..jets.nesting import with_long_offsets
from ..reading import reading
from .checked_parquet import from_table, opened
from .datasets import layouts
from .flat import is_flat, jet_fields
from .mapped import mapped
from .parquet import jets_of
from .ranges import kind_of
from .root import open_tree, read_array, read_root
from .stream_columns import Columns
from .stream_groups import RowGroup, row_groups

__all__ = ["JetFile"]

#: Bytes of a column that are read from disk at a time where a row group is read in pieces.
_BUFFER = 1 << 20


@dataclass(frozen=True)
class JetFile:
    """A file of jets.

    Attributes
    ----------
    path, tree, jets, mapping, units
        As for `readers.stream`.
    """

    path: Path
    tree: str
    jets: str | None
    mapping: Any
    units: str

    def naming(self) -> AbstractContextManager[None]:
        """Errors inside name the file."""
        return reading(self.path, kind_of(self.path))

    def groups(self, most: int) -> list[RowGroup]:
        """Its row groups."""
        with self.naming():
            return row_groups(self.path, self.tree, most)

    @cached_property
    def separate(self) -> bool:
        """Whether the fields of its jets can be read without the constituents."""
        if self.mapping is not None or self.jets is not None:
            return False
        if self.path.suffix.lower() == ".root":
            with open_tree(self.path, self.tree) as events:
                return is_flat(events.keys(recursive=False))
        if not self._is_parquet:
            return False
        names = self._metadata.schema.to_arrow_schema().names
        return "constituents" in names or is_flat(names)

    def empty(self) -> ak.Array:
        """No jets, of the type that its jets have."""
        with self.naming():
            if not self._is_parquet:
                return self._rows(0, 0, None)
            return self._of_table(self._metadata.schema.to_arrow_schema().empty_table(), None)

    def read(self, group: RowGroup, most: int, columns: Columns | None) -> Iterator[ak.Array]:
        """Jets of a row group in the file's units, in pieces of at most `most` rows.

        Parameters
        ----------
        group : RowGroup
            One of its own.
        most : int
            Larger row groups of Parquet are read in pieces, so that never all of them is in memory.
        columns : Columns, optional
            What is needed: without constituents, if it is `separate`; other columns are left out where the layout
            allows it. Default everything.

        Raises
        ------
        JetError
            Naming the file and the rows.
        """
        with reading(group, kind_of(self.path)):
            if not self._is_parquet:
                yield self._rows(group.start, group.stop, columns)
                return
            for table in self._tables(group, most, columns):
                yield self._of_table(table, columns)

    @property
    def _is_parquet(self) -> bool:
        return self.path.suffix.lower() not in (".root", *layouts.SUFFIXES)

    @cached_property
    def _metadata(self) -> pyarrow.parquet.FileMetaData:
        """The footer, which takes a few milliseconds to read."""
        return pyarrow.parquet.read_metadata(self.path)

    def _tables(self, group: RowGroup, most: int, columns: Columns | None) -> Iterator[pa.Table]:
        large = group.stop - group.start > most
        # its columns would be read ahead as a whole
        options = {"buffer_size": _BUFFER, "pre_buffer": False} if large else {}
        with opened(self.path, metadata=self._metadata, **options) as file:
            leaves = None if columns is None or self.mapping is not None else _leaves(file, columns)
            if not large:
                yield file.read_row_group(group.number, columns=leaves, use_threads=False)
                return
            waiting: list[pa.RecordBatch] = []
            for batch in file.iter_batches(most, row_groups=[group.number], columns=leaves, use_threads=False):
                rest = batch
                # batches end where pages do, too
                while len(rest) >= (room := most - sum(map(len, waiting))):
                    yield pa.Table.from_batches([*waiting, rest.slice(0, room)])
                    waiting, rest = [], rest.slice(room)
                waiting += [rest] if len(rest) else []
            if waiting:
                yield pa.Table.from_batches(waiting)

    def _of_table(self, table: pa.Table, columns: Columns | None) -> ak.Array:
        array = with_long_offsets(from_table(table))
        if self.mapping is not None:
            return mapped(array, self.mapping, validate=False)
        if columns is not None and columns.constituents is None and self.separate:
            return _records({name: array[name] for name in array.fields}, str(self.path))
        return jets_of(array, self.path)

    def _rows(self, start: int, stop: int, columns: Columns | None) -> ak.Array:
        if self.path.suffix.lower() != ".root":
            return layouts.read(self.path, start, stop)
        if self.mapping is not None:
            return mapped(self.path, self.mapping, entry_start=start, entry_stop=stop, validate=False)
        if columns is None or columns.constituents is not None or not self.separate:
            wanted = None if columns is None else columns.flat
            return read_root(self.path, self.tree, self.jets, start, stop, self.units, wanted)
        with open_tree(self.path, self.tree) as events:
            names = [name for name in dict.fromkeys(events.keys(recursive=False)) if columns.flat(name)]
            return _records({name: read_array(events[name], start, stop) for name in names}, str(self.path))


def _leaves(file: pyarrow.parquet.ParquetFile, columns: Columns) -> list[str] | None:
    return columns.leaves(file.schema_arrow, [file.schema.column(k).path for k in range(len(file.schema))])


def _records(columns: dict[str, ak.Array], source: str) -> ak.Array:
    """Jets without their constituents."""
    records = ak.zip(jet_fields(columns, source), depth_limit=1)
    if coordinates_of(records.fields) is None or surplus(records.fields):
        return records
    return ak.with_name(records, "Momentum4D", behavior=vector.backends.awkward.behavior)
