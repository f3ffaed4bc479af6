"""A hash of the content of a sample that does not depend on how it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import awkward as ak
import numpy as np

from ..array_types import AnyArray

__all__ = ["content_hash"]


def content_hash(parts: Iterable[ak.Array]) -> str:
    """Hash the values of jets, not the bytes of their files.

    Each column and the lengths of its lists have a SHA-256; the result is the hash of these by name. So it is the same
    for one array and for its parts in order, whatever the compression, the file format and the order of the columns.

    Parameters
    ----------
    parts : iterable of ak.Array
        Arrays with the same columns, in order; from an iterator, only one of them is held at a time.

    Returns
    -------
    str
        ``"sha256:"`` and 64 hexadecimal digits.
    """
    columns: dict[str, Any] = {}
    for part in parts:
        for name, values in _columns(part, ""):
            little = values.astype(values.dtype.newbyteorder("<"), copy=False)
            kind = f"{name}:{little.dtype.str}"
            columns.setdefault(kind, hashlib.sha256()).update(np.ascontiguousarray(little).data)
    whole = hashlib.sha256()
    for kind in sorted(columns):
        whole.update(f"{kind}:{columns[kind].hexdigest()}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def _columns(array: ak.Array, name: str) -> Iterator[tuple[str, AnyArray]]:
    """Columns of numbers, outermost first; of a list, the lengths and then the columns of its content."""
    if array.ndim > 1:
        yield f"{name}#", ak.to_numpy(ak.num(array)).astype(np.int64)
        yield from _columns(ak.flatten(array), f"{name}[]")
    elif array.fields:
        for field in array.fields:
            yield from _columns(array[field], f"{name}.{field}")
    else:
        yield name, ak.to_numpy(array)
