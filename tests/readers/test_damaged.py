"""Errors about what files hold name the file, whichever step finds the fault."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import uproot

from coffea_equitag import read_jets
from coffea_equitag.errors import JetError
from coffea_equitag.readers import root
from coffea_equitag.scoring import source


def write(path, pt):
    columns = {"pt": pt, "eta": [0.1, 0.2], "phi": [0.0, 0.1], "mass": [0.0, 0.0]}
    with uproot.recreate(path) as file:
        file.mktree("tree", {f"part_{name}": "var * float64" for name in columns})
        file["tree"].extend({f"part_{name}": ak.Array([values]) for name, values in columns.items()})
    return path


def test_jets_that_are_not_physical(tmp_path):
    good, bad = write(tmp_path / "a.root", [20.0, 30.0]), write(tmp_path / "b.root", [20.0, np.nan])
    with pytest.raises(JetError, match=r"^\S*b\.root: jet 0, constituent 1: pt = nan"):
        read_jets(bad)
    with pytest.raises(JetError, match=r"^\S*a\.root to \S*b\.root \(2 files\): jet 1, constituent 1"):
        read_jets([good, bad])


def test_lists_outside_the_file():
    """Offsets that go backwards, as a damaged RNTuple has them: awkward's kernels would crash."""

    class Branch:
        def array(self, **limits):
            offsets = ak.index.Index64(np.array([0, 3, 2]))
            return ak.Array(ak.contents.ListOffsetArray(offsets, ak.contents.NumpyArray(np.zeros(3))))

    with pytest.raises(ValueError, match=r"start\[i\] > stop\[i\]"):
        root.read_array(Branch(), 0, 2)


def test_a_branch_that_ends_early():
    class Tree:
        name = "Events"

        def arrays(self, **limits):
            return {"event": ak.Array([1]), "run": ak.Array([1, 1])}

    with pytest.raises(JetError, match="branch event has 1 of the entries 0 to 2"):
        source.read(Tree(), ["event", "run"], 0, 2)
