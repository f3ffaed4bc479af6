"""Whether two arrays are the same because they share their buffers: without reading or comparing any number."""

from __future__ import annotations

from collections.abc import Iterable

import awkward as ak
from awkward.contents import Content, EmptyArray, NumpyArray, RecordArray

from ..jets.tracing import is_traced

__all__ = ["same_tables"]


def same_tables(one: ak.Array, other: ak.Array, names: Iterable[str]) -> bool:
    """Whether these tables of two arrays of events share all buffers; False means only that they may differ."""
    return (is_traced(one) or len(one) == len(other)) and all(
        name in other.fields and _same(ak.to_layout(one[name]), ak.to_layout(other[name])) for name in names
    )


def _same(one: Content, other: Content) -> bool:
    if one is other:
        return True
    if type(one) is not type(other) or one.is_union:
        return False
    if isinstance(one, EmptyArray):
        return True
    if isinstance(one, NumpyArray):
        return one.data is other.data
    if isinstance(one, RecordArray):
        return one.fields == other.fields and all(map(_same, one.contents, other.contents))
    buffers = [name for name in ("offsets", "starts", "stops", "index", "mask", "size") if hasattr(one, name)]
    return all(_same_buffer(getattr(one, name), getattr(other, name)) for name in buffers) and _same(
        one.content, other.content
    )


def _same_buffer(one: object, other: object) -> bool:
    first, second = getattr(one, "data", one), getattr(other, "data", other)
    return first is second or (isinstance(first, int) and first == second)
