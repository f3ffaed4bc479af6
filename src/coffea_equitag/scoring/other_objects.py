"""Contents of a file other than its events: luminosity blocks, runs, histograms."""

from __future__ import annotations

from typing import Any

from ..reading import reading
from .branches import branch_layout
from .ntuple_writer import NTupleWriter
from .options import ScoringOptions
from .source import check_same, ranges, read
from .tree_writer import TreeWriter

__all__ = ["OtherObjects"]

_TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")


class OtherObjects:
    """Copies everything in a file except its events: luminosity blocks, runs, histograms.

    Parameters
    ----------
    target : uproot WritableDirectory, optional
        Where to write; None if the format holds nothing but events.
    options : ScoringOptions
        Name of the events' tree, and format of trees.
    alone : bool
        Whether there is a single source.
    """

    def __init__(self, target: Any, options: ScoringOptions, *, alone: bool) -> None:
        self.target, self.options, self.alone = target, options, alone
        self.writers: dict[str, TreeWriter | NTupleWriter] = {}
        self.not_copied: list[str] = []

    def copy(self, file: Any) -> None:
        """Copy from one source; trees of several sources are concatenated. A friend gets nothing."""
        if self.options.friend:
            return
        for key in dict.fromkeys(file.keys(cycle=False)):
            kind = file.classname_of(key)
            if key == self.options.tree or kind.startswith("TDirectory"):
                continue
            if kind in _TREES and self.target is not None:
                self._copy_tree(key, file[key])
            elif self.target is None or not self._copy_object(key, file):
                self.not_copied.append(f"{key} ({kind})")

    def _copy_tree(self, key: str, tree: Any) -> None:
        source = tree.file.file_path
        with reading(source, "a ROOT file"):
            layout = branch_layout(tree)
        self.not_copied += [f"{key}/{branch} ({kind})" for branch, kind in layout.dropped.items()]
        if not layout.names:
            return
        if key not in self.writers:
            writer = NTupleWriter if self.options.format == "rntuple" else TreeWriter
            self.writers[key] = writer(self.target, key, getattr(tree, "title", ""), layout)
        check_same(layout, self.writers[key].layout, f"{source}:{key}")
        for start, stop in ranges(tree, "100 MB"):
            with reading(source, "a ROOT file"):
                arrays = read(tree, layout.names, start, stop)
            self.writers[key].extend(arrays)

    def _copy_object(self, key: str, file: Any) -> bool:
        if not self.alone:
            return False  # histograms of several files would need merging
        try:
            with reading(file.file_path, "a ROOT file"):
                found = file[key]
            self.target[key] = str(found) if file.classname_of(key) == "TObjString" else found
        except (TypeError, ValueError, NotImplementedError, AttributeError, KeyError):  # ours are ValueErrors
            return False
        return True
