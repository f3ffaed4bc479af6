"""Branches of a TTree that uproot can copy: their names, types and shared counters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import awkward as ak
import numpy as np
import uproot

from ..errors import JetError, explain
from .tree_description import running_counts

__all__ = ["BranchLayout", "TreeWriter", "branch_layout"]

#: Always kept: NanoAODSchema rejects a file without them.
EVENT_IDS = ("run", "luminosityBlock", "event")


@dataclass(frozen=True)
class BranchLayout:
    """Branches to copy.

    Attributes
    ----------
    flat : dict of str to dtype or "string"
        Branches with one entry (or fixed-size array) per event, without the counters.
    jagged : dict of str to (dict of str to dtype)
        Counter -> branches that share it.
    dropped : dict of str to str
        Branches that uproot cannot write -> their type.
    titles : dict of str to str
        Descriptions of the branches; NanoAOD documents its columns there.
    """

    flat: dict[str, Any] = field(default_factory=dict)
    jagged: dict[str, dict[str, np.dtype[Any]]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> list[str]:
        """Branches to read; counters are derived from the jagged ones."""
        return [*self.flat, *(name for group in self.jagged.values() for name in group)]

    def types(self) -> dict[str, Any]:
        """The types of the branches as ``mktree`` expects them: one record per counter."""
        records = {
            _record(counter): ak.types.ListType(
                ak.types.RecordType([ak.types.NumpyType(kind.name) for kind in group.values()], list(group))
            )
            for counter, group in self.jagged.items()
        }
        return {**self.flat, **records}

    def with_columns(self, counter: str, columns: Mapping[str, str]) -> BranchLayout:
        """Add float32 branches (name -> description) that share a counter."""
        group = {**self.jagged.get(counter, {}), **dict.fromkeys(columns, np.dtype(np.float32))}
        flat = {name: kind for name, kind in self.flat.items() if name != counter}
        return BranchLayout(flat, {**self.jagged, counter: group}, self.dropped, {**self.titles, **dict(columns)})


def branch_layout(tree: Any, patterns: Iterable[str] | None = None) -> BranchLayout:
    """Divide the branches of a tree into those that can be copied and those that cannot.

    Parameters
    ----------
    tree : uproot TTree
        The tree.
    patterns : iterable of str, optional
        Glob patterns (``"FatJet_*"``) of the branches to keep; default all. Event numbers are always kept.

    Raises
    ------
    JetError
        If a pattern matches no branch.
    """
    branches = {branch.name: branch for branch in tree.branches}
    if patterns is not None:
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in branches):
                raise JetError(
                    explain(
                        f"no branch matches {pattern!r}",
                        f"glob patterns for branches of '{tree.name}'",
                        "quote them for the shell, e.g. --keep 'FatJet_*'",
                    )
                )
        patterns = [*patterns, *EVENT_IDS]
        branches = {name: branch for name, branch in branches.items() if any(fnmatchcase(name, p) for p in patterns)}
    layout = BranchLayout(titles={name: branch.title for name, branch in branches.items()})
    taken = {branch.name for branch in tree.branches}
    for name, branch in branches.items():
        _place(layout, name, branch, taken)
    for counter in layout.jagged:
        layout.flat.pop(counter, None)  # written together with its branches
    return layout


def _place(layout: BranchLayout, name: str, branch: Any, taken: set[str]) -> None:
    kind = branch.interpretation
    if len(branch.branches) == 0:
        if isinstance(kind, uproot.AsStrings):
            layout.flat[name] = "string"
            return
        if isinstance(kind, uproot.AsDtype) and _is_writable(kind.to_dtype.base):
            layout.flat[name] = kind.to_dtype
            return
        if isinstance(kind, uproot.AsJagged) and isinstance(kind.content, uproot.AsDtype):
            dtype = kind.content.to_dtype
            if dtype.subdtype is None and _is_writable(dtype):
                counter = branch.count_branch.name if branch.count_branch is not None else "n" + name
                if branch.count_branch is not None or counter not in taken:
                    layout.jagged.setdefault(counter, {})[name] = dtype
                    return
    layout.dropped[name] = branch.typename


def _is_writable(dtype: np.dtype[Any]) -> bool:
    return dtype.names is None and dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype != np.float16


def _record(counter: str) -> str:
    return "@" + counter  # never the name of a branch


class TreeWriter:
    """Writes a TTree chunk by chunk.

    Parameters
    ----------
    directory : uproot WritableDirectory
        Where to write.
    name, title : str
        Name and title of the tree.
    layout : BranchLayout
        Its branches.
    """

    def __init__(self, directory: Any, name: str, title: str, layout: BranchLayout) -> None:
        self.layout = layout
        # with a single basket, the first extend rewrites the description, and so includes the branches' titles
        with running_counts():
            self._tree = directory.mktree(
                name,
                layout.types(),
                title,
                counter_name=lambda record: record.removeprefix("@"),
                field_name=lambda record, branch: branch,
                initial_basket_capacity=1,
            )
        _set_titles(self._tree, layout.titles)

    def extend(self, arrays: Mapping[str, ak.Array]) -> None:
        """Append entries: one array per branch."""
        data: dict[str, Any] = {name: arrays[name] for name in self.layout.flat}
        for counter, group in self.layout.jagged.items():
            data[_record(counter)] = ak.zip({name: arrays[name] for name in group}, depth_limit=2)
        with running_counts():
            self._tree.extend(data)


def _set_titles(tree: Any, titles: Mapping[str, str]) -> None:
    """Set the titles of branches, for which uproot has no public function."""
    cascade = getattr(tree, "_cascading", None)
    for branch in getattr(cascade, "_branch_data", ()):
        if branch.get("fName") in titles:
            branch["fTitle"] = titles[branch["fName"]]
