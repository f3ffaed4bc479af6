"""ROOT files to score: open them, find their trees and read these in ranges, with every error explained."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import awkward as ak
import numpy as np
import uproot

from ..errors import JetError, explain
from ..reading import reading
from .branches import BranchLayout, is_ntuple
from .ntuple_fields import bytes_of

__all__ = [
    "TREES",
    "Source",
    "check_chunk_size",
    "check_lists",
    "check_names",
    "check_same",
    "check_whole",
    "event_tree",
    "open_root",
    "ranges",
    "read",
]

Source: TypeAlias = str | os.PathLike[str]

#: Classes of what holds events.
TREES = ("TTree", "ROOT::RNTuple")

#: A size of memory as uproot reads it.
_SIZE = re.compile(r"\s*(?=.*[1-9])(\d*\.?\d*(?:e[+-]?\d+)?)\s*(([kmgtpezy]?)(i?)b)\s*", re.IGNORECASE)


def check_names(branches: Iterable[str]) -> None:
    """Refuse names that NanoEvents could not use for a field."""
    for name in branches:
        if not name.isidentifier():
            raise JetError(
                explain(f"scores called {name!r}", "letters, digits and underscores", "give another name= (--name)")
            )


@contextmanager
def open_root(source: Source) -> Iterator[Any]:
    """Open a ROOT file; JetError if it is not one."""
    with reading(source, "a ROOT file"):  # fsspec names a missing package, e.g. fsspec-xrootd for root://
        file = uproot.open({os.fspath(source): None})
    with file:
        yield file


def check_whole(file: Any) -> None:
    """Refuse a file that has lost its end, which nothing else would tell before it is read that far."""
    size, end = int(file.file.source.num_bytes), int(file.file.fEND)
    if size < end:
        raise ValueError(f"it has {size} bytes of {end}")


def event_tree(file: Any, source: Source, tree: str, jets: str, new: Iterable[str]) -> Any:
    """Find the TTree or RNTuple of events, which must have the jets but not yet the new branches."""
    if tree not in (found := dict.fromkeys(file.keys(cycle=False))) or file.classname_of(tree) not in TREES:
        trees = [key for key in found if file.classname_of(key) in TREES]
        given = f"{source} without a TTree or RNTuple '{tree}'"
        if tree in found:
            given = f"'{tree}' of {source} is of class {file.classname_of(tree)}"
        raise JetError(
            explain(given, f"one of its trees: {', '.join(trees) or 'it has none'}", "name it with tree= (--tree)")
        )
    events = file[tree]
    present = set(events.keys(recursive=False))
    if "n" + jets not in present:
        counters = sorted(name[1:] for name in present if name.startswith("n") and name.endswith("Jet"))
        raise JetError(
            explain(
                f"{source} without a collection '{jets}' (no branch n{jets})",
                f"a jet collection of the file: {', '.join(counters) or 'it has none'}",
                "name it with jets= (--jets)",
            )
        )
    for name in new:
        if name in present:
            raise JetError(
                explain(f"{source} already has a branch {name}", "a new name", "choose another with name= (--name)")
            )
    return events


def check_same(layout: BranchLayout, first: BranchLayout, source: object) -> None:
    """Refuse a file whose branches differ from those of the first."""
    if layout != first:
        ours, theirs = set(layout.names), set(first.names)
        differ = sorted(ours ^ theirs) or ["types of branches"]
        more = ", ..." if len(differ) > 5 else ""
        raise JetError(
            explain(
                f"{source} differs from the first file: {', '.join(differ[:5])}{more}",
                "files with the same branches",
                "keep only common branches (branches=, --keep), or score the files one by one",
            )
        )


def ranges(tree: Any, chunk_size: int | str) -> Iterator[tuple[int, int]]:
    """Ranges of entries."""
    step = _step(tree, chunk_size)
    for start in range(0, tree.num_entries, step):
        yield start, min(start + step, tree.num_entries)


def check_chunk_size(chunk_size: int | str) -> None:
    """Refuse what is neither a number of events nor a size."""
    is_size = isinstance(chunk_size, str) and _SIZE.fullmatch(chunk_size)
    if not is_size and (isinstance(chunk_size, str) or chunk_size < 1):
        expected = "a number of events >= 1, or a size like '100 MB'"
        raise JetError(explain(f"chunk_size={chunk_size!r}", expected, "use one of these"))


def _step(tree: Any, chunk_size: int | str) -> int:
    """Entries per chunk."""
    check_chunk_size(chunk_size)
    if isinstance(chunk_size, int):
        return chunk_size
    with reading(tree.file.file_path, "a ROOT file"):
        if tree.num_entries == 0:
            return 1
        if not is_ntuple(tree):
            return max(1, int(tree.num_entries_for(chunk_size)))
        return max(1, int(memory_size(chunk_size) * tree.num_entries / max(1.0, bytes_of(tree))))


def memory_size(text: str) -> float:
    """Bytes of a size like ``100 MB`` or ``100 MiB``."""
    found = _SIZE.fullmatch(text)
    assert found is not None  # check_chunk_size has seen it
    power = " kmgtpezy".index(found[3].lower() or " ")
    return float(found[1]) * math.pow(1024 if found[4] else 1000, power)


def read(tree: Any, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
    """Read branches in a range of entries.

    Raises
    ------
    JetError
        If a branch has fewer.
    """
    wanted = set(names)
    arrays: dict[str, ak.Array]
    if is_ntuple(tree):
        arrays = {name: _field(tree[name], start, stop) for name in names}
    else:
        arrays = tree.arrays(
            filter_branch=lambda branch: branch.name in wanted, entry_start=start, entry_stop=stop, how=dict
        )
    for name, column in arrays.items():
        if len(column) != stop - start:
            raise JetError(
                explain(
                    f"branch {name} has {len(column)} of the entries {start} to {stop}",
                    f"every branch of '{tree.name}' filled as often",
                    "restore the file from its original, or leave the branch out (branches=, --keep)",
                )
            )
    return arrays


def check_lists(arrays: Mapping[str, ak.Array], layout: BranchLayout) -> None:
    """Refuse lists of different lengths where one counter gives the length of all.

    Raises
    ------
    JetError
        With the names of two of them.
    """
    for counter, group in layout.jagged.items():
        first, *others = group
        counts = ak.num(arrays[first], axis=1)
        for name in others:
            if not np.array_equal(ak.num(arrays[name], axis=1), counts):
                raise JetError(
                    explain(
                        f"lists of different lengths in {first} and {name}",
                        f"{counter} values in each event",
                        "restore the file from its original, or leave one of them out (branches=, --keep)",
                    )
                )


def _field(field: Any, start: int, stop: int) -> ak.Array:
    """Read a field; lists beyond what the file holds would crash awkward, which does not look."""
    column = field.array(entry_start=start, entry_stop=stop)
    if fault := ak.validity_error(column):
        raise ValueError(fault)
    return column
