"""Splits a jet collection into its outer structure and flat columns, and puts results back into that structure.

Plain lists of records are not copied; indexed, sliced, virtual and option-type layouts are projected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import awkward as ak
import numpy as np
from awkward.contents import (
    Content,
    IndexedArray,
    IndexedOptionArray,
    ListArray,
    ListOffsetArray,
    NumpyArray,
    RecordArray,
    RegularArray,
)
from awkward.index import Index64

from ..array_types import I8, AnyArray
from ..errors import JetError, explain

__all__ = ["Nesting", "columns_of", "columns_of_records", "descend", "unmasked", "unnest", "with_long_offsets"]

_Rebuild = Callable[[Content], Content]


@dataclass(frozen=True)
class Nesting:
    """The outer structure of a jet collection, without the jets.

    Attributes
    ----------
    num_jets : int
        Number of jets, missing ones not counted.
    """

    num_jets: int
    _rebuild: _Rebuild

    def restore(self, values: Any) -> ak.Array:
        """Put one value (or record) per jet back into the original structure; missing jets become None.

        Parameters
        ----------
        values : ndarray or ak.Array
            `num_jets` entries.
        """
        numbers = type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in "biuf"
        content = NumpyArray(values) if numbers else ak.to_layout(values)
        if content.length != self.num_jets:
            raise ValueError(f"{content.length} values for {self.num_jets} jets")
        return ak.Array(self._rebuild(content), behavior=getattr(values, "behavior", None))


def unnest(jets: ak.Array) -> tuple[Nesting, ak.Array]:
    """Separate the outer structure from the jets.

    Returns
    -------
    nesting : Nesting
        Puts values back into the outer structure.
    records : ak.Array
        All jets that are not missing, in order, one level deep.
    """
    layout, rebuild = descend(jets.layout)
    records = ak.Array(layout, behavior=jets.behavior)
    return Nesting(layout.length, rebuild), records


def unmasked(jets: ak.Array) -> tuple[ak.Array, ak.Array | None]:
    """Jets with something in place of the missing ones, and which of them exist; None if the type allows no others.

    Adding a field to masked records would copy, and so read, all of their columns.
    """
    masked = False

    def strip(layout: Content, **_: object) -> Content | None:
        nonlocal masked
        if layout.is_record:
            return layout
        if not layout.is_option:
            return None
        masked = True
        option = layout.to_IndexedOptionArray64()
        if option.content.length == 0:
            return layout
        return IndexedArray.simplified(Index64(option.backend.nplike.maximum(option.index.data, 0)), option.content)

    stripped = ak.transform(strip, jets)
    if not masked:
        return jets, None
    column = next(jets[name] for name in jets.fields if jets[name].ndim == jets.ndim and not jets[name].fields)
    return stripped, ~ak.is_none(column, axis=-1)


def descend(layout: Content, *, to_numbers: bool = False) -> tuple[Content, _Rebuild]:
    """Descend through a layout to its records (or numbers); return those and a function that rebuilds the layout."""
    if isinstance(layout, NumpyArray if to_numbers else RecordArray):
        return layout, lambda content: content
    if isinstance(layout, IndexedArray):
        return descend(layout.project(), to_numbers=to_numbers)
    if layout.is_option:
        option = layout.to_IndexedOptionArray64()
        present = np.asarray(option.index) >= 0
        content, inner = descend(option.project(), to_numbers=to_numbers)
        index = np.where(present, np.cumsum(present) - 1, -1).astype(np.int64)
        return content, lambda values: IndexedOptionArray.simplified(Index64(index), inner(values))
    if isinstance(layout, RegularArray):
        content, inner = descend(layout.content[: layout.length * layout.size], to_numbers=to_numbers)
        size, length = layout.size, layout.length
        return content, lambda values: RegularArray(inner(values), size, length)
    if isinstance(layout, ListOffsetArray | ListArray):
        packed = layout.to_ListOffsetArray64(True)
        offsets = packed.offsets
        content, inner = descend(packed.content[: offsets[-1]], to_numbers=to_numbers)
        return content, lambda values: ListOffsetArray(offsets, inner(values))
    if isinstance(layout, NumpyArray) and layout.length == 0:
        return layout, lambda content: content
    raise JetError(
        explain(
            f"jets of type {layout.form.type}",
            "nested lists of jet records, which may be missing",
            "build them with coffea_equitag.make_jets",
        )
    )


def with_long_offsets(array: ak.Array) -> ak.Array:
    """The array with 64-bit offsets at all depths: with Arrow's 32-bit ones `ak.drop_none` fails (awkward 2.14)."""

    def widen(layout: Content, **_: object) -> Content | None:
        short = isinstance(layout, ListOffsetArray) and layout.offsets.dtype != np.int64
        if not short or layout.parameter("__array__") in ("string", "bytestring"):
            return None
        wide = layout.to_ListOffsetArray64(False)
        return wide.copy(content=ak.to_layout(with_long_offsets(ak.Array(wide.content))))

    return ak.transform(widen, array)


