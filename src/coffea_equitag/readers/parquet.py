"""Jets from Parquet: the canonical layout (``ak.to_parquet(jets)``), the flat (``part_px``) and the wide (``PX_0``)."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet
import vector
from awkward.contents import Content, RecordArray

from ..array_types import AnyArray
from ..errors import JetError, explain
from ..jets.coordinates import coordinates_of, surplus
from ..jets.nesting import with_long_offsets
from .checked_parquet import from_parquet
from .flat import from_flat, is_flat
from .wide import from_wide, is_wide

__all__ = ["jets_of", "num_rows", "read_parquet"]


def num_rows(path: Path) -> int:
    """Number of rows in a file, from its footer."""
    return int(pyarrow.parquet.read_metadata(path).num_rows)


def read_parquet(path: Path, start: int, stop: int) -> ak.Array:
    """Jets of rows `start` to `stop`; only the row groups that contain them are read.

    Raises
    ------
    JetError
        If the columns match none of the layouts.
    """
    return jets_of(_rows(path, start, stop), path)


def jets_of(array: ak.Array, path: Path) -> ak.Array:
    """Jets of the rows of a file.

    Raises
    ------
    JetError
        If the columns match none of the layouts.
    """
    if "constituents" in array.fields:
        return _canonical(array)
    if is_flat(array.fields):
        return from_flat({name: array[name] for name in array.fields}, str(path))
    if is_wide(array.fields):
        return from_wide(array.fields, lambda names: _matrix(array, names, path), str(path))
    raise JetError(
        explain(
            f"{path} with columns {', '.join(array.fields) or 'without names'}",
            "'constituents' (as written by ak.to_parquet(jets)), or part_px, part_py, part_pz, part_energy",
            "rename the columns, or write the result of coffea_equitag.make_jets with ak.to_parquet",
        )
    )


def _rows(path: Path, start: int, stop: int) -> ak.Array:
    metadata = pyarrow.parquet.read_metadata(path)
    groups: list[int] = []
    first = begin = 0
    for group in range(metadata.num_row_groups):
        end = begin + metadata.row_group(group).num_rows
        if begin < stop and end > start:
            if not groups:
                first = begin
            groups.append(group)
        begin = end
    return with_long_offsets(from_parquet(path, row_groups=groups))[start - first : stop - first]


def _matrix(array: ak.Array, names: list[str], path: Path) -> AnyArray:
    """Columns of numbers as one matrix."""
    columns = [ak.to_numpy(array[name]) for name in names]
    missing = [name for name, column in zip(names, columns, strict=True) if np.ma.getmaskarray(column).any()]
    if missing:
        raise JetError(
            explain(
                f"{path} with missing values in {', '.join(missing[:8])}",
                "a number for each jet",
                "fill the missing values, or drop these jets",
            )
        )
    return np.stack([np.ma.getdata(column) for column in columns], axis=1)


def _canonical(array: ak.Array) -> ak.Array:
    """Restore the vector behaviors of jets and constituents, which Parquet does not keep, where vector accepts them."""
    behavior = vector.backends.awkward.behavior

    def name(layout: Content, **_: object) -> Content | None:
        if not (isinstance(layout, RecordArray) and "constituents" in layout.fields):
            return None
        contents = [
            ak.with_name(layout.content(field), "Momentum4D", highlevel=False)
            if field == "constituents" and not surplus(layout.content(field).fields)
            else layout.content(field)
            for field in layout.fields
        ]
        is_momentum = coordinates_of(layout.fields) is not None and not surplus(layout.fields)
        parameters = {"__record__": "Momentum4D"} if is_momentum else None
        return RecordArray(contents, layout.fields, length=layout.length, parameters=parameters)

    return ak.Array(ak.transform(name, array, highlevel=False), behavior=behavior)
