"""`ak.from_parquet` for files on disk, with the checksums of their pages verified where they have some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import pyarrow.parquet
from awkward._connect.pyarrow import convert_native_arrow_table_to_awkward

__all__ = ["from_parquet", "from_table", "opened"]

#: Where awkward stores the attributes of an array.
_ATTRS = b"AWKWARD_ATTRS"


def opened(path: Path, **options: Any) -> pyarrow.parquet.ParquetFile:
    """A file whose pages are verified as they are read."""
    return pyarrow.parquet.ParquetFile(path, page_checksum_verification=True, **options)


def from_parquet(path: Path, row_groups: Sequence[int] | None = None, columns: Sequence[str] | None = None) -> ak.Array:
    """Read a file, or some of its row groups and columns, as `ak.from_parquet` does, which cannot verify."""
    columns = None if columns is None else list(columns)
    with opened(path) as file:
        groups = range(file.num_row_groups) if row_groups is None else row_groups
        return from_table(file.read_row_groups(list(groups), columns=columns))


def from_table(table: pyarrow.Table) -> ak.Array:
    """What was read from a file, as an awkward array."""
    attrs = json.loads((table.schema.metadata or {}).get(_ATTRS, b"{}"))
    return ak.from_arrow(convert_native_arrow_table_to_awkward(table), attrs=attrs)
