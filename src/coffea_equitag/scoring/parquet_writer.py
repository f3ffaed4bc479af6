"""Write a Parquet file chunk by chunk: one row per event, one row group per chunk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet

from .branches import BranchLayout

__all__ = ["ParquetWriter"]


class ParquetWriter:
    """Writes events to a Parquet file with page checksums.

    Parameters
    ----------
    path : Path
        The file.
    layout : BranchLayout
        Its columns; titles become ``description`` in the metadata of the columns.
    optional : iterable of str
        Lists whose values may be null.
    """

    def __init__(self, path: Path, layout: BranchLayout, optional: Iterable[str] = ()) -> None:
        self.layout, self.optional = layout, frozenset(optional)
        fields = [self._field(name, _type(kind)) for name, kind in layout.flat.items()]
        for counter, group in layout.jagged.items():
            fields.append(self._field(counter, pa.int32()))
            for name, kind in group.items():
                item = pa.field("item", _type(kind), nullable=name in self.optional)
                fields.append(self._field(name, pa.large_list(item)))
        self._schema = pa.schema(fields)
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)
        self._is_empty = True

    def extend(self, arrays: Mapping[str, ak.Array]) -> None:
        """Append rows: one array per column."""
        data = {name: arrays[name] for name in self.layout.flat}
        for counter, group in self.layout.jagged.items():
            data[counter] = ak.values_astype(ak.num(arrays[next(iter(group))], axis=1), np.int32)
            data |= {name: arrays[name] for name in group}
        columns = [_arrow(data[field.name], field.type) for field in self._schema]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        self._is_empty = False

    def close(self) -> None:
        """Write the footer."""
        if self._is_empty:  # awkward cannot read a file without row groups
            self._writer.write_table(self._schema.empty_table())
        self._writer.close()

    def _field(self, name: str, kind: Any) -> Any:
        title = self.layout.titles.get(name)
        return pa.field(name, kind, nullable=False, metadata={"description": title} if title else None)


def _type(kind: Any) -> Any:
    if kind == "string":
        return pa.string()
    found = pa.from_numpy_dtype(kind.base)
    for size in reversed(kind.shape):
        found = pa.list_(pa.field("item", found, nullable=False), size)
    return found


def _arrow(column: Any, kind: Any) -> Any:
    array = ak.to_arrow(ak.Array(column), extensionarray=False, string_to32=True)
    return array.cast(kind)
