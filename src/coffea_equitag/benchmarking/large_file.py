"""A ROOT file as large as those of an analysis: the packaged one, many times over."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import uproot

from ..demo import PACKAGED_FILE
from ..scoring.branches import branch_layout
from ..scoring.tree_writer import TreeWriter

__all__ = ["write_large_file"]


def write_large_file(path: Path, jets: int) -> None:
    """Write the packaged events as often as makes at least so many jets, in one basket per branch."""
    with uproot.open(PACKAGED_FILE) as file, uproot.recreate(path) as large:
        tree = file["Events"]
        layout = branch_layout(tree)
        events = tree.arrays(layout.names)
        copies = -(-jets // int(ak.count(events.FatJet_pt)))
        arrays = {name: ak.concatenate([events[name]] * copies) for name in layout.names}
        TreeWriter(large, tree.name, tree.title, layout).extend(arrays)
