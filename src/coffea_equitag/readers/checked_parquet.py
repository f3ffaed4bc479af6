"""`ak.from_parquet` for files on disk, with the checksums of their pages verified where they have some."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import awkward as ak
import pyarrow.parquet
from awkward._connect.pyarrow import convert_native_arrow_table_to_awkward

__all__ = ["from_parquet"]

#: Where awkward stores the attributes of an array.
_ATTRS = b"AWKWARD_ATTRS"


def from_parquet(path: Path, row_groups: Sequence[int] | None = None) -> ak.Array:
    """Read a file, or some of its row groups, as `ak.from_parquet` does, which cannot verify."""
    with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
        table = file.read() if row_groups is None else file.read_row_groups(list(row_groups))
    attrs = json.loads((table.schema.metadata or {}).get(_ATTRS, b"{}"))
    return ak.from_arrow(convert_native_arrow_table_to_awkward(table), attrs=attrs)
