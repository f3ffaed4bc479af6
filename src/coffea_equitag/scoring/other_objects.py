"""Contents of a file other than its events: luminosity blocks, runs, histograms."""

from __future__ import annotations

from typing import Any

from ..reading import reading
from .branches import TreeWriter, branch_layout
from .source import check_same, ranges, read

__all__ = ["OtherObjects"]


class OtherObjects:
    """Copies everything in a file except its events: luminosity blocks, runs, histograms."""

    def __init__(self, target: Any, tree: str, *, alone: bool) -> None:
        self.target, self.tree, self.alone = target, tree, alone
        self.writers: dict[str, TreeWriter] = {}
        self.not_copied: list[str] = []

    def copy(self, file: Any) -> None:
        """Copy from one source; trees of several sources are concatenated."""
        for key in dict.fromkeys(file.keys(cycle=False)):
            kind = file.classname_of(key)
            if key == self.tree or kind.startswith("TDirectory"):
                continue
            if kind in ("TTree", "TNtuple", "TNtupleD"):
                self._copy_tree(key, file[key])
            elif not self._copy_object(key, file):
                self.not_copied.append(f"{key} ({kind})")

    def _copy_tree(self, key: str, tree: Any) -> None:
        source = tree.file.file_path
        with reading(source, "a ROOT file"):
            layout = branch_layout(tree)
        self.not_copied += [f"{key}/{branch} ({kind})" for branch, kind in layout.dropped.items()]
        if not layout.names:
            return
        if key not in self.writers:
            self.writers[key] = TreeWriter(self.target, key, tree.title, layout)
        check_same(layout, self.writers[key].layout, f"{source}:{key}")
        for start, stop in ranges(tree, "100 MB", False, key):
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
