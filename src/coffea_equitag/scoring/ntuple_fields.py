"""Fields of an RNTuple in NanoAOD's manner: numbers, arrays and lists of numbers, and the counters of lists."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

__all__ = ["bytes_of", "field_kinds"]

_NUMBERS = {
    "bool": np.dtype(bool),
    "float": np.dtype(np.float32),
    "double": np.dtype(np.float64),
    **{f"std::{kind}{bits}_t": np.dtype(f"{kind}{bits}") for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
}

_INTEGERS = frozenset(name for name, kind in _NUMBERS.items() if kind.kind in "iu")

_LIST = re.compile(r"(?:ROOT::VecOps::RVec|std::vector)<(?P<content>[\w:]+)>")
_ARRAY = re.compile(r"std::array<(?P<content>[\w:]+),(?P<size>\d+)>")
_COUNTER = re.compile(r"ROOT::RNTupleCardinality<.*>")


def field_kinds(ntuple: Any) -> dict[str, tuple[str | None, Any]]:
    """Name -> counter and dtype of a list, or None and dtype, "string" or the type's name of another field.

    A list's counter is that of its table, ``nFatJet`` for ``FatJet_pt``; a list of no table has its own.
    """
    types = {name: str(ntuple[name].typename) for name in ntuple.keys(recursive=False)}
    types = {name: kind for name, kind in types.items() if kind or not name.startswith("_")}  # projected collections
    return {name: _kind(name, kind, types) for name, kind in types.items()}


def bytes_of(ntuple: Any) -> float:
    """Uncompressed bytes of all columns, from the list of pages: uproot's own estimate takes half a minute for 1800."""
    columns = ntuple.column_records
    bits = sum(
        int(page.num_elements) * int(columns[number].nbits)
        for cluster in ntuple.page_link_list
        for number, pages in enumerate(cluster)
        for page in pages.pages
    )
    return bits / 8


def _kind(name: str, kind: str, types: dict[str, str]) -> tuple[str | None, Any]:
    kind = kind.replace(" ", "")
    if (found := _LIST.fullmatch(kind)) and (content := _NUMBERS.get(found["content"])):
        counter = _counter(name, types)
        return (None, kind) if counter is None else (counter, content)
    if (found := _ARRAY.fullmatch(kind)) and (content := _NUMBERS.get(found["content"])):
        return None, np.dtype((content, (int(found["size"]),)))
    if _COUNTER.fullmatch(kind):
        return None, np.dtype(np.int32)
    return None, "string" if kind == "std::string" else _NUMBERS.get(kind, kind)


def _counter(name: str, types: dict[str, str]) -> str | None:
    """The counter of the longest table whose name begins this one; None if the list's own would have a taken name."""
    ends = [len(name), *reversed([place for place, letter in enumerate(name) if letter == "_"])]
    for end in ends:
        counter = f"n{name[:end]}"
        if _COUNTER.fullmatch(types.get(counter, "")) or types.get(counter) in _INTEGERS:
            return counter
    return None if "n" + name in types else "n" + name
