"""Write a TTree chunk by chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import awkward as ak

from .branches import BranchLayout
from .tree_description import running_counts

__all__ = ["TreeWriter"]


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
                _types(layout),
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


def _types(layout: BranchLayout) -> dict[str, Any]:
    """The types of the branches as ``mktree`` expects them: one record per counter."""
    records = {
        _record(counter): ak.types.ListType(
            ak.types.RecordType([ak.types.NumpyType(kind.name) for kind in group.values()], list(group))
        )
        for counter, group in layout.jagged.items()
    }
    return {**layout.flat, **records}


def _record(counter: str) -> str:
    return "@" + counter  # never the name of a branch


def _set_titles(tree: Any, titles: Mapping[str, str]) -> None:
    """Set the titles of branches, for which uproot has no public function."""
    cascade = getattr(tree, "_cascading", None)
    for branch in getattr(cascade, "_branch_data", ()):
        if branch.get("fName") in titles:
            branch["fTitle"] = titles[branch["fName"]]
