"""Jets from ROOT files (TTree or RNTuple): the flat layout, and NanoAOD tables read directly with uproot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import uproot

from ..errors import JetError, explain
from .candidates import STORED_NAMES
from .event_columns import event_columns, with_event_columns
from .flat import PREFIX, from_flat, is_flat
from .formats import FORMATS, NANOAOD, format_of_file, read_events
from .links import link_tables
from .nanoevents import nanoaod
from .podio_rntuple import is_podio, podio_jets
from .scouting import PREFIX as PREFIX_SCOUTING
from .scouting import candidate_table

__all__ = ["num_entries", "open_tree", "read_array", "read_root"]


def num_entries(path: Path, tree: str) -> int:
    """Number of entries in a tree."""
    with open_tree(path, tree) as events:
        return int(events.num_entries)


def read_root(
    path: Path,
    tree: str,
    collection: str | None,
    start: int,
    stop: int,
    units: str = "GeV",
    wanted: Callable[[str], bool] | None = None,
) -> ak.Array:
    """Jets of entries `start` to `stop`: the flat layout, or a jet collection of a known format.

    Of the flat layout, only the columns are read for which `wanted` is true.

    Raises
    ------
    JetError
        If the file, the tree or its columns are missing, a format with collections is read without `collection`, or
        units are given for a format that fixes them.
    """
    with open_tree(path, tree) as events:
        # all keys of an RNTuple take 8 s where there are 2000
        names = list(dict.fromkeys(events.keys(recursive=False)))
        is_ntuple = hasattr(events, "to_akform")
        if is_ntuple and is_podio(names):
            jets = podio_jets(events, names, collection, start, stop)
            header = events["EventHeader"].keys() if "EventHeader" in names else []
            header = [f"EventHeader.{name}" for name in header]
            return with_event_columns(jets, event_columns(events, "EDM4HEP", header, start, stop))
        branches = names if is_ntuple else list(events.keys())
        if known := format_of_file(branches):
            if units != "GeV":
                raise JetError(
                    explain(f"units={units!r} for {path}", f"{known.name}, whose units are known", "leave units out")
                )
            jets = read_events(path, events.name, branches, known, collection, start, stop)
            return with_event_columns(jets, event_columns(events, known.name, branches, start, stop))
        if collection is not None:
            # the jets are as stored: there is nothing to check
            jets = nanoaod(_nano_events(events, names, collection, start, stop), collection, check=False)
            return with_event_columns(jets, event_columns(events, NANOAOD.name, names, start, stop))
        if is_flat(names):
            names = [name for name in names if wanted is None or wanted(name)]
            columns = {name: read_array(events[name], start, stop) for name in names}
            return from_flat(columns, str(path))
    tables = sorted({name.split("_")[0] for name in names if "Jet_" in name and not name.startswith("n")})
    raise JetError(
        explain(
            f"'{tree}' of {path} without '{PREFIX}...' columns" + _first(names),
            "the flat layout part_px, part_py, part_pz, part_energy, or NanoAOD and the name of a jet collection",
            f"pass jets=..., one of {', '.join(tables)} (--jets)" if tables else "write the file with these columns",
        )
    )


def _nano_events(events: Any, names: list[str], collection: str, start: int, stop: int) -> ak.Array:
    """Read only the tables and columns needed for the jets, as event records.

    Columns are branches ``<table>_<column>`` (NanoAOD, TTree or RNTuple) or members of a field ``<table>``
    (an RNTuple written from awkward records).
    """
    members = {name: found for name in names if "_" not in name and (found := _members(events[name]))}
    tables = sorted({*members, *(name.split("_")[0] for name in names if "_" in name)})

    def columns(table: str) -> list[str]:
        return members.get(table) or [name[len(table) + 1 :] for name in names if name.startswith(table + "_")]

    records = {}
    for table, fields in _needed(tables, collection, columns).items():
        separator = "." if table in members else "_"
        read = {field: _titled(events[table + separator + field], start, stop) for field in fields}
        records[table] = ak.zip({field: column for field, column in read.items() if column.ndim > 1}, depth_limit=2)
    return ak.zip(records, depth_limit=1)


def _needed(tables: list[str], collection: str, columns: Callable[[str], list[str]]) -> dict[str, list[str]]:
    """Table -> columns to read."""
    if collection.startswith(PREFIX_SCOUTING):
        table = candidate_table(tables, collection)
        links = {}
    else:
        table, link, index = link_tables(tables, collection, columns)
        links = {link: ["jetIdx", index]}
    candidates = [name for name in columns(table) if name in STORED_NAMES]
    return {collection: columns(collection), **links, table: candidates}


def _members(branch: Any) -> list[str]:
    """Column names of a field that holds a list of records (RNTuple)."""
    if not hasattr(branch, "to_akform"):
        return []
    return [key for key in branch.keys(recursive=False) if key not in ("_0", "")]


def _titled(branch: Any, start: int, stop: int) -> ak.Array:
    """Read a branch and attach its title to its numbers, as NanoEvents does."""
    title = getattr(branch, "title", None) or getattr(branch, "description", None) or ""
    column = read_array(branch, start, stop)
    if column.ndim == 1:
        return column
    layout = ak.to_layout(column).to_ListOffsetArray64(True)
    content = layout.content.copy(parameters={"__doc__": str(title)})
    return ak.Array(layout.copy(content=content))


def read_array(branch: Any, start: int, stop: int) -> ak.Array:
    """Read a branch; lists beyond what the file holds would crash awkward, which does not look."""
    column = branch.array(entry_start=start, entry_stop=stop, library="ak")
    if fault := ak.validity_error(column):
        raise ValueError(fault)
    return column


def _first(names: list[str]) -> str:
    return f"; it has {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}"


@contextmanager
def open_tree(path: Path, tree: str) -> Iterator[Any]:
    """Open the tree of that name; if there is no default ``Events``, that of a known format, or the only one."""
    with uproot.open(path) as file:
        kinds = ("TTree", "ROOT::RNTuple")
        trees = [key.split(";")[0] for key, kind in file.classnames(recursive=True).items() if kind in kinds]
        trees = list(dict.fromkeys(trees))
        usual = [name for name in (known.tree for known in FORMATS) if name in trees]
        if tree in trees:
            yield file[tree]
        elif tree == "Events" and (len(trees) == 1 or usual):
            yield file[(usual or trees)[0]]
        else:
            raise JetError(
                explain(
                    f"{path} without a tree '{tree}'; it has {', '.join(trees) or 'none'}",
                    "the name of a TTree or RNTuple in the file",
                    "pass it as tree=...",
                )
            )