def columns_of(lists: ak.Array, fields: Iterable[str]) -> tuple[I8, dict[str, AnyArray]]:
    """Flat columns of a list of records, nested one level deep.

    Parameters
    ----------
    lists : ak.Array
        ``[list][record]``.
    fields : iterable of str
        Columns wanted ("ip.x" for the field x of a nested record ip); of a virtual array, only these are read.

    Returns
    -------
    offsets : ndarray of int64
        List boundaries, starting at 0.
    columns : dict of str to ndarray
        One flat array per field.
    """
    fields = tuple(dict.fromkeys(fields))
    plain = _plain_columns(lists.layout, fields)
    if plain is not None:
        return plain
    offsets: I8 | None = None
    columns: dict[str, AnyArray] = {}
    for field in fields:
        column = ak.materialize(lists[field] if field in lists.fields else lists[tuple(field.split("."))])
        layout = ak.to_layout(column)
        if isinstance(layout, RegularArray):
            layout = layout.to_ListOffsetArray64(True)
        if layout.is_indexed:
            layout = layout.project()
        packed = layout.to_ListOffsetArray64(True)
        bounds = np.asarray(packed.offsets)
        if offsets is None:
            offsets = bounds.astype(np.int64, copy=False)
        columns[field] = _plain(packed.content[: bounds[-1]], field, bounds)
    assert offsets is not None
    return offsets, columns


def columns_of_records(records: Content, fields: Iterable[str]) -> dict[str, AnyArray]:
    """The same of records without lists, which are not missing."""
    fields = tuple(dict.fromkeys(fields))
    values = {field: _plain_values(records, field) for field in fields}
    found = {field: column[: records.length] for field, column in values.items() if column is not None}
    return found if len(found) == len(fields) else columns_of(ak.Array(records)[np.newaxis], fields)[1]


def _plain_columns(layout: Content, fields: tuple[str, ...]) -> tuple[I8, dict[str, AnyArray]] | None:
    """The same of lists of records of numbers in memory, without a copy; None for any other layout, or a fault."""
    if type(layout) is not ListOffsetArray or type(layout.offsets.data) is not np.ndarray or layout.length == 0:
        return None
    offsets = layout.offsets.data.astype(np.int64, copy=False)
    begin, end = int(offsets[0]), int(offsets[-1])
    columns = {}
    for field in fields:
        values = _plain_values(layout.content, field)
        if values is None:
            return None
        columns[field] = values[begin:end]
    return offsets - begin if begin else offsets, columns


def _plain_values(record: Content, field: str) -> AnyArray | None:
    """A column of records ("ip.x" of a record within), if it is numbers in memory."""
    name, _, rest = (field, "", "") if field in record.fields else field.partition(".")
    if type(record) is not RecordArray or name not in record.fields:
        return None
    content = record.contents[record.field_to_index(name)]
    if rest:
        return _plain_values(content, rest)
    values = content.data if type(content) is NumpyArray else None
    plain = type(values) is np.ndarray and values.ndim == 1 and values.dtype.kind in "biuf"
    return values if plain else None


def _plain(content: Content, field: str, bounds: AnyArray) -> AnyArray:
    if content.is_option:
        missing = ak.Array(content).layout.to_IndexedOptionArray64().index.data < 0
        if np.any(missing):
            row = int(np.argmax(missing))
            jet = int(np.searchsorted(bounds, row, side="right")) - 1
            raise JetError(
                explain(
                    f"jet {jet}, constituent {row - int(bounds[jet])}: a missing value in column '{field}'",
                    "a number for each constituent",
                    f"drop these constituents with ak.drop_none, or fill '{field}' with ak.fill_none",
                )
            )
        content = content.project()
    if content.is_indexed:
        content = content.project()
    if content.is_unknown:
        return np.zeros(0)
    if not isinstance(content, NumpyArray):
        raise JetError(
            explain(f"column '{field}' of type {content.form.type}", "one number for each constituent", "drop it")
        )
    values = np.asarray(content.data)
    if values.dtype.kind not in "biuf":
        raise JetError(
            explain(f"column '{field}' of type {content.form.type}", "real numbers", f"convert or drop '{field}'")
        )
    return values
